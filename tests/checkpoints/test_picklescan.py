"""What a pickle asks for that is dangerous, told as picklescan tells it."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

from axonometry.checkpoints import open_checkpoint

scanner = pytest.importorskip("picklescan.scanner")


def call(module: str, name: str) -> bytes:
    """A pickle that calls something by its name, whether or not it is installed here."""
    return b"\x80\x02" + f"c{module}\n{name}\n".encode() + b"X\x02\x00\x00\x00ls\x85R."


DANGEROUS = [
    *(("os", "system"), ("posix", "system"), ("nt", "system"), ("builtins", "eval"), ("builtins", "exec")),
    *(("subprocess", "Popen"), ("subprocess", "check_output"), ("webbrowser", "open"), ("httplib", "HTTPSConnection")),
    *(("runpy", "_run_code"), ("socket", "create_connection"), ("shutil", "rmtree"), ("pickle", "loads")),
    *(("builtins", "__import__"), ("importlib", "import_module"), ("builtins", "getattr"), ("operator", "attrgetter")),
    *(("torch.hub", "load"), ("sys", "exit"), ("pty", "spawn"), ("bdb", "Bdb"), ("numpy.testing", "runstring")),
]


@pytest.mark.parametrize(("module", "name"), DANGEROUS, ids=lambda part: part)
def test_what_it_calls_dangerous_is_named_and_not_run(tmp_path: Path, module: str, name: str) -> None:
    content = call(module, name)
    found = scanner.scan_bytes(io.BytesIO(content), "file.pkl", ".pkl")
    assert found.issues_count + found.suspicious_count == 1, "picklescan does not call it dangerous"
    whole = tmp_path / "whole.pt"
    state = {"w": torch.ones(2)}
    torch.save(state, whole)
    _add(whole, content)
    checkpoint = open_checkpoint(whole)
    assert f"{module}.{name}" in checkpoint.code
    assert torch.equal(checkpoint["w"], state["w"])


def _add(path: Path, content: bytes) -> None:
    """Put a call before the state in the archive's pickle; what it gives is thrown away."""
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    name = next(one for one in members if one.endswith("data.pkl"))
    plain = members[name]
    members[name] = plain[:2] + content[2:-1] + b"0" + plain[2:]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for member, raw in members.items():
            archive.writestr(member, raw)


@pytest.mark.parametrize("whole", [False, True])
def test_what_torch_saves_is_called_dangerous_by_neither(tmp_path: Path, whole: bool) -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
    torch.save(model if whole else model.state_dict(), tmp_path / "w.pt")
    assert scanner.scan_file_path(str(tmp_path / "w.pt")).issues_count == 0
    code = open_checkpoint(tmp_path / "w.pt").code
    assert all(name.startswith("torch.") for name in code)
