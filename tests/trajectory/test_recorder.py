"""Recording: what is written, what is refused, and that the model does not notice."""

from __future__ import annotations

import copy
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from axonometry.errors import ConfigurationError, RunError
from axonometry.metrics import neuron_activation
from axonometry.metrics.catalogue import CATALOGUE, measure
from axonometry.program import capture
from axonometry.program.untouched import unwrapped
from axonometry.trajectory import Recorder, load, remeasure, verify


def learn(model: nn.Module, optimizer: torch.optim.Optimizer) -> float:
    """One batch of random data; draws from torch's generator for data and dropout."""
    model.train()
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(torch.rand(8, 1, 8, 8)), torch.randint(0, 5, (8,)))
    loss.backward()
    optimizer.step()
    return float(loss.detach())


# what is recorded -----------------------------------------------------------------------------------------------------


def test_every_step_holds_the_measures_of_the_weights_at_that_step(
    tmp_path: Path, small: nn.Module, example: Tensor
) -> None:
    optimizer = torch.optim.SGD(small.parameters(), lr=0.1)
    states = {}
    with Recorder(tmp_path / "run", small, example) as recorder:
        assert recorder.last_step is None
        for step in (0, 3, 50):
            loss = learn(small, optimizer)
            recorder.record(step, loss=loss, accuracy=torch.tensor(0.5))
            assert recorder.last_step == step
            states[step] = copy.deepcopy(small.state_dict())
    run = load(tmp_path / "run")
    graph = capture(small, example)
    for step, state in states.items():
        expected = measure(graph.at(state), ("link_weights", "node_strength", "layer_fluctuation"))
        found = run.metrics[(run.metrics["step"] == step) & (run.metrics["group"] != "")]
        pd.testing.assert_frame_equal(
            found.drop(columns="step").reset_index(drop=True), expected, check_dtype=False, check_exact=True
        )
        assert run.snapshots[step].keys() == state.keys()
        assert all(torch.equal(run.snapshots[step][name], tensor) for name, tensor in state.items())


def test_the_model_and_the_world_do_not_notice(tmp_path: Path, small: nn.Module, example: Tensor) -> None:
    optimizer = torch.optim.Adam(small.parameters())
    learn(small, optimizer)
    small.conv2.eval()  # a mixed mode is kept too
    small.head.weight.requires_grad_(False)
    small.hidden.register_forward_hook(lambda *_: None)

    def everything() -> dict[str, Any]:
        return {
            "mode": {name: module.training for name, module in small.named_modules()},
            "hooks": [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in small.modules()],
            "requires": [p.requires_grad for p in small.parameters()],
            "identity": [id(p) for p in small.parameters()] + [p.data_ptr() for p in small.parameters()],
            "versions": [p._version for p in (*small.parameters(), *small.buffers())],
            "grads": [None if p.grad is None else p.grad.clone() for p in small.parameters()],
            "grad identity": [id(p.grad) for p in small.parameters()],
            "values": [t.clone() for t in small.state_dict().values()],
            # Not Python's: the type checks under test draw from it.
            "random": [torch.get_rng_state(), np.random.get_state()[1].tolist()],
            "global": [torch.is_grad_enabled(), torch.get_default_dtype(), torch.get_num_threads()],
        }

    def equal(a: Any, b: Any) -> bool:
        if isinstance(a, Tensor):
            return torch.equal(a, b)
        if isinstance(a, dict):
            return all(equal(a[key], b[key]) for key in a)
        return all(map(equal, a, b)) if isinstance(a, list | tuple) else a == b

    before = everything()
    with Recorder(tmp_path / "run", small, example) as recorder:
        assert equal(before, everything())
        recorder.record(0, optimizer=optimizer, loss=1.0)
        assert equal(before, everything())
        with pytest.raises(RunError, match="steps increase; got 0 after 0"):
            recorder.record(0)
        assert equal(before, everything())
    assert equal(before, everything())


