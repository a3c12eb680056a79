"""What is damaged, and the command that then says so in one line: checkpoints, runs, predictors, configurations."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.damage import damaged
from tests.fuzz.forge import forged


@dataclass(frozen=True)
class Target:
    """One kind of input.

    Attributes:
        count: How many cases the whole run tries.
        prepare: Makes whole things, once, in a folder of their own.
        case: Makes a case from them.
    """

    count: int
    prepare: Callable[[Path], object]
    case: Callable[[Path, Path, random.Random], list[str]]


# checkpoints ----------------------------------------------------------------------------------------------------------


def _checkpoints(folder: Path) -> None:
    import numpy as np
    import torch
    from safetensors.torch import save_file
    from torch import nn

    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 4))
    state = {**model.state_dict(), "half": torch.ones(3).half(), "brain": torch.ones(2, 2).bfloat16()}
    save_file(state, folder / "a.safetensors")
    save_file({"w": torch.ones(4, 4).to(torch.float8_e4m3fn), "w_scale": torch.ones(1)}, folder / "scaled.safetensors")
    torch.save(state, folder / "new.pt")
    torch.save(state, folder / "old.pt", _use_new_zipfile_serialization=False)
    torch.save(model, folder / "whole.pt")
    sparse = torch.sparse_coo_tensor(torch.tensor([[0, 2]]), torch.ones(2), (3,), check_invariants=True)
    nested = {"epoch": 3, "nets": [state, {"w": sparse}], "optimizer": {"state": {0: {"m": torch.ones(2)}}}}
    torch.save(nested, folder / "nested.ckpt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(model).save(str(folder / "script.pt"))
    arrays = {name.replace(".", "_"): np.asarray(value.float()) for name, value in state.items()}
    np.savez(folder / "a.npz", **arrays)
    np.savez_compressed(folder / "packed.npz", **arrays)
    (folder / "index").mkdir()
    save_file(state, folder / "index" / "model-00001-of-00001.safetensors")
    index = {"metadata": {"total_size": 1}, "weight_map": dict.fromkeys(state, "model-00001-of-00001.safetensors")}
    (folder / "index" / "model.safetensors.index.json").write_text(json.dumps(index))


def _formats(folder: Path) -> None:
    """Files of other libraries, as far as they are installed; one folder or file each."""
    from tests.checkpoints import writers

    for name in ("keras", "onnx", "gguf", "flax", "orbax", "distributed"):
        if not writers.missing(name):
            place = folder / f".{name}"
            place.mkdir()
            writers.write(name, place)
            for made in sorted(place.iterdir()):
                if made.name != "expected.npz":
                    made.rename(folder / f"{name}-{made.name}")
            shutil.rmtree(place)
    with suppress(ImportError):
        import h5py
        import numpy as np

        with h5py.File(folder / "plain.h5", "w") as file:  # where Keras is not installed, which writes such files
            file["layers/dense/vars/0"] = np.ones((20, 30))
            file.create_dataset("layers/dense/vars/1", data=np.ones((20, 30)), chunks=(5, 5), compression="gzip")


def _checkpoint(whole: Path, folder: Path, rng: random.Random) -> list[str]:
    source = rng.choice(sorted(whole.iterdir()))
    copy = folder / source.name
    if source.is_dir():
        shutil.copytree(source, copy)
        target = rng.choice(sorted(path for path in copy.rglob("*") if path.is_file()))
        target.write_bytes(damaged(target.read_bytes(), rng))
    else:
        copy.write_bytes(damaged(source.read_bytes(), rng))
    if rng.random() < 0.1:
        return rng.choice((["summary", str(copy)], ["diff", str(copy), str(source)], ["diff", str(source), str(copy)]))
    return ["analyze", str(copy), *rng.choice(([], ["--json"], ["--depth", "1"], ["--spectra"]))]


# runs -----------------------------------------------------------------------------------------------------------------


def _runs(folder: Path) -> None:
    import torch
    from torch import nn

    import axonometry as ax

    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    for name in ("a", "b"):
        with ax.Recorder(folder / name, network, torch.zeros(1, 4), configuration={"lr": 0.1}) as recorder:
            for step in range(3):
                recorder.record(step, accuracy=0.25 * (step + 1))


READERS: Sequence[Sequence[str]] = (
    *(["analyze"], ["analyze", "--json"], ["runs", "show"], ["runs", "show", "--json"], ["runs", "verify"]),
    *(["runs", "list"], ["runs", "measure", "--measure", "disparity"], ["analyze", "--report", "REPORT"]),
)


def _run(whole: Path, folder: Path, rng: random.Random) -> list[str]:
    shutil.copytree(whole / "a", folder / "a")
    shutil.copytree(whole / "b", folder / "b")
    files = sorted(path for path in (folder / "a").rglob("*") if path.is_file())
    target = rng.choice([*files, *[path for path in files if path.name == "run.json"] * 3])
    kind = rng.randrange(14)
    if kind == 0:
        target.unlink()
    elif kind == 12:
        target.unlink()
        os.mkfifo(target)
    elif kind == 13:
        target.unlink()
        target.symlink_to(rng.choice(("/dev/zero", "/dev/null", target.name, "..")))
    elif kind == 1:
        target.unlink()
        target.mkdir()
    elif kind == 2:
        other = rng.choice(files)
        target.write_bytes(other.read_bytes())
    else:
        target.write_bytes(damaged(target.read_bytes(), rng))
    words = [word.replace("REPORT", str(folder / "page.html")) for word in rng.choice(READERS)]
    place = folder if words[:2] in (["runs", "list"], ["runs", "measure"]) else folder / "a"
    at = 2 if words[0] == "runs" else 1
    return [*words[:at], str(place), *words[at:]]


# predictors -----------------------------------------------------------------------------------------------------------


def _predictors(folder: Path) -> None:
    from axonometry.populations import train
    from axonometry.populations.protocols import draw
    from axonometry.predict import AccuracyPredictor, read_runs

    choices = {"learning_rate": (0.0003, 0.001, 0.003, 0.01, 0.03), "initialiser": ("he", "random-normal")}
    configurations = draw(range(12), choices, optimiser="adam", epochs=2, batch_size=256, train_fraction=0.3)
    runs = [train(configuration, folder / "runs" / configuration.identity) for configuration in configurations]
    table = read_runs(runs, epochs=1, features="curve")
    AccuracyPredictor("curve", 1, trees=3, folds=2).fit(table).save(folder / "curve.predictor")


def _predictor(whole: Path, folder: Path, rng: random.Random) -> list[str]:
    copy, content = folder / "a.predictor", (whole / "curve.predictor").read_bytes()
    kind = rng.randrange(4)
    if kind == 0:
        copy.write_bytes(damaged(content, rng))
    else:  # a forger writes a checksum that fits
        body = content.partition(b"\n")[2]
        body = damaged(body, rng) if kind == 1 else forged(body, rng)
        copy.write_bytes(b"axonometry-predictor 1 %s\n%s" % (hashlib.sha256(body).hexdigest().encode(), body))
    run = rng.choice(sorted((whole / "runs").iterdir()))
    return ["predict", "apply", str(copy), str(run), *rng.choice(([], ["--json"]))]


# configurations and command lines -------------------------------------------------------------------------------------


def _configurations(folder: Path) -> None:
    from axonometry.populations import RunConfiguration

    one = RunConfiguration().to_dict()
    (folder / "one.json").write_text(json.dumps(one))
    (folder / "two.json").write_text(json.dumps([one, {"family": "lenet", "seed": 3}]))


def _configuration(whole: Path, folder: Path, rng: random.Random) -> list[str]:
    source = rng.choice(sorted(whole.iterdir()))
    copy = folder / "config.json"
    copy.write_bytes(damaged(source.read_bytes(), rng))
    return ["runs", "train", "--config", str(copy), "--folder", str(folder / "runs")]


WORDS = (
    *(
        "",
        "-1",
        "0",
        "nope",
        "a\0b",
        "\x1b[31m",
        "--",
        "--json",
        "1e999",
        "NaN",
        "/dev",
        ".",
        "..",
        "\ud800",
        "é",
        "-h",
        "x" * 5000,
    ),
    *(
        "--folder",
        "--report",
        "--measure",
        "--epochs",
        "--scale",
        "--seed",
        "--count",
        "--workers",
        "--noise",
        "--table",
    ),
)
COMMANDS = (
    *(
        ["analyze"],
        ["summary"],
        ["diff"],
        ["basins"],
        ["modes"],
        ["runs"],
        ["runs", "train"],
        ["runs", "list"],
        ["runs", "show"],
    ),
    *(["runs", "verify"], ["runs", "measure"], ["predict", "fit"], ["predict", "evaluate"], ["predict", "apply"]),
    *(["paper"], ["paper", "ictai2021"], ["experiment"], ["experiment", "nope.py:x"], ["demo", "--report"], []),
)


def _arguments(_: Path, folder: Path, rng: random.Random) -> list[str]:
    words = [*rng.choice(COMMANDS), *rng.choices(WORDS, k=rng.randrange(4))]
    return [str(folder) if word == "." else word for word in words]


TARGETS = {
    "checkpoints": Target(3000, _checkpoints, _checkpoint),
    "formats": Target(2000, _formats, _checkpoint),
    "runs": Target(1000, _runs, _run),
    "predictors": Target(500, _predictors, _predictor),
    "configurations": Target(300, _configurations, _configuration),
    "arguments": Target(600, lambda _: None, _arguments),
}
