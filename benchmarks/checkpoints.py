"""Weights on disk: how fast and in what memory they are read, counted, compared and measured as a graph.

Files are made in the system's temporary folder: 201 MB of one, 2 GB of four shards, 1.1 GB of steps; for graphs up to
13.5 GB. Each command is a process of its own, whose processor time and peak memory are taken; what it is compared with
is a process that reads the same bytes and adds them up.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from axonometry.populations.resnet import ResNet
from benchmarks.timing import Row, seconds

MATRIX = (2048, 2048)
BILLION = {f"model.layers.{n}.mlp.up_proj.weight": (2048, 8192) for n in range(60)}
STEPS, FULL = 8, 154
PYTHIA = {
    "embed_in.weight": (50_304, 512),
    "embed_out.weight": (50_304, 512),
    **{f"layers.{n}.attention.query_key_value.weight": (1536, 512) for n in range(6)},
    **{f"layers.{n}.attention.dense.weight": (512, 512) for n in range(6)},
    **{f"layers.{n}.mlp.dense_h_to_4h.weight": (2048, 512) for n in range(6)},
    **{f"layers.{n}.mlp.dense_4h_to_h.weight": (512, 2048) for n in range(6)},
}
LLAMAS = (
    {"hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 12, "num_attention_heads": 16,
     "num_key_value_heads": 8, "vocab_size": 32_000, "tie_word_embeddings": False},
    {"hidden_size": 4096, "intermediate_size": 11_008, "num_hidden_layers": 32, "num_attention_heads": 32,
     "num_key_value_heads": 32, "vocab_size": 32_000, "tie_word_embeddings": False},
)  # fmt: skip
"""A small one, and one of 7 billion parameters."""
SUM = """
import sys, numpy as np
block = np.empty(2**17, np.uint16)
for name in sys.argv[2:]:
    if sys.argv[1] == "bits":  # as whole numbers, which no weights are: as fast as memory is
        raw = np.memmap(name, np.uint8, "r")
        raw = raw[len(raw) % 2 :]  # a header may be of odd length
        for begin in range(0, len(raw), 2**24):
            raw[begin : begin + 2**24].view(np.uint16).sum(dtype=np.uint64)
        continue
    with open(name, "rb", buffering=0) as file:
        file.seek(file.seek(0, 2) % 2)
        while count := file.readinto(block) // 2:
            (block[:count].astype(np.uint32) << 16).view(np.float32).sum(dtype=np.float64)
"""
WATCHED = """
import math, sys, numpy as np, torch, weightwatcher
shapes = [tuple(map(int, word.split("x"))) for word in sys.argv[1:]]
drawn = torch.from_numpy(np.random.default_rng(0).standard_normal(2**22, dtype=np.float32) * 0.02)
layers = []
for shape in shapes:
    size = (shape[1], shape[0], *shape[2:])
    layer = torch.nn.Linear(*size[:2]) if len(shape) == 2 else torch.nn.Conv2d(*size[:2], size[2])
    layer.weight.data = drawn[: math.prod(shape)].reshape(shape).clone()
    layers.append(layer)
weightwatcher.WeightWatcher(model=torch.nn.Sequential(*layers)).analyze()
"""
CHILD = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss)
"""


def checkpoints() -> list[Row]:
    """Reading, counting and comparing."""
    return _in_turn(_small, _one_file, _experts, _shards, _steps, _resnet_50)


def graphs() -> list[Row]:
    """Networks of Transformers as graphs, their weights streamed: 0.4 and 13.5 GB on disk."""
    if importlib.util.find_spec("transformers") is None:
        return []
    return _in_turn(*(partial(_graph, llama) for llama in LLAMAS))


def _in_turn(*parts: Callable[[Path], Iterator[Row]]) -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows: list[Row] = []
        for number, part in enumerate(parts):
            rows += part(folder / str(number))
            shutil.rmtree(folder / str(number), ignore_errors=True)
        return rows


def _one_file(folder: Path) -> Iterator[Row]:
    file = _written(folder, "model.safetensors", {f"layers.{n}.weight": MATRIX for n in range(24)})
    start = _start(folder / "small")
    ours, memory = _process("-m", "axonometry", "analyze", str(file), "--json")
    yield from _against_reading("analyze of 201 MB of bf16 beyond the start", ours - start, (file,), 3)
    yield _memory(memory, 300)
    if (lens := shutil.which("lens")) is not None:  # a console script in an environment of its own
        theirs, other = _command(lens, "analyze", str(file))
        detail = f"{ours:.2f} s against {theirs:.2f} s of processor time; {other:,.0f} MB"
        yield _times("the same with the start, against weightlens 0.3.0", ours / theirs, 1 / 3, detail)


def _start(folder: Path) -> float:
    """What a file of next to nothing takes."""
    file = _written(folder, "model.safetensors", {"layer.weight": (8, 8)})
    return min(_process("-m", "axonometry", "analyze", str(file), "--json")[0] for _ in range(3))


def _against_reading(what: str, ours: float, files: Sequence[Path], goal: float) -> Iterator[Row]:
    for kind, words, limit in (
        ("read", "reading all of it and adding up its numbers", goal),
        ("bits", "adding up its bits in the page cache as whole numbers", math.inf),
    ):
        empty = min(_process("-c", SUM, kind)[0] for _ in range(3))
        summed = min(_process("-c", SUM, kind, *map(str, files))[0] for _ in range(3)) - empty
        detail = f"{ours:.2f} s of processor time against {summed:.2f} s"
        yield _times(f"{what}, against {words}", ours / summed, limit, detail)