def test_training_is_the_same_with_and_without_recording(tmp_path: Path, small: nn.Module, example: Tensor) -> None:
    twin = copy.deepcopy(small)
    optimizer, other = torch.optim.SGD(small.parameters(), 0.1), torch.optim.SGD(twin.parameters(), 0.1)
    torch.manual_seed(5)
    with Recorder(tmp_path / "run", small, example) as recorder:
        for step in range(3):
            learn(small, optimizer)
            recorder.record(step, optimizer=optimizer)
    torch.manual_seed(5)
    for _ in range(3):
        learn(twin, other)
    assert all(torch.equal(a, b) for a, b in zip(small.state_dict().values(), twin.state_dict().values(), strict=True))


def test_chosen_layers(tmp_path: Path, small: nn.Module, example: Tensor) -> None:
    with Recorder(tmp_path / "run", small, example, layers=["conv*", "hidden@2", "input"]) as recorder:
        recorder.record(0, loss=1.0)
    run = load(tmp_path / "run")
    assert set(run.metrics["group"]) == {"conv1", "conv2", "hidden@2", "input", ""}
    assert "head.weight" in run.snapshots[0], "weights are kept for all layers"


def test_unknown_layers_and_measures_are_listed_before_anything_is_written(
    tmp_path: Path, small: nn.Module, example: Tensor
) -> None:
    folder = tmp_path / "run"
    words = r"no group or synapse matches conv9, x\*\. The groups and synapses are: input, conv1, .*head"
    with pytest.raises(ConfigurationError, match=words):
        Recorder(folder, small, example, layers=["conv9", "conv1", "x*"])
    near = r"Did you mean node_strength or neuron_strength\?"
    words = rf"unknown measure: strength\. {near} The measures are: {', '.join(CATALOGUE)}"
    with pytest.raises(ConfigurationError, match=words):
        Recorder(folder, small, example, measures=["node_strength", "strength"])
    assert not folder.exists()


def test_one_measure_one_pattern_as_plain_text(tmp_path: Path, small: nn.Module, example: Tensor) -> None:
    with Recorder(tmp_path / "run", small, example, measures="layer_fluctuation", layers="conv1") as recorder:
        recorder.record(0)
    frame = load(tmp_path / "run").metrics
    assert [tuple(row) for row in frame[["group", "metric"]].values] == [("conv1", "layer_fluctuation")]


def test_without_weights_and_without_measures(tmp_path: Path, small: nn.Module, example: Tensor) -> None:
    with Recorder(tmp_path / "run", small, example, keep_weights=False, measures=()) as recorder:
        recorder.record(0)
        recorder.record(1, loss=2.0)
        with pytest.raises(RunError, match=r"recorded with keep_weights=False and without an optimizer"):
            recorder.restore()
    run = load(tmp_path / "run")
    assert run.steps == (0, 1)
    assert len(run.snapshots) == 0
    assert run.scalars()["loss"].tolist()[1:] == [2.0]
    assert sorted(path.name for path in run.folder.iterdir()) == ["metrics.parquet", "run.json"]


@pytest.mark.parametrize("step", [4, 3, -1, 2**63])
def test_steps_increase(tmp_path: Path, small: nn.Module, example: Tensor, step: int) -> None:
    with Recorder(tmp_path / "run", small, example) as recorder:
        recorder.record(4)
        with pytest.raises(RunError, match=rf"steps increase; got {step} after 4"):
            recorder.record(step)
        recorder.record(np.int64(5))
        recorder.record(torch.tensor(6))
    assert load(tmp_path / "run").steps == (4, 5, 6)


