"""Every file of a run, damaged on purpose."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from axonometry.errors import RunError
from axonometry.trajectory import Recorder, load, verify
from tests.trajectory.conftest import Small


@pytest.fixture(params=["under way", "closed", "gone on with"])
def folder(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    small: Small,
    example: Tensor,
) -> Path:
    """A run with every kind of file that it can have."""
    optimizer = torch.optim.SGD(small.parameters(), 0.1, momentum=0.9)
    with Recorder(tmp_path / "run", small, example) as recording:
        recording.record(0, optimizer=optimizer, loss=1.0)
        recording.record(1, optimizer=optimizer, loss=0.5)
        if request.param == "under way":
            recording._lock.release()
            return tmp_path / "run"
    if request.param == "gone on with":
        recording = Recorder(tmp_path / "run", small, example, resume=True)
        recording.record(2, optimizer=optimizer, loss=0.25)
        recording._lock.release()
    return tmp_path / "run"


def test_a_whole_run_has_no_findings(folder: Path) -> None:
    assert verify(folder) == ()
    assert verify(str(folder)) == ()


def test_every_file_cut_short_is_found_and_nothing_else_is_harmed(folder: Path) -> None:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    assert len(files) >= 5
    for path in files:
        whole = path.read_bytes()
        for length in (0, 1, len(whole) // 2, len(whole) - 2):
            path.write_bytes(whole[:length])
            findings = verify(folder)
            assert [finding.file for finding in findings] == [path], length
            assert str(path) in findings[0].problem
            assert "\n" not in findings[0].problem
            assert {other: other.read_bytes() for other in files if other != path} == contents(files, path)
            read_all(folder, path)
        path.write_bytes(whole)
    assert verify(folder) == ()


def contents(files: list[Path], damaged: Path) -> dict[Path, bytes]:
    """What the other files hold."""
    return {path: path.read_bytes() for path in files if path != damaged}


def read_all(folder: Path, damaged: Path) -> None:
    """Reading what is whole works, reading what is damaged names the file."""
    if damaged.name in ("run.json", "metrics.parquet"):
        with pytest.raises(RunError, match=f"^corrupt file: {damaged}: "):
            load(folder)
        return
    run = load(folder)
    if damaged.suffix == ".parquet":
        with pytest.raises(RunError, match=f"^corrupt file: {damaged}: "):
            _ = run.metrics
    else:
        assert len(run.metrics)
    for step in run.steps:
        if damaged == folder / "snapshots" / f"{step}.safetensors":
            with pytest.raises(RunError, match=f"^corrupt file: {damaged}: "):
                run.snapshots[step]
        else:
            assert run.snapshots[step]


def test_one_turned_bit_in_the_weights_is_found(folder: Path) -> None:
    path = folder / "snapshots" / "1.safetensors"
    turned = bytearray(path.read_bytes())
    turned[-3] ^= 4
    path.write_bytes(turned)
    findings = verify(folder)
    assert [finding.file for finding in findings] == [path]
    assert "checksum" in findings[0].problem


def test_several_damaged_files_are_all_found(folder: Path) -> None:
    damaged = [*folder.rglob("*.parquet"), *(folder / "snapshots").iterdir()]
    for path in damaged:
        path.write_bytes(path.read_bytes()[:40])
    assert {finding.file for finding in verify(folder)} == set(damaged)


def test_a_missing_snapshot_is_found(folder: Path) -> None:
    (folder / "snapshots" / "0.safetensors").unlink()
    findings = verify(folder)
    assert [finding.file.name for finding in findings] == ["0.safetensors"]
    assert "No such file" in findings[0].problem


def test_what_is_no_run_is_said(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"not a run: .* has no run\.json"):
        verify(tmp_path)


def test_a_newer_format_is_a_finding_that_says_so(folder: Path) -> None:
    path = folder / "run.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))
    findings = verify(folder)
    assert [finding.file for finding in findings] == [path]
    assert f"{path} has format 2" in findings[0].problem
