"""Whether checkpoints are the steps of one run: real trainings, as they are and with one fault each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

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


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ([100 * n for n in range(25) if n != 7], "1 missing before it: no step 700 after 600"),
        ([0, *(2**n for n in range(24) if n != 6)], "1 missing before it: no step 64 after 32"),
        ([0, *(2**n for n in range(10)), *range(1000, 14000, 1000)], ""),
        ([*range(0, 2000, 100), *range(2000, 4000, 500)], ""),
    ],
)
def test_missing_steps_by_their_numbers(tmp_path: Path, numbers: list[int], text: str) -> None:
    states = trained("dense", "constant", "sgd", seed=3)
    report = verify_sequence([saved(tmp_path / "run", states[: len(numbers)], numbers[:24])])
    assert [finding.text for finding in report.findings] == ([text] if text else [])


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