def test_scalars_are_numbers_with_names_of_their_own(tmp_path: Path, small: nn.Module, example: Tensor) -> None:
    with Recorder(tmp_path / "run", small, example) as recorder:
        recorder.record(0, a=1, b=np.float32(0.5), c=torch.tensor([2.0], requires_grad=True), d=float("nan"), e=True)
        with pytest.raises(RunError, match=r"a scalar is one number; got pair="):
            recorder.record(1, pair=torch.zeros(2))
        with pytest.raises(RunError, match=r"the scalar node_strength has the name of a measure"):
            recorder.record(1, node_strength=3.0)
    scalars = load(tmp_path / "run").scalars()
    assert scalars.index.tolist() == [0]
    assert scalars.iloc[0].drop("d").to_dict() == {"a": 1.0, "b": 0.5, "c": 2.0, "e": 1.0}
    assert np.isnan(scalars.loc[0, "d"])


def test_a_measure_of_ones_own_is_recorded(tmp_path: Path, small: nn.Module, example: Tensor) -> None:
    from axonometry.metrics.catalogue import MetricSpec, Shared, register_measure

    def links(shared: Shared) -> Iterator[tuple[str, str, float]]:
        yield "", "value", float(shared.graph.n_links)

    about = {"units": "", "range": "", "invariances": "", "source": ""}
    register_measure(MetricSpec(name="links", title="Links", function=links, table=links, **about))
    try:
        with Recorder(tmp_path / "run", small, example, measures=["links"], layers=["conv1"]) as recorder:
            recorder.record(0, loss=1.0)
    finally:
        del CATALOGUE["links"]
    run = load(tmp_path / "run")
    assert run.metrics["metric"].tolist() == ["links", "loss"]
    assert run.scalars().columns.tolist() == ["loss"], "a measure of the whole network is no scalar"


# wrapped models -------------------------------------------------------------------------------------------------------


def test_wrapped_models_are_recorded_under_their_own_names(tmp_path: Path, small: nn.Module, example: Tensor) -> None:
    compiled = torch.compile(small, backend="eager")
    compiled(example.repeat(2, 1, 1, 1))
    for number, wrapped in enumerate((compiled, nn.DataParallel(small), nn.DataParallel(compiled))):
        assert unwrapped(wrapped) is small
        if number < 2:
            with Recorder(tmp_path / str(number), wrapped, example) as recorder:
                recorder.record(0)
            assert list(load(tmp_path / str(number)).snapshots[0]) == list(small.state_dict())
    assert unwrapped(small) is small


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch was built without distributed training")
def test_a_model_in_distributed_training(tmp_path: Path, small: nn.Module, example: Tensor) -> None:
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        model = nn.parallel.DistributedDataParallel(small)
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        with Recorder(tmp_path / "run", model, example) as recorder:
            learn(model, optimizer)
            recorder.record(0, optimizer=optimizer)
            learn(model, optimizer)
            recorder.restore(optimizer)
    finally:
        torch.distributed.destroy_process_group()
    assert list(load(tmp_path / "run").snapshots[0]) == list(small.state_dict())


def test_state_that_is_no_tensor_is_left_out_with_a_warning(tmp_path: Path, example: Tensor) -> None:
    class Counting(nn.Linear):
        count = 3

        def get_extra_state(self) -> dict[str, int]:
            return {"count": self.count}

        def set_extra_state(self, state: dict[str, int]) -> None:
            self.count = state["count"]

    model = nn.Sequential(nn.Flatten(), Counting(64, 2))
    with pytest.warns(UserWarning, match=r"not tensors are not recorded: 1\._extra_state"):
        recorder = Recorder(tmp_path / "run", model, example)
    with recorder:
        recorder.record(0)
        before = model[1].weight.clone()
        nn.init.zeros_(model[1].weight)
        model[1].count = 4
        recorder.restore()
    assert torch.equal(model[1].weight, before)
    assert model[1].count == 4, "what was not recorded is not restored"


