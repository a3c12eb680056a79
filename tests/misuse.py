"""Every public function, constructor and method, called with each argument in turn replaced by something else.

    python -m tests.misuse

prints a line for each call that ends in an error of Python, torch or numpy instead of one of ours. It is a process of
its own in the tests, too: there, types are checked at every call, which is what a user does not have.
"""

from __future__ import annotations

import inspect
import json
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import axonometry as ax
from axonometry.errors import AxonometryError

Call = tuple[Callable[..., Any], dict[str, Any]]
WRONG: tuple[Any, ...] = (None, "x", -1, 2.5, [], object(), torch.zeros(2))


def calls(folder: Path) -> Iterator[tuple[str, Call]]:
    """A call of each that is right, by its name: the function, and its arguments by theirs.

    Args:
        folder: Where runs and checkpoints are written.
    """
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 2)).eval()
    graph, samples, labels = ax.capture(model, torch.zeros(1, 3)), torch.rand(12, 3), torch.arange(12) % 2
    state, channels = model.state_dict(), graph.channels()
    other = {name: tensor + 0.1 * torch.randn_like(tensor) for name, tensor in state.items()}
    identity = ax.align(graph, state, other)
    run, folders = _runs(folder, model)
    torch.save(state, folder / "state.pt")
    (folder / "states").mkdir()
    for step in (1, 2):
        torch.save(state, folder / "states" / f"step-{step}.pt")
    _, _ = folders, channels
    given = {
        "graph": graph,
        "model": model,
        "samples": samples,
        "labels": labels,
        "a": state,
        "b": other,
        "state": state,
        "weights": channels.dense().abs().numpy(),
        "draws": 2,
        "seed": 0,
        "batch_size": 4,
        "tol": 1e-3,
        "threshold": 0.5,
        "precision": 0.2,
    }
    yield from _functions(given, identity, folder)
    yield from _methods(graph, model, state, samples, run, folder)
    yield from _predictors(folders, folder)


def _runs(folder: Path, model: nn.Module) -> tuple[ax.Trajectory, list[Path]]:
    folders = []
    for number in range(10):
        place = folder / "runs" / str(number)
        torch.manual_seed(number)
        with ax.Recorder(place, model, torch.zeros(1, 3), measures=("channel_degree",), planned_steps=4) as recorder:
            for step in range(4):
                with torch.no_grad():
                    model[0].weight.add_(0.1 * torch.randn(6, 3))
                recorder.record(step, accuracy=min(1, 0.3 + 0.03 * number + 0.1 * step))
        folders.append(place)
    return ax.load(folders[0], model, torch.zeros(1, 3)), folders


