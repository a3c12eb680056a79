"""Weights on disk: how fast and in what memory they are read, counted, compared and measured as a graph.

Files are made in the system's temporary folder: 201 MB of one, 2 GB of four shards, 1.1 GB of steps. Each command is a
process of its own, whose processor time and peak memory are taken; what it is compared with is a process that reads
the same bytes and adds them up.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from benchmarks.timing import Row

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
LLAMA = {"hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 12, "num_attention_heads": 16,
         "num_key_value_heads": 8, "vocab_size": 32_000, "tie_word_embeddings": False}  # fmt: skip
SUM = """
import sys, numpy as np
for name in sys.argv[1:]:
    raw = np.memmap(name, np.uint8, "r")
    for begin in range(0, len(raw) // 4 * 4, 2**24):
        raw[begin : begin + 2**24].view(np.uint16).sum(dtype=np.uint64)
"""
WATCHED = """
import torch, weightwatcher
from safetensors.torch import load_file
layers = [torch.nn.Linear(2048, 2048, bias=False) for _ in range(2)]
for layer, weight in zip(layers, load_file("{file}").values()):
    layer.weight.data = weight.float()
weightwatcher.WeightWatcher(model=torch.nn.Sequential(*layers)).analyze()
"""
LENS = """
import runpy, sys
sys.argv = [sys.argv[1], "analyze", sys.argv[2]]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
CHILD = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss)
"""


def checkpoints() -> list[Row]:
    """All of it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parts = (_one_file(folder / "1"), _shards(folder / "2"), _steps(folder / "3"), _graph(folder / "4"))
        return [row for part in parts for row in part]


def _one_file(folder: Path) -> Iterator[Row]:
    file = _written(folder, "model.safetensors", {f"layers.{n}.weight": MATRIX for n in range(24)})
    start, _ = _process("-m", "axonometry", "--help")
    ours, memory = _process("-m", "axonometry", "analyze", str(file), "--json")
    summed = _process("-c", SUM, str(file))[0] - _process("-c", SUM)[0]
    what = "analyze of 201 MB of bf16 beyond the start, against reading and adding up"
    detail = f"{ours:.2f} s of processor time, {start:.2f} s of it the start, against {summed:.2f} s"
    yield _times(what, (ours - start) / summed, 3, detail)
    yield _memory(memory, 300)
    if (lens := shutil.which("weightlens")) is not None:
        theirs, other = _process("-c", LENS, lens, str(file))
        detail = f"{ours:.2f} s against {theirs:.2f} s of processor time; {other:,.0f} MB"
        yield _times("the same, against weightlens", ours / theirs, 1 / 3, detail)
    if importlib.util.find_spec("weightwatcher") is not None:
        theirs, _ = _process("-c", WATCHED.format(file=str(file)))
        detail = f"{ours:.2f} s against {theirs:.2f} s"
        yield _times("the same, against WeightWatcher on two of the 24 matrices", ours / theirs, 1, detail)


def _shards(folder: Path) -> Iterator[Row]:
    names = list(BILLION)
    files = []
    for number in range(4):
        part = {name: BILLION[name] for name in names[number::4]}
        files.append(_written(folder, f"model-{number + 1:05}-of-00004.safetensors", part))
    ours, memory = _process("-m", "axonometry", "analyze", str(folder), "--json")
    summed, _ = _process("-c", SUM, *map(str, files))
    what = "analyze of a billion parameters in bf16, 4 shards, against reading and adding up"
    yield _times(what, ours / summed, 2, f"{ours:.1f} s against {summed:.1f} s of processor time")
    yield _memory(memory, 1500)


def _steps(folder: Path) -> Iterator[Row]:
    for step in range(STEPS):
        _written(folder, f"step_{step}.safetensors", PYTHIA, seed=step)
    verify, memory = _process("-m", "axonometry", "verify", str(folder), "--json")
    read, _ = _process("-c", SUM, *sorted(map(str, folder.glob("*.safetensors"))))
    whole = FULL * (verify - read) / STEPS
    what = f"verify of {FULL} steps of 70 million parameters beyond reading, from {STEPS} of them"
    yield Row(what, f"{whole:.0f} s", "under 120 s", whole < 120, 1, f"{verify:.1f} s against {read:.1f} s")
    yield _memory(memory, 1500)


def _graph(folder: Path) -> Iterator[Row]:
    if importlib.util.find_spec("transformers") is None:
        return
    shapes = _llama_shapes()
    _written(folder, "model.safetensors", shapes)
    (folder / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"], **LLAMA}))
    table, _ = _process("-m", "axonometry", "analyze", str(folder), "--json")
    graph, memory = _process("-m", "axonometry", "analyze", str(folder), "--json", "--graph")
    count = sum(int(np.prod(shape)) for shape in shapes.values())
    what = f"analyze --graph of a Llama of {count / 1e6:,.0f} million parameters, against the table alone"
    yield _times(what, graph / table, 3, f"{graph:.1f} s against {table:.1f} s")
    yield _memory(memory, 3000)


def _times(what: str, ratio: float, goal: float, detail: str) -> Row:
    return Row(what, f"{ratio:.2f} times", f"at most {goal:.2g}", ratio <= goal, 1, detail)


def _memory(megabytes: float, goal: float) -> Row:
    return Row(
        "its peak memory", f"{megabytes:,.0f} MB", f"under {goal:,.0f} MB", megabytes < goal, 1, "of the process"
    )


def _llama_shapes() -> dict[str, tuple[int, ...]]:
    from transformers import LlamaConfig, LlamaForCausalLM

    from axonometry.checkpoints.hollow import hollow

    module = hollow(lambda: LlamaForCausalLM(LlamaConfig(**LLAMA)))
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
    command = [sys.executable, "-c", CHILD, sys.executable, *words]
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    time, memory = map(float, found.stdout.split())
    return time, memory / (2**20 if sys.platform == "darwin" else 1024)