def test_bfloat16_weights_under_autocast(tmp_path: Path, small: nn.Module, example: Tensor) -> None:
    model = small.to(torch.bfloat16)
    with Recorder(tmp_path / "run", model, example.bfloat16()) as recorder, torch.autocast("cpu", dtype=torch.bfloat16):
        recorder.record(0)
    run = load(tmp_path / "run", model, example.bfloat16())
    assert run.snapshots[0]["head.weight"].dtype == torch.bfloat16
    expected = measure(run.graph(0), ["node_strength"])["value"]
    found = run.metrics[run.metrics["metric"] == "node_strength"]["value"]
    assert found.tolist() == expected.tolist(), "measured in float32, not in autocast's type"


def test_recording_and_restoring_while_evaluating(tmp_path: Path, small: nn.Module, example: Tensor) -> None:
    optimizer = torch.optim.Adam(small.parameters())
    learn(small, optimizer)
    with Recorder(tmp_path / "run", small, example) as recorder, torch.inference_mode():
        recorder.record(0, optimizer=optimizer)
        recorder.restore(optimizer)
    learn(small, optimizer)  # no tensor of the inference mode is left in the model or the optimizer


# begin, go on, end ----------------------------------------------------------------------------------------------------


def test_a_folder_that_holds_a_run_is_not_written_over(tmp_path: Path, small: nn.Module, example: Tensor) -> None:
    with Recorder(tmp_path / "run", small, example) as recorder:
        recorder.record(0)
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    with pytest.raises(RunError, match=r"run already holds a run\. Pass resume=True to resume it, or choose"):
        Recorder(tmp_path / "run", small, example)
    assert before == {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}


def test_a_folder_that_holds_something_else_is_not_written_to(
    tmp_path: Path, small: nn.Module, example: Tensor
) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    for resume in (False, True):
        with pytest.raises(RunError, match=r"is not empty: it holds thesis\.tex\. Choose another folder"):
            Recorder(tmp_path, small, example, resume=resume)
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunError, match=r"cannot write to .*file: "):
        Recorder(tmp_path / "file", small, example)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "thesis.tex"]


def test_an_empty_or_absent_folder_is_begun_with_or_without_resume(
    tmp_path: Path, small: nn.Module, example: Tensor
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "run.json.partial").write_text('{"for')  # killed while it began
    for name, resume in (("empty", False), ("deep/er", True)):
        with Recorder(tmp_path / name, small, example, resume=resume) as recorder:
            assert recorder.restore() is None
            recorder.record(0)
        assert load(tmp_path / name).steps == (0,)


def test_two_recorders_at_once(tmp_path: Path, small: nn.Module, example: Tensor) -> None:
    with Recorder(tmp_path / "run", small, example) as first:
        first.record(0)
        for resume in (False, True):
            words = r"another process is writing .*: one recorder writes a run folder at a time"
            with pytest.raises(RunError, match=words):
                Recorder(tmp_path / "run", small, example, resume=resume)
        first.record(1)
    assert load(tmp_path / "run").steps == (0, 1)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_what_was_recorded_before_an_interruption_stays_and_the_lock_goes(
    tmp_path: Path, small: nn.Module, example: Tensor, error: type[BaseException]
) -> None:
    def train() -> None:
        with Recorder(tmp_path / "run", small, example) as recorder:
            recorder.record(0, loss=1.0)
            recorder.record(1, loss=0.5)
            raise error("in the middle")

    with pytest.raises(error, match=r"^in the middle$"):
        train()
    run = load(tmp_path / "run")
    assert (run.steps, run.complete) == ((0, 1), False)
    assert run.scalars()["loss"].tolist() == [1.0, 0.5]
    assert verify(run.folder) == ()
    with Recorder(tmp_path / "run", small, example, resume=True) as recorder:
        recorder.record(2, loss=0.25)
    run = load(tmp_path / "run")
    assert (run.steps, run.complete) == ((0, 1, 2), True)
    assert run.scalars()["loss"].tolist() == [1.0, 0.5, 0.25]