def _resnet_50(folder: Path) -> Iterator[Row]:
    """WeightWatcher in an environment of its own, whose Python the variable WEIGHTWATCHER names."""
    python = os.environ.get("WEIGHTWATCHER")
    if python is None:
        return
    weights = ResNet(50).state_dict()
    shapes = {name: tuple(weight.shape) for name, weight in weights.items() if weight.dim() > 1}
    file = _written(folder, "model.safetensors", shapes)
    ours, _ = _process("-m", "axonometry", "analyze", str(file), "--json")
    spectra, _ = _process("-m", "axonometry", "analyze", str(file), "--json", "--spectra")
    theirs, other = _command(python, "-c", WATCHED, *("x".join(map(str, shape)) for shape in shapes.values()))
    for words, took in (("analyze", ours), ("analyze --spectra", spectra)):
        detail = f"{took:.1f} s against {theirs:.1f} s of processor time; {other:,.0f} MB"
        yield _times(f"{words} of ResNet-50's weights, against WeightWatcher 0.7.7", took / theirs, 1, detail)


def _small(folder: Path) -> Iterator[Row]:
    file = _written(folder, "model.safetensors", {"layer.weight": (64, 64)})
    took = statistics.median(
        seconds(lambda: _process("-m", "axonometry", "analyze", str(file))) for _ in range(5)
    )  # with the process that takes its time, some hundredths more
    yield Row("a small file, from the shell to the table", f"{took:.2f} s", "under 1.5 s", took < 1.5, 5, "median")


def _experts(folder: Path) -> Iterator[Row]:
    shapes = {f"layers.{n // 200}.experts.{n % 200}.up.weight": (64, 32) for n in range(20_000)}
    file = _written(folder, "model.safetensors", shapes)
    start, (ours, memory) = _start(folder / "small"), _process("-m", "axonometry", "analyze", str(file), "--json")
    what = "analyze of 20,000 tensors of a mixture of experts beyond the start"
    yield Row(what, f"{ours - start:.1f} s", "under 5 s", ours - start < 5, 1, "processor time")
    yield _memory(memory, 300)


def _shards(folder: Path) -> Iterator[Row]:
    names = list(BILLION)
    files = []
    for number in range(4):
        part = {name: BILLION[name] for name in names[number::4]}
        files.append(_written(folder, f"model-{number + 1:05}-of-00004.safetensors", part))
    ours, memory = _process("-m", "axonometry", "analyze", str(folder), "--json")
    yield from _against_reading("analyze of a billion parameters in bf16, 4 shards", ours, files, 2)
    yield _memory(memory, 1500)


def _steps(folder: Path) -> Iterator[Row]:
    for step in range(STEPS):
        _written(folder, f"step_{step}.safetensors", PYTHIA, seed=step)
    verify, memory = _process("-m", "axonometry", "verify", str(folder), "--json")
    read, _ = _process("-c", SUM, "bits", *sorted(map(str, folder.glob("*.safetensors"))))
    whole = FULL * (verify - read) / STEPS
    what = f"verify of {FULL} steps of 70 million parameters beyond reading, from {STEPS} of them"
    yield Row(what, f"{whole:.0f} s", "under 120 s", whole < 120, 1, f"{verify:.1f} s against {read:.1f} s")
    yield _memory(memory, 1500)


def _graph(llama: Mapping[str, int], folder: Path) -> Iterator[Row]:
    shapes = _llama_shapes(llama)
    _written(folder, "model.safetensors", shapes)
    (folder / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"], **llama}))
    table, _ = _process("-m", "axonometry", "analyze", str(folder), "--json")
    graph, memory = _process("-m", "axonometry", "analyze", str(folder), "--json", "--graph")
    count = sum(int(np.prod(shape)) for shape in shapes.values())
    what = f"analyze --graph of a Llama of {count / 1e6:,.0f} million parameters, against the table alone"
    yield _times(what, graph / table, 3, f"{graph:.1f} s against {table:.1f} s")
    yield _memory(memory, 3000)


def _times(what: str, ratio: float, goal: float, detail: str) -> Row:
    told = "none" if math.isinf(goal) else f"at most {goal:.2g}"
    return Row(what, f"{ratio:.2f} times", told, ratio <= goal, 1, detail)


def _memory(megabytes: float, goal: float) -> Row:
    return Row(
        "its peak memory", f"{megabytes:,.0f} MB", f"under {goal:,.0f} MB", megabytes < goal, 1, "of the process"
    )


def _llama_shapes(llama: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
    from transformers import LlamaConfig, LlamaForCausalLM

    from axonometry.checkpoints.hollow import hollow

    module = hollow(lambda: LlamaForCausalLM(LlamaConfig(**llama)))
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def _written(folder: Path, name: str, shapes: Mapping[str, tuple[int, ...]], seed: int = 0) -> Path:
    """A safetensors file of normal bf16 numbers; they repeat after some millions, which no count notices."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = np.random.default_rng(seed).standard_normal(2**22 + 7, dtype=np.float32) * 0.02
    bits = (drawn.view(np.uint32) >> 16).astype(np.uint16)
    header, end = {}, 0
    for tensor, shape in shapes.items():
        begin, end = end, end + 2 * int(np.prod(shape))
        header[tensor] = {"dtype": "BF16", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    with (folder / name).open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for shape in shapes.values():
            left = int(np.prod(shape))
            while left:
                left -= len(part := bits[:left])
                file.write(part.tobytes())
    return folder / name


def _process(*words: str) -> tuple[float, float]:
    """Processor time in seconds and peak memory in MB of a Python process."""
    return _command(sys.executable, *words)


def _command(*words: str) -> tuple[float, float]:
    command = [sys.executable, "-c", CHILD, *words]
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    time, memory = map(float, found.stdout.split())
    return time, memory / (2**20 if sys.platform == "darwin" else 1024)
