"""Whether checkpoints are the steps of one run: real trainings, as they are and with one fault each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from axonometry.checkpoints.path_geometry import squared_distances
from axonometry.checkpoints.sequence import Item
from axonometry.checkpoints.sequence_places import Placing, scaled_records
from axonometry.checkpoints.sequence_records import Records, StepRecord
from axonometry.checkpoints.sketches import TensorSketch
from axonometry.checkpoints.verification import SequenceReport, verify_sequence
from axonometry.errors import CheckpointError
from tests.checkpoints.trained import SCHEDULES, State, saved, trained

KINDS, OPTIMISERS = ("dense", "convolutional"), ("sgd", "adam")
RUNS = [(kind, schedule, optimiser) for kind in KINDS for schedule in SCHEDULES for optimiser in OPTIMISERS]


def told(report: SequenceReport) -> set[tuple[str, str]]:
    return {(finding.step.removesuffix(".npz"), finding.kind) for finding in report.findings}


@pytest.mark.parametrize("run", RUNS, ids="-".join)
def test_one_run_is_one_run(tmp_path: Path, run: tuple[str, str, str]) -> None:
    report = verify_sequence([saved(tmp_path / "run", trained(*run, seed=3))])
    assert report.findings == ()
    assert len(report.steps) == 24
    assert all(np.isnan(step.detour) or step.detour < 2.5 for step in report.steps)


def planted(fault: str, run: tuple[str, str, str], seed: int) -> tuple[list[State], set[int], str]:
    """A run with a fault: the states, the steps of which one at least has to be named and none besides, the kind."""
    draw = np.random.default_rng(seed)
    states, other = list(trained(*run, seed=3)), trained(*run, seed=4)
    i, j = sorted(int(one) for one in draw.choice(np.arange(2, len(states) - 2), 2, replace=False))
    names = list(states[0])
    half = names[: len(names) // 2]
    matrix = "0.weight" if run[0] == "dense" else "1.weight"
    match fault:
        case "copy":
            states[j] = states[i]
            return states, {i, j}, "copy"
        case "neighbours":
            states[i], states[i + 1] = states[i + 1], states[i]
            return states, {i, i + 1}, "order"
        case "exchanged":
            states[i], states[j] = states[j], states[i]
            return states, {i, j}, "order"
        case "final":
            states[i] = states.pop()
            return states, {i}, "order"
        case "another run":
            states[i] = other[i]
            return states, {i}, "foreign"
        case "a shard of another step":
            states[i] = {**states[i], **{name: states[j][name] for name in half}}
            return states, {i, j}, "shard"
        case "a shard of another run":
            states[i] = {**states[i], **{name: other[i][name] for name in half}}
            return states, {i}, "shard"
        case _:
            damaged = states[i][matrix].copy()
            if fault == "a flipped bit":
                damaged.reshape(-1)[5] *= np.float32(2.0**30)
            else:
                damaged.reshape(-1)[: damaged.size // 3] = np.nan if fault == "NaN" else 0
            states[i] = {**states[i], matrix: damaged}
            return states, {i}, "damaged"


FAULTS = ("copy", "neighbours", "exchanged", "final", "another run", "a shard of another step")
FAULTS = (*FAULTS, "a shard of another run", "a flipped bit", "NaN", "zeros")


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("number", range(4))
def test_a_fault_is_named(tmp_path: Path, fault: str, number: int) -> None:
    run = RUNS[(5 * number + 7 * FAULTS.index(fault)) % len(RUNS)]
    states, steps, kind = planted(fault, run, seed=number)
    found = told(verify_sequence([saved(tmp_path / "run", states)]))
    assert found, run
    assert {name for name, _ in found} <= {f"step_{step}" for step in steps}, run
    assert {kind for _, kind in found} == {kind}, run


def test_two_faults_are_named_apart(tmp_path: Path) -> None:
    states = list(trained("dense", "cosine", "adam", seed=3))
    states[5], states[15] = trained("dense", "cosine", "adam", seed=4)[5], states[10]
    found = told(verify_sequence([saved(tmp_path / "run", states)]))
    assert found == {("step_5", "foreign"), ("step_15", "copy")}


@pytest.mark.parametrize("matrix", ["0.weight", "4.weight"])
@pytest.mark.parametrize("step", [1, 12, 23])
def test_a_value_that_dwarfs_all_others(tmp_path: Path, matrix: str, step: int) -> None:
    """Distances from the mean have no digits left beside it, and the tensor seems to stand still."""
    states = list(trained("dense", "cosine", "adam", seed=3))
    wild = states[step][matrix].copy()
    wild[3, 5] = 3e12
    states[step] = {**states[step], matrix: wild}
    assert told(verify_sequence([saved(tmp_path / "run", states)])) == {(f"step_{step}", "damaged")}


ENDS = [(("dense", "cosine", "adam"), step) for step in (0, 1, 22, 23)]
ENDS += [(("convolutional", "constant", "sgd"), step) for step in (0, 22, 23)]


@pytest.mark.parametrize(("run", "step"), ENDS)
def test_a_step_of_another_run_at_either_end(tmp_path: Path, run: tuple[str, str, str], step: int) -> None:
    states = list(trained(*run, seed=3))
    states[step] = trained(*run, seed=4)[step]
    assert told(verify_sequence([saved(tmp_path / "run", states)])) == {(f"step_{step}", "foreign")}


def test_steps_in_the_place_of_the_first(tmp_path: Path) -> None:
    states = list(trained("dense", "constant", "adam", seed=3))
    begun = [states[1], states[0], *states[2:]]
    (found,) = told(verify_sequence([saved(tmp_path / "begun", begun)]))
    assert found in {("step_0", "order"), ("step_1", "order")}
    assert told(verify_sequence([saved(tmp_path / "last", [states[-1], *states[1:-1]])])) == {("step_0", "order")}


def test_weights_that_are_tuned(tmp_path: Path) -> None:
    """Small steps nearly go straight on: there a step of another run is told by half a detour of the usual ones."""
    states = list(trained("dense", "constant", "sgd", seed=3, tuned=True))
    assert verify_sequence([saved(tmp_path / "run", states)]).findings == ()
    states[15] = trained("dense", "constant", "sgd", seed=4, tuned=True)[15]
    assert told(verify_sequence([saved(tmp_path / "run", states)])) == {("step_15", "foreign")}


def test_numbers_that_rounding_leaves_the_same(tmp_path: Path) -> None:
    """A gain near 1 in bfloat16 stands still over some steps, among weights that move; a matrix does not."""
    draw = torch.Generator().manual_seed(0)
    weight, gain, states = torch.randn(64, 48, generator=draw), torch.ones(48), []
    for _ in range(16):
        states.append({"weight": weight.bfloat16(), "gain": gain.bfloat16()})
        weight = weight + 0.05 * torch.randn(64, 48, generator=draw)
        gain = gain + 0.0006 * torch.randn(48, generator=draw)
    (folder := tmp_path / "run").mkdir()
    for step, state in enumerate(states):
        torch.save(state, folder / f"step_{step}.pt")
    assert verify_sequence([folder]).findings == ()
    torch.save({**states[9], "weight": states[8]["weight"]}, folder / "step_9.pt")
    (found,) = verify_sequence([folder]).findings
    assert (found.kind, found.tensors) == ("shard", ("weight",))


def test_tensors_that_stand_still(tmp_path: Path) -> None:
    frozen = {"table": np.arange(40, dtype=np.float32), "mask": np.tri(6, dtype=bool)}
    states = [{**state, **frozen} for state in trained("dense", "constant", "adam", seed=3)]
    states[7]["table"] = states[7]["table"][::-1].copy()
    report = verify_sequence([saved(tmp_path / "run", states)])
    assert told(report) == {("step_7", "shard")}
    assert report.findings[0].tensors == ("table",)


def test_many_small_tensors_are_not_told_apart_by_chance() -> None:
    """Of a mixture of experts each tensor has a record of 17 sums, whose distances are off by a third."""
    draw = np.random.default_rng(0)
    walk, steps = draw.standard_normal((1500, 17)), []
    for step in range(12):
        tensors = {f"{n}.weight": TensorSketch(sums.copy(), 4096, step * 1500 + n, 0, 0) for n, sums in enumerate(walk)}
        steps.append(StepRecord(Item(Path(f"{step}"), f"{step}", step), tensors))
        walk += 0.1 * draw.standard_normal(walk.shape)
    names = tuple(steps[0].tensors)
    records, road = Records(tuple(steps), names, names, names), list(range(12))
    moving = dict.fromkeys(names, 0.17)
    assert Placing(records, road, moving, squared_distances(scaled_records(records, moving))).findings() == []


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ([100 * n for n in range(25) if n != 7], "1 missing before it: no step 700 after 600"),
        ([0, *(2**n for n in range(24) if n != 6)], "1 missing before it: no step 64 after 32"),
        ([0, *range(200, 2300, 100)], "1 missing before it: no step 100 after 0"),
        ([*range(0, 2000, 100), 2200], "2 missing before it: no step 2000 after 1900"),
        ([0, 100, 200, 400, 600, 700, 800], "1 missing before it: no step 300 after 200"),
        ([0, *(2**n for n in range(10)), *range(1000, 14000, 1000)], ""),
        ([*range(0, 2000, 100), *range(2000, 4000, 500)], ""),
    ],
)
def test_missing_steps_by_their_numbers(tmp_path: Path, numbers: list[int], text: str) -> None:
    states = trained("dense", "constant", "sgd", seed=3)
    report = verify_sequence([saved(tmp_path / "run", states[: len(numbers)], numbers[:24])])
    assert [finding.text for finding in report.findings][:1] == ([text] if text else [])


def test_replicas_of_a_step(tmp_path: Path) -> None:
    states = trained("dense", "constant", "sgd", seed=3)
    for step in range(4):
        for rank in range(2):
            state = {**states[step], "0.bias": states[step]["0.bias"] + (step == 2) * rank}
            np.savez(tmp_path / f"step_{step}_rank{rank}.npz", **state)
    (finding,) = verify_sequence([tmp_path]).findings
    assert (finding.step, finding.kind, finding.tensors) == ("step_2_rank1.npz", "replica", ("0.bias",))


def test_files_that_cannot_be_read_and_other_networks(tmp_path: Path) -> None:
    folder = saved(tmp_path / "run", trained("dense", "constant", "sgd", seed=3)[:6])
    (folder / "step_1.npz").write_bytes((folder / "step_1.npz").read_bytes()[:-400])
    state = dict(np.load(folder / "step_3.npz"))
    np.savez(folder / "step_3.npz", **{name: array for name, array in state.items() if name != "4.bias"})
    report = verify_sequence([folder])
    assert told(report) == {("step_1", "unread"), ("step_3", "network")}
    assert report.findings[1].text == "lacks 1 of 6 tensors: 4.bias"


def test_a_list_gives_the_order(tmp_path: Path) -> None:
    folder = saved(tmp_path / "run", trained("dense", "constant", "sgd", seed=3)[:8])
    order = [0, 1, 2, 6, 4, 5, 3, 7]
    (tmp_path / "steps.txt").write_text("# in order\n" + "".join(f"run/step_{step}.npz\n\n" for step in order))
    assert verify_sequence([folder]).findings == ()
    assert {name for name, _ in told(verify_sequence([tmp_path / "steps.txt"]))} == {"step_6", "step_3"}
    assert verify_sequence([folder / f"step_{step}.npz" for step in range(8)]).findings == ()


def test_names_without_a_step_have_no_place(tmp_path: Path) -> None:
    states = trained("dense", "constant", "sgd", seed=3)[:8]
    folder = saved(tmp_path / "run", states)
    np.savez(folder / "best.npz", **states[3])
    assert verify_sequence([folder]).findings == ()


def test_sixteen_bits_and_frozen_tensors(tmp_path: Path) -> None:
    states = trained("dense", "constant", "adam", seed=3)
    for step, state in enumerate(states):
        kept = {name: torch.from_numpy(array).bfloat16() for name, array in state.items()}
        kept["0.weight"] = torch.from_numpy(states[0]["0.weight"])
        torch.save(kept, tmp_path / f"step_{step}.pt")
    report = verify_sequence([tmp_path])
    assert (report.findings, report.tensors, report.moving) == ((), 6, 5)


def test_what_is_no_sequence(tmp_path: Path) -> None:
    folder = saved(tmp_path / "run", trained("dense", "constant", "sgd", seed=3)[:2])
    with pytest.raises(CheckpointError, match=r"a sequence is two checkpoints or more; got .*which is one"):
        verify_sequence([folder / "step_0.npz"])
    (folder / "step_0.npz").write_bytes(b"PK")
    with pytest.raises(CheckpointError, match="a sequence has two steps that can be read; got 1: "):
        verify_sequence([folder])
    (tmp_path / "steps.txt").write_text("nothing.npz\n")
    with pytest.raises(CheckpointError, match=r"no such file or folder: .*nothing\.npz"):
        verify_sequence([tmp_path / "steps.txt"])