def test_a_closed_recorder_records_no_more(tmp_path: Path, small: nn.Module, example: Tensor) -> None:
    recorder = Recorder(tmp_path / "run", small, example)
    recorder.record(0)
    assert not load(tmp_path / "run").complete
    recorder.close()
    recorder.close()
    with pytest.raises(RunError, match=r"the recorder is closed\. Open it with resume=True"):
        recorder.record(1)
    assert load(tmp_path / "run").complete
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["metrics.parquet", "run.json", "snapshots"]


def test_a_run_that_goes_on_is_not_complete_until_it_ends_again(
    tmp_path: Path, small: nn.Module, example: Tensor
) -> None:
    folder = tmp_path / "run"
    with Recorder(folder, small, example) as recorder:
        recorder.record(0)
    with Recorder(folder, small, example, resume=True):
        assert load(folder).complete, "nothing has been added yet"

    def go_on() -> None:
        with Recorder(folder, small, example, resume=True) as recorder:
            recorder.record(1)
            assert not load(folder).complete
            raise KeyboardInterrupt("now")

    with pytest.raises(KeyboardInterrupt, match=r"^now$"):
        go_on()
    assert not load(folder).complete
    Recorder(folder, small, example, resume=True).close()
    assert load(folder).complete


def test_another_network_does_not_go_on_with_a_run(tmp_path: Path, example: Tensor) -> None:
    def network(width: int) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 2))

    with Recorder(tmp_path / "run", network(3), example, configuration={"lr": 0.1}) as recorder:
        recorder.record(0)
    for other, options, differing in (
        (network(4), {}, "network"),
        (network(3), {"measures": ()}, "measures"),
        (network(3), {"keep_weights": False}, "keep_weights"),
        (network(3), {"configuration": {"lr": 0.2}}, "configuration"),
    ):
        with pytest.raises(RunError, match=rf"was recorded differently: {differing}\."):
            Recorder(tmp_path / "run", other, example, resume=True, **options)
    with Recorder(tmp_path / "run", network(3), example, resume=True) as recorder:
        recorder.record(1)
    assert load(tmp_path / "run").configuration == {"lr": 0.1}


@pytest.mark.parametrize("keep_weights", [True, False])
@pytest.mark.parametrize("make", [lambda p: torch.optim.Adam(p, 0.01), lambda p: torch.optim.SGD(p, 0.1, momentum=0.9)])
def test_a_continued_run_equals_the_uninterrupted_one(
    tmp_path: Path, small: nn.Module, example: Tensor, make: Any, keep_weights: bool
) -> None:
    def train(folder: Path, model: nn.Module, stop: int) -> dict[str, Tensor]:
        optimizer = make(model.parameters())
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
        state = {"optimizer": optimizer, "schedule": schedule}
        options: dict[str, Any] = {"resume": True, "keep_weights": keep_weights, "measures": ("link_weights",)}
        with Recorder(folder, model, example, **options) as recorder:
            last = recorder.restore(state)
            for step in range(0 if last is None else last + 1, stop):
                loss = learn(model, optimizer)
                schedule.step()
                recorder.record(step, optimizer=state, loss=loss)
        return model.state_dict()

    fresh = copy.deepcopy(small.state_dict())
    torch.manual_seed(3)
    expected = copy.deepcopy(train(tmp_path / "whole", small, 5))
    small.load_state_dict(fresh)
    torch.manual_seed(3)
    train(tmp_path / "cut", small, 2)
    torch.manual_seed(99)  # another process starts from elsewhere
    nn.init.zeros_(small.head.weight)
    found = train(tmp_path / "cut", small, 5)
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    pd.testing.assert_frame_equal(load(tmp_path / "cut").metrics, load(tmp_path / "whole").metrics, check_exact=True)
    assert [path.name for path in (tmp_path / "cut" / "resume").iterdir()] == ["4.safetensors"]