def _functions(given: dict[str, Any], identity: Any, folder: Path) -> Iterator[tuple[str, Call]]:

    model, samples = given["model"], given["samples"]
    attention = ax.capture(nn.MultiheadAttention(4, 2, batch_first=True).eval(), *[torch.zeros(1, 3, 4)] * 3)
    special: dict[str, dict[str, Any]] = {
        "attention_strength": {"graph": attention, "samples": tuple(torch.rand(3, 2, 3, 4))},
        "capture": {"module": model, "example_inputs": torch.zeros(1, 3), "pooling": "mean", "batch_axis": 0},
        "layer_fluctuation": {"graph_or_strengths": given["graph"], "convention": "links"},
        "jeffreys_divergence": {"a": np.arange(40.0), "b": np.arange(40.0) + 3},
        "divergence_null": {"a": np.arange(40.0), "b": np.arange(40.0) + 3, "draws": 2},
        "divergence_matrix": {"samples": {"a": np.arange(40.0), "b": np.arange(40.0) + 3}},
        "density": {"values": np.arange(40.0), "grid": np.arange(3.0)},
        "load": {"folder": folder / "runs" / "0", "module": model, "example_inputs": torch.zeros(1, 3), "graph": None},
        "load_runs": {"folder": folder / "runs"},
        "load_checkpoints": {
            "folder": folder / "states",
            "module": model,
            "example_inputs": torch.zeros(1, 3),
            "graph": None,
        },
        "open_checkpoint": {"path": folder / "state.pt", "key": None},
        "permute": {"state": given["state"], "permutation": identity},
        "proxies": {"batch": (samples, given["labels"]), "loss": nn.functional.cross_entropy},
        "temporal_summary": {"source": ax.load(folder / "runs" / "0"), "epochs": 3, "measures": ["channel_degree"]},
        "from_pyg": {"data": ax.to_pyg(given["graph"]), "state": -1},
        "to_graphml": {"path": folder / "graph.graphml"},
        "measure": {"names": ["node_strength"]},
        "null": {"kind": "shuffle", "measure": "node_strength"},
        "null_graphs": {"model": ax.metrics.NullModel("shuffle", draws=2)},
        "small_world": {"model": 2},
        "strongest": {"share": 0.5},
        "linear_map": {"group": "0"},
        "folding_pairs": {"group": "0"},
        "class_modularity": {"features": samples},
        "neural_collapse": {"features": samples},
        "order_modes": {"pre_activations": samples, "activations": samples.relu()},
        "order_ranks": {"pre_activations": samples, "signs": torch.ones(2, 3), "bins": 4},
        "fit_templates": {"kernels": torch.randn(4, 5, 5)},
        "merge": {"states": [given["a"], given["b"]]},
        "weight_plane": {"states": [given["a"], given["b"], given["weights"]][:2] + [_moved(given["a"])]},
        "sample_plane": {"corners": samples[:3], "resolution": 3},
        "weight_line": {"points": 3},
        "weight_spreads": {"weight": torch.randn(6, 3), "entries": None},
        "learning_coefficient": {"loss": lambda m: (m(samples) * 0).sum(), "n": 12, "plan": _plan()},
        "lifetime_sum": {"distances": np.ones((4, 4)) - np.eye(4)},
        "ph_dimension": {"distances": torch.cdist(*2 * [torch.rand(40, 3).double()]).numpy()},
        "modularity": {"labels": np.arange(11) % 2},
        "participation": {"labels": np.arange(11) % 2},
        "within_module_z": {"labels": np.arange(11) % 2},
        "second_moments": {"optimizer": torch.optim.Adam(model.parameters())},
        "reweighted": {"weights": given["state"]},
        "Recorder": {"folder": folder / "new", "example_inputs": torch.zeros(1, 3), "samples": None},
    }
    skipped = {"measured", "rule", "register_measure", "Recorder"}
    names = {*ax.__all__, *ax.metrics.__all__, *ax.program.__all__} - skipped
    for name in sorted(names):
        function = getattr(ax, name)
        if not inspect.isfunction(function):
            continue
        chosen = special.get(name, {})
        arguments = {}
        for key, parameter in inspect.signature(function).parameters.items():
            if key in chosen or key in given:
                arguments[key] = chosen.get(key, given.get(key))
            elif parameter.default is not inspect.Parameter.empty:
                arguments[key] = parameter.default
            elif parameter.kind is not inspect.Parameter.VAR_KEYWORD:
                raise KeyError(f"{name} takes {key}, which is not given")
        yield name, (function, arguments)
    yield "Recorder", (_record, {"model": model, **special["Recorder"], **_defaults(ax.Recorder, special["Recorder"])})


def _record(**arguments: Any) -> None:
    with tempfile.TemporaryDirectory() as place:
        if isinstance(arguments["folder"], Path):
            arguments["folder"] = Path(place)
        example = arguments.pop("example_inputs")
        with ax.Recorder(arguments.pop("folder"), arguments.pop("model"), example, **arguments) as recorder:
            recorder.record(0)


def _defaults(function: Callable[..., Any], known: Mapping[str, Any]) -> dict[str, Any]:
    parameters = inspect.signature(function).parameters.items()
    return {k: p.default for k, p in parameters if k not in known and p.default is not inspect.Parameter.empty}


def _moved(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor + torch.randn_like(tensor) for name, tensor in state.items()}


def _plan() -> Any:
    return ax.metrics.LangevinPlan(chains=2, steps=10, burn_in=1)


