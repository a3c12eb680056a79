"""Checkpoints that are somewhere else: in memory, and on a server of this machine that gives ranges."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save, save_file
from torch import Tensor

from axonometry.checkpoints import open_checkpoint, open_checkpoints
from axonometry.checkpoints.remote import RemotePath, placed
from axonometry.errors import CheckpointError

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def state() -> dict[str, Tensor]:
    return {"a": torch.randn(600, 500), "b": torch.randn(3000, 500).bfloat16(), "c": torch.arange(4)}


class Server(ThreadingHTTPServer):
    """Files by name, in ranges; it counts the bytes that it sent."""

    files: dict[str, bytes]
    sent = 0
    ranges = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        server: Any = self.server
        content = server.files.get(self.path.lstrip("/"))
        if content is None:
            self.send_error(404)
            return
        told = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")) if server.ranges else None
        part = content[int(told[1]) : int(told[2] or len(content)) + 1] if told else content
        self.send_response(206 if told else 200)
        if server.ranges:
            self.send_header("Accept-Ranges", "bytes")
        if told:
            self.send_header("Content-Range", f"bytes {told[1]}-{int(told[1]) + len(part) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        if body:
            server.sent += len(part)
            with suppress(OSError):  # who asked for no range may hang up
                self.wfile.write(part)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server(state: dict[str, Tensor]) -> Iterator[Server]:
    found = Server(("127.0.0.1", 0), Handler)
    found.files = {"w.safetensors": save(state), "damaged.safetensors": save(state)[:-9], "page.safetensors": b"<html>"}
    thread = Thread(target=found.serve_forever, daemon=True)
    thread.start()
    yield found
    found.shutdown()
    found.server_close()


@pytest.fixture
def bucket(state: dict[str, Tensor], tmp_path: Path) -> Iterator[Any]:
    """A file system in memory, with a file of each kind, a folder of steps and one of shards."""
    system = fsspec.filesystem("memory")
    save_file(state, tmp_path / "w.safetensors")
    torch.save(state, tmp_path / "w.pt")
    torch.save(state, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    np.savez(tmp_path / "w.npz", a=state["a"].numpy(), c=state["c"].numpy())
    np.save(tmp_path / "w.npy", state["a"].numpy())
    for file in tmp_path.iterdir():
        system.pipe(f"/bucket/{file.name}", file.read_bytes())
    for step in (5, 10):
        system.pipe(f"/bucket/steps/step_{step}.safetensors", (tmp_path / "w.safetensors").read_bytes())
    for number, name in enumerate("ab"):
        system.pipe(f"/bucket/shards/model-0000{number + 1}-of-00002.safetensors", save({name: state[name]}))
    system.pipe("/bucket/shards/config.json", b'{"architectures": ["Net"]}')
    yield system
    system.rm("/bucket", recursive=True)


def test_only_what_is_needed_is_fetched(server: Server, state: dict[str, Tensor]) -> None:
    checkpoint = open_checkpoint(f"{server.url}/w.safetensors")
    assert checkpoint.shapes == {name: tuple(tensor.shape) for name, tensor in state.items()}
    assert server.sent < 4 * 2**16 + 2000
    before = server.sent
    assert torch.equal(checkpoint["a"], state["a"])
    assert server.sent - before < state["a"].nbytes + 2**17
    assert torch.equal(checkpoint["b"], state["b"])


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt", "w.npz", "w.npy"])
def test_every_kind_is_read_from_memory(bucket: Any, state: dict[str, Tensor], name: str) -> None:
    checkpoint = open_checkpoint(f"memory://bucket/{name}")
    assert str(checkpoint.path) == f"memory://bucket/{name}"
    for key in checkpoint:
        assert torch.equal(checkpoint[key], state.get(key, state["a"]))


def test_folders(bucket: Any, state: dict[str, Tensor]) -> None:
    assert list(open_checkpoints("memory://bucket/steps")) == ["step_5.safetensors", "step_10.safetensors"]
    checkpoint = open_checkpoint("memory://bucket/shards")
    assert (checkpoint.kind, set(checkpoint)) == ("sharded safetensors", {"a", "b"})
    assert torch.equal(checkpoint["b"], state["b"])


def test_a_path_of_the_command_line_has_lost_a_slash(bucket: Any, run: Any) -> None:
    outcome = run("summary", Path("memory://bucket/shards"))
    assert outcome.code == 0
    assert outcome.out.startswith("memory://bucket/shards: sharded safetensors, Net\n")
    assert run("analyze", "memory://bucket/w.npz", "--json").json[0]["path"] == "memory://bucket/w.npz"
    assert run("diff", "memory://bucket/w.pt", "memory://bucket/w.safetensors", "--json").json["identical"] == 3
    assert run("manifest", "memory://bucket/steps").code == 0


def test_what_is_not_there_or_damaged(server: Server, bucket: Any) -> None:
    with pytest.raises(CheckpointError, match=r"no such file or folder: memory://bucket/none\.pt"):
        open_checkpoint("memory://bucket/none.pt")
    with pytest.raises(CheckpointError, match=r"no such file or folder: http://127"):
        open_checkpoint(f"{server.url}/none.safetensors")
    with pytest.raises(CheckpointError, match=r"corrupt file: http://.*damaged"):
        open_checkpoint(f"{server.url}/damaged.safetensors")
    with pytest.raises(CheckpointError, match="a web page"):
        open_checkpoint(f"{server.url}/page.safetensors")
    with pytest.raises(CheckpointError, match=r"torch\.save \(pickle\) are read from this machine; got memory://"):
        open_checkpoint("memory://bucket/old.pth")


def test_a_server_without_ranges_and_one_that_is_gone(server: Server) -> None:
    server.ranges = False
    with pytest.raises(CheckpointError, match=r"w\.safetensors"):
        open_checkpoint(f"{server.url}/w.safetensors")["a"]
    with pytest.raises(CheckpointError, match=r"http://127\.0\.0\.1:9/w\.pt"):
        open_checkpoint("http://127.0.0.1:9/w.pt")


def test_paths_of_this_machine_stay(tmp_path: Path) -> None:
    assert placed(str(tmp_path)) == tmp_path
    assert type(placed("file:///tmp/w.pt")) is type(Path())
    assert not isinstance(placed("c:/w.pt"), RemotePath)
    folder = RemotePath("memory:/bucket/steps")
    assert (folder / "a.pt").parent == folder
    assert (str(folder / "a.pt"), (folder / "a.pt").suffix) == ("memory://bucket/steps/a.pt", ".pt")


def test_fsspec_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(CheckpointError, match=r"read by fsspec; got s3://bucket/w\.pt\. Install it: pip install"):
        open_checkpoint("s3://bucket/w.pt")