def test_restoring_what_was_not_recorded(tmp_path: Path, small: nn.Module, example: Tensor) -> None:
    optimizer = torch.optim.SGD(small.parameters(), 0.1)
    with Recorder(tmp_path / "run", small, example) as recorder:
        recorder.record(0, optimizer=optimizer)
        recorder.record(1)
        before = copy.deepcopy(small.state_dict())
        learn(small, optimizer)
        with pytest.raises(RunError, match=r"no optimizer was recorded at step 1 of "):
            recorder.restore(optimizer)
        assert not torch.equal(small.head.weight, before["head.weight"]), "a refused restoring changes nothing"
        assert recorder.restore() == 1
        assert all(torch.equal(tensor, before[name]) for name, tensor in small.state_dict().items())
        recorder.record(2, optimizer={"a": optimizer})
        with pytest.raises(RunError, match=r"restore takes the same states as record: a; got optimizer\."):
            recorder.restore(optimizer)
        with pytest.raises(RunError, match="the recorded state does not fit the optimizer: "):
            recorder.restore({"a": torch.optim.SGD([{"params": [p]} for p in small.parameters()], 0.1)})


def test_a_model_loaded_from_the_snapshot_of_another_type(tmp_path: Path, small: nn.Module, example: Tensor) -> None:
    with Recorder(tmp_path / "run", small, example) as recorder:
        recorder.record(0)
        parameter = small.head.weight
        small.double()
        recorder.restore()
        assert small.head.weight.dtype == torch.float64
        assert torch.equal(small.head.weight.float(), parameter.float())


# trouble --------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files as Linux does")
@pytest.mark.parametrize("limit", [0, 300, 2500, 5000, 20_000])
def test_a_full_disk_costs_the_step_and_nothing_else(
    tmp_path: Path, small: nn.Module, example: Tensor, limit: int
) -> None:
    optimizer = torch.optim.Adam(small.parameters())
    learn(small, optimizer)
    folder = tmp_path / "run"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Recorder(folder, small, example) as recorder:
        recorder.record(0, optimizer=optimizer)
        before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            with pytest.raises(RunError, match=r"cannot write .*File too large.*Files written before are intact"):
                recorder.record(1, optimizer=optimizer)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert recorder.last_step == 0
        assert before.items() <= {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}.items()
        assert not list(folder.rglob("*.partial"))
        assert load(folder).steps == (0,)
        assert verify(folder) == ()
        assert recorder.restore(optimizer) == 0
        recorder.record(1, optimizer=optimizer)
    assert load(folder).steps == (0, 1)


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files as Linux does")
def test_a_full_disk_at_the_end_costs_nothing(tmp_path: Path, small: nn.Module, example: Tensor) -> None:
    folder = tmp_path / "run"
    recorder = Recorder(folder, small, example)
    recorder.record(0)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(RunError, match="File too large"):
            recorder.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    run = load(folder)
    assert (run.steps, run.complete) == ((0,), False)
    Recorder(folder, small, example, resume=True).close()
    assert load(folder).complete


def test_an_optimizer_whose_state_cannot_be_stored_is_refused_and_the_step_may_be_recorded_without(
    tmp_path: Path, small: nn.Module, example: Tensor
) -> None:
    class Odd(torch.optim.SGD):
        def state_dict(self) -> dict[str, Any]:
            return {"closure": len}

    with Recorder(tmp_path / "run", small, example) as recorder:
        words = r"got builtin_function_or_method at the state\.optimizer\.optimizer\.closure"
        with pytest.raises(RunError, match=words):
            recorder.record(0, optimizer=Odd(small.parameters(), 0.1))
        recorder.record(0)
    assert load(tmp_path / "run").steps == (0,)