def _methods(
    graph: ax.NeuralGraph, model: nn.Module, state: Any, samples: Any, run: ax.Trajectory, folder: Path
) -> Iterator[tuple[str, Call]]:
    ones = graph.ones()
    yield "NeuralGraph.at", (graph.at, {"state_dict": state})
    yield "NeuralGraph.channels", (graph.channels, {"weights": "norm"})
    yield "NeuralGraph.draw", (graph.draw, {"colour": "node_strength"})
    yield "NeuralGraph.from_group", (graph.from_group, {"source": "0", "values": torch.ones(1, 6)})
    yield "NeuralGraph.kernel", (graph.kernel, {"synapse": "0"})
    yield "NeuralGraph.map", (graph.map, {"f": torch.abs})
    yield "NeuralGraph.products", (graph.products, {"x": ones, "y": ones})
    yield "NeuralGraph.sent", (graph.sent, {"y": ones})
    yield "NeuralGraph.summary", (graph.summary, {"draws": 0})
    yield "NeuralGraph.__matmul__", (lambda x: graph @ x, {"x": ones})
    yield "NeuralGraph.T", (lambda y: graph.T @ y, {"y": ones})
    yield "ChannelGraph.__matmul__", (lambda x: graph.channels() @ x, {"x": graph.channels().ones()})
    yield "ChannelGraph.map", (graph.channels().map, {"f": torch.abs})
    yield "NodeValues", (ax.NodeValues, {"tensors": dict(ones)})
    yield "NodeValues.dot", (ones.dot, {"other": ones})
    yield "NodeValues.map", (ones.map, {"function": torch.abs})
    yield "Trajectory.graph", (run.graph, {"step": 1})
    yield "Trajectory.plot", (run.plot, {"metric": "channel_degree", "statistic": "mean"})
    recorder = ax.Recorder(folder / "methods", model, samples[:1], measures=())
    numbers = iter(range(10**6))
    yield (
        "Recorder.record",
        (
            lambda step, optimizer, loss: recorder.record(
                next(numbers) if isinstance(step, int) and step == 0 else step, optimizer=optimizer, loss=loss
            ),
            {"step": 0, "optimizer": torch.optim.Adam(model.parameters()), "loss": 0.5},
        ),
    )
    yield "Recorder.mark", (recorder.mark, {"optimizer": torch.optim.Adam(model.parameters())})
    yield "Recorder.restore", (recorder.restore, {"optimizer": None})


def _predictors(folders: list[Path], folder: Path) -> Iterator[tuple[str, Call]]:
    def fitted(**arguments: Any) -> ax.AccuracyPredictor:
        return ax.AccuracyPredictor(**arguments).fit(folders)

    usual = {**_defaults(ax.AccuracyPredictor, {}), "features": "degree+curve", "epochs": 2, "folds": 2, "trees": 2}
    yield "AccuracyPredictor", (fitted, usual)
    predictor = fitted(**usual)
    yield (
        "AccuracyPredictor.fit",
        (
            lambda **given: ax.AccuracyPredictor(**usual).fit(**given),
            {"runs": folders, "y": [0.1 * n for n in range(10)], "groups": list(range(10))},
        ),
    )
    yield "AccuracyPredictor.predict", (predictor.predict, {"runs": folders})
    yield "AccuracyPredictor.predict_interval", (predictor.predict_interval, {"runs": folders, "level": 0.9})
    yield "AccuracyPredictor.score", (predictor.score, {"runs": folders, "y": [0.1 * n for n in range(10)]})
    yield "AccuracyPredictor.save", (predictor.save, {"path": folder / "predictor.skops"})
    yield "AccuracyPredictor.history", (predictor.history, {"run": folders[0], "level": 0.9})
    yield "AccuracyPredictor.stop_below", (predictor.stop_below, {"threshold": 0.5, "level": 0.9})
    yield "AccuracyPredictor.was_trained_on", (predictor.was_trained_on, {"runs": folders})


def misused(function: Callable[..., Any], arguments: dict[str, Any]) -> Iterator[tuple[str, Exception | None]]:
    """What comes of it, argument by argument and value by value: the error, or None."""
    yield "()", _error(function, arguments)
    for name in arguments:
        for wrong in WRONG[name == "plan" :]:  # without a plan, chains are of their usual thousands of draws
            yield f"{name}={_short(wrong)}", _error(function, {**arguments, name: wrong})


def _error(function: Callable[..., Any], arguments: dict[str, Any]) -> Exception | None:
    arguments = dict(arguments)
    try:
        if "example_inputs" in arguments and function is not _record:
            first = next(iter(arguments))
            made = function(arguments.pop(first), *_between(arguments), arguments.pop("example_inputs"), **arguments)
        else:
            made = function(**arguments)
        if inspect.isgenerator(made):
            list(made)
    except Exception as error:  # noqa: BLE001 - what kinds there are is the question
        return error
    return None


def _between(arguments: dict[str, Any]) -> list[Any]:
    names = list(arguments)
    return [arguments.pop(name) for name in names[: names.index("example_inputs")]]


def _short(value: Any) -> str:
    return type(value).__name__ if type(value) is object or callable(value) else repr(value)


def main() -> None:
    warnings.simplefilter("ignore")
    found: dict[str, list[str]] = {}
    only = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        for name, (function, arguments) in calls(Path(folder)):
            if only and name not in only:
                continue
            found[name] = []
            for case, error in misused(function, arguments):
                if error is not None and (case == "()" or not isinstance(error, AxonometryError)):
                    line = next(iter(str(error).strip().splitlines()), "")[:100]
                    found[name].append(f"{case}: {type(error).__name__}: {line}")
                    if only:
                        found[name].append("".join(traceback.format_tb(error.__traceback__)[-2:]))
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