def test_leftovers_of_a_killed_recorder_go_when_the_run_goes_on(
    tmp_path: Path, small: nn.Module, example: Tensor
) -> None:
    folder = tmp_path / "run"
    optimizer = torch.optim.SGD(small.parameters(), 0.1)
    with Recorder(folder, small, example) as recorder:
        recorder.record(0, optimizer=optimizer)
    (folder / "snapshots" / "1.safetensors").write_bytes(b"half")
    (folder / "resume" / "1.safetensors").write_bytes(b"half")
    (folder / "snapshots" / "1.safetensors.partial").write_bytes(b"half")
    (folder / "snapshots" / "mine.safetensors").write_bytes(b"the user's")
    assert load(folder).steps == (0,)
    assert verify(folder) == ()
    with Recorder(folder, small, example, resume=True) as recorder:
        assert recorder.last_step == 0
        assert not (folder / "snapshots" / "1.safetensors").exists()
        assert not (folder / "resume" / "1.safetensors").exists()
        recorder.record(1)
        assert not (folder / "snapshots" / "1.safetensors.partial").exists()
        assert not (folder / "resume" / "0.safetensors").exists(), "nothing continues from an older step"
    assert (folder / "snapshots" / "mine.safetensors").exists()
    assert verify(folder) == ()


def test_a_damaged_run_is_not_gone_on_with_and_not_harmed(tmp_path: Path, small: nn.Module, example: Tensor) -> None:
    folder = tmp_path / "run"
    with Recorder(folder, small, example) as recorder:
        recorder.record(0)
    for name in ("metrics.parquet", "run.json"):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: len(whole) // 2])
        before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        with pytest.raises(RunError, match=f"corrupt file: .*{name}: "):
            Recorder(folder, small, example, resume=True)
        assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        (folder / name).write_bytes(whole)


READ_ONLY = """
import os, sys, torch
from pathlib import Path
from torch import nn
from axonometry.errors import RunError
from axonometry.trajectory import Recorder, load, verify
folder = Path(sys.argv[1])
model = nn.Sequential(nn.Linear(2, 3))
with Recorder(folder, model, torch.zeros(1, 2)) as recorder:
    recorder.record(0, loss=1.0)
for place, rooms, files in os.walk(folder):
    for name in files:
        os.chmod(os.path.join(place, name), 0o444)
    os.chmod(place, 0o555)
if os.getuid() == 0:
    os.setuid(65534)
run = load(folder, model, torch.zeros(1, 2))
assert run.metrics.shape[0] > 1 and run.snapshots[0] and run.graph(0).n_links == 6 and verify(folder) == ()
for place, resume in ((folder, True), (folder, False), (folder / "new", False)):
    try:
        Recorder(place, model, torch.zeros(1, 2), resume=resume)
    except RunError as error:
        assert "cannot write to" in str(error), error
    else:
        raise AssertionError(place)
print("read only")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_a_read_only_folder_is_read_and_not_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    for folder in tmp_path.parents:  # pytest's folders are for their owner only
        if folder.name.startswith(("pytest-", "popen-")):  # the second of pytest-xdist's processes
            folder.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-c", READ_ONLY, str(tmp_path / "run")], capture_output=True, text=True, check=False
    )
    for place, _, _ in os.walk(tmp_path / "run"):
        Path(place).chmod(0o755)
    assert done.stdout == "read only\n", done.stderr


def test_a_record_is_cheap(tmp_path: Path, small: nn.Module, example: Tensor) -> None:
    """A loose bound, against accidents: capturing once more, compiling, reading the folder."""
    times = []
    with Recorder(tmp_path / "run", small, example) as recorder:
        for step in range(12):
            begun = time.process_time()
            recorder.record(step, loss=0.5)
            times.append(time.process_time() - begun)
    assert sorted(times)[6] < 0.15


MEASURED = ("link_weights", "neuron_activation")


class TimeFirst(nn.Module):
    """Torch's own order of axes, and a mask that is passed by name."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.LSTM(3, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor, *, gain: Tensor) -> Tensor:
        return self.head(self.body(x)[0] * gain)


def test_a_network_that_needs_more_than_an_example(tmp_path: Path) -> None:
    model, x, gain = TimeFirst(), torch.randn(5, 7, 3), torch.ones(5, 7, 1)
    graph = capture(model, x[:, :1], batch_axis=1, gain=gain[:, :1])
    samples = {"x": x, "gain": gain}
    with Recorder(tmp_path / "run", model, graph=graph, measures=MEASURED, samples=samples) as recorder:
        for step in range(2):
            recorder.record(step)
            with torch.no_grad():
                model.head.weight.mul_(2)
    run = load(tmp_path / "run", graph=graph)
    assert run.description.samples["count"] == 7
    assert torch.equal(run.graph(1).state["head.weight"] * 2, model.head.weight)
    expected = neuron_activation(run.graph(1), samples).pooled["head"].mean
    table = run.metrics.set_index(["metric", "step", "group", "statistic"])["value"]
    assert table["neuron_activation", 1, "head", "mean"] == pytest.approx(expected)
    again = remeasure(run, "neuron_strength", samples=samples)
    assert set(again.metrics["metric"]) == {*MEASURED, "neuron_strength"}
    assert again.graph(0).groups == run.groups


def test_example_or_graph(tmp_path: Path, small: nn.Module, example: Tensor) -> None:
    folder, graph = tmp_path / "run", capture(small, example)
    with pytest.raises(ConfigurationError, match="either example inputs or a graph; got both"):
        Recorder(folder, small, example, graph=graph)
    words = r"example inputs or a graph; got neither\. .*graph=axonometry\.capture"
    with pytest.raises(ConfigurationError, match=words):
        Recorder(folder, small)
    with pytest.raises(ConfigurationError, match=r"the model as it is now; got .*other tensors for conv1\.weight"):
        Recorder(folder, copy.deepcopy(small), graph=graph)
    with pytest.raises(ConfigurationError, match="mapped weights"):
        Recorder(folder, small, graph=graph.abs())
    assert not folder.exists()
    with Recorder(folder, small, graph=graph) as recorder:
        recorder.record(0)
    with pytest.raises(ConfigurationError, match="got both"):
        load(folder, small, example, graph=graph)
    with pytest.raises(ConfigurationError, match="got neither"):
        load(folder, small).graph(0)
    with pytest.raises(RunError, match="groups, synapses or wires differ"):
        load(folder, graph=capture(nn.Linear(2, 2), torch.zeros(1, 2))).graph(0)
    assert load(folder, small, example).graph(0).groups == load(folder, graph=graph).graph(0).groups


def test_another_activation_function_does_not_go_on_with_a_run(tmp_path: Path) -> None:
    def network(activation: nn.Module) -> nn.Module:
        return nn.Sequential(nn.Linear(3, 2), activation, nn.Linear(2, 1))

    example = torch.zeros(1, 3)
    with Recorder(tmp_path / "run", network(nn.LeakyReLU(0.1)), example) as recorder:
        recorder.record(0)
    for other, words in (
        (nn.Tanh(), r"aten\.tanh\.default"),
        (nn.LeakyReLU(0.2), r"aten\.leaky_relu\.default\(%\d, 0\.2\)"),
    ):
        with pytest.raises(RunError, match=rf"recorded differently: {words}.* where the run has .*leaky_relu.*0\.1"):
            Recorder(tmp_path / "run", network(other), example, resume=True)
    with Recorder(tmp_path / "run", network(nn.LeakyReLU(0.1)).double(), example.double(), resume=True) as recorder:
        assert recorder.last_step == 0, "a type may change, as before"
    content = json.loads((tmp_path / "run" / "run.json").read_text())
    content["software"][-1]["torch"] = "1.0"
    (tmp_path / "run" / "run.json").write_text(json.dumps(content))
    with Recorder(tmp_path / "run", network(nn.Tanh()), example, resume=True) as recorder:
        assert recorder.last_step == 0, "other versions write calls differently"
