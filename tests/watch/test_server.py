"""The server by a real client: who is let in, what is answered, and how streams go on and end."""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from axonometry.errors import ConfigurationError, MissingExtraError
from axonometry.watch import AlertRule, FolderFollower
from axonometry.watch.page_files import colours_css, page_files
from tests.watch.conftest import until

pytest.importorskip("uvicorn")
pytest.importorskip("starlette")

from axonometry.watch import server as module
from axonometry.watch.server import WatchServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@contextmanager
def serving(follower: FolderFollower, lines: list[str] | None = None) -> Iterator[WatchServer]:
    server = WatchServer(follower, 0, (lines if lines is not None else []).append)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchServer]:
    """Of a folder without runs."""
    with serving(FolderFollower(tmp_path_factory.mktemp("empty"))) as running:
        yield running


def get(server: WatchServer, path: str, *, method: str = "GET", **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    with closing(connection):
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        answer.read()
    return answer


def cookie(server: WatchServer) -> str:
    found = get(server, f"/?token={server.token}").headers["Set-Cookie"]
    assert re.fullmatch(rf"axonometry-{server.port}=[\w-]+; Path=/; HttpOnly; SameSite=Strict", found)
    return found.split(";")[0]


def test_only_this_machine_is_listened_to(server: WatchServer) -> None:
    assert server._socket.getsockname()[0] == "127.0.0.1"
    assert server.address == f"http://127.0.0.1:{server.port}/?token={server.token}"
    assert len(server.token) >= 32


@pytest.mark.parametrize(
    "path", ["/", "/?token=", "/?token=wrong", "/?token=%00%ff", "/events", "/events?token=TOKEN", "/watch.js", "/nope"]
)
def test_without_the_token_nothing_is_answered(server: WatchServer, path: str) -> None:
    answer = get(server, path.replace("TOKEN", server.token))
    assert (answer.status, answer.headers["Set-Cookie"]) == (403, None)


def test_wrong_tokens_are_refused(server: WatchServer) -> None:
    for wrong in ("", "x", server.token[:-1], server.token + "x"):
        assert get(server, "/", Cookie=f"axonometry-{server.port}={wrong}").status == 403
        assert get(server, "/", Authorization=f"Bearer {wrong}").status == 403
    assert get(server, "/", Cookie=f"axonometry-1={server.token}").status == 403
    assert get(server, "/", Authorization=f"Basic {server.token}").status == 403


def test_the_address_gives_a_cookie_that_opens_everything(server: WatchServer) -> None:
    right = cookie(server)
    for path in page_files():
        assert get(server, path, Cookie=right).status == 200
    assert get(server, "/", Authorization=f"Bearer {server.token}").headers["Set-Cookie"] is None
    assert get(server, "/nope", Cookie=right).status == 404
    assert get(server, "/", method="POST", Cookie=right).status == 405


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "evil.example:PORT", "127.0.0.2", "", "0.0.0.0"]
)
def test_a_page_of_another_name_is_refused(server: WatchServer, host: str) -> None:
    answer = get(server, f"/?token={server.token}", Host=host.replace("PORT", str(server.port)))
    assert (answer.status, answer.headers["Set-Cookie"]) == (400, None)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "localhost:9999", "127.0.0.1:PORT"])
def test_this_machine_may_be_called_by_its_names(server: WatchServer, host: str) -> None:
    assert get(server, f"/?token={server.token}", Host=host.replace("PORT", str(server.port))).status == 200


def test_the_policy_lets_nothing_of_others_in(server: WatchServer) -> None:
    answer = get(server, "/", Authorization=f"Bearer {server.token}")
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert {policy[name] for name in ("script-src", "style-src", "connect-src")} == {"'self'"}
    assert {policy[name] for name in ("base-uri", "form-action", "frame-ancestors")} == {"'none'"}
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Access-Control-Allow-Origin"] is None


def test_the_page_asks_no_other_server_and_has_no_script_in_it() -> None:
    files = page_files()
    html = files["/"][0]
    assert re.findall(r"<script(?![^>]*\bsrc=)|\bon\w+=|style=|<style", html) == []
    assert set(re.findall(r'(?:src|href)="(/[^"]+)"', html)) <= set(files)
    for content, _ in files.values():
        assert re.findall(r"https?://|innerHTML|eval\(", content) == []
    for name in re.findall(r'from "\./([^"]+)"', "".join(content for content, _ in files.values())):
        assert f"/{name}" in files


def test_colours_are_the_reports_in_light_and_in_dark() -> None:
    css = colours_css()
    assert css.count("--accuracy-30: #27117a;") == 2
    assert css.count("--accuracy-30: #c6e1ff;") == 2
    assert "light-dark" not in css


class Stream:
    """Reads the events of a stream."""

    def __init__(self, server: WatchServer, query: str = "") -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        self.connection.request("GET", f"/events{query}", headers={"Authorization": f"Bearer {server.token}"})
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200
        assert self.answer.headers["Content-Type"].startswith("text/event-stream")

    def close(self) -> None:
        self.answer.close()
        self.connection.close()

    def next(self, name: str) -> Any:
        """The content of the next event of a name; others are left out."""
        while line := self.answer.readline():
            if line == f"event: {name}\n".encode():
                return json.loads(self.answer.readline().removeprefix(b"data: "))
        pytest.fail(f"the stream ended before {name}")


def test_a_stream_tells_what_is_new(tmp_path: Path, writer: Callable) -> None:
    recording = writer(tmp_path / "a").write(0, 1)
    lines: list[str] = []
    rules = [AlertRule.parse("accuracy > 0.7")]
    with (
        serving(FolderFollower(tmp_path, rules=rules), lines) as server,
        closing(Stream(server, "?show=accuracy")) as stream,
    ):
        points = stream.next("points")
        assert (points["reset"], points["steps"]) == (True, [0, 1])
        recording.write(2)
        assert stream.next("points") == {
            "run": 0, "reset": False, "stride": 1, "steps": [2], "lines": [["accuracy", "", [0.75]]],
        }  # fmt: skip
        recording.release()
        assert stream.next("runs")[0]["state"] == "interrupted"
        assert lines == [
            f"Watching {tmp_path} at {server.address}",
            "Alert: accuracy > 0.7: a: 0.75 at step 2",
        ]
        server.stop()
        assert b"event:" not in stream.answer.read(), "the stream ends with the server"


def test_a_selection_that_is_none_is_refused(server: WatchServer) -> None:
    assert get(server, "/events?runs=a", Authorization=f"Bearer {server.token}").status == 400


def test_what_a_run_is_called_cannot_break_a_stream(tmp_path: Path, writer: Callable) -> None:
    name = "a\nevent: x\r\n<img src=x onerror=alert(1)>\u2028"
    writer(tmp_path / name).write(0)
    with serving(FolderFollower(tmp_path)) as server, closing(Stream(server)) as stream:
        assert stream.next("runs")[0]["run"] == name


def test_a_busy_port_is_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"cannot open port {port} of 127.0.0.1.*--port"):
            WatchServer(FolderFollower(tmp_path), port, print)


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.util, "find_spec", lambda name: None if name == "uvicorn" else name)
    with pytest.raises(MissingExtraError, match=r"missing package: uvicorn.*axonometry\[watch\]"):
        WatchServer(FolderFollower(tmp_path), 0, print)


def test_an_error_while_runs_are_followed_ends_the_server_and_is_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower = FolderFollower(tmp_path)
    server = WatchServer(follower, 0, lambda _: None)
    monkeypatch.setattr(follower, "look", lambda: 1 / 0)
    with ThreadPoolExecutor(1) as elsewhere, pytest.raises(ZeroDivisionError, match="division by zero"):
        elsewhere.submit(server.run).result(20)  # a browser's loop may be running in this thread


def test_predictions_come_beside_the_reading(tmp_path: Path, writer: Callable) -> None:
    from tests.watch.test_follower import Foreseeing

    recording = writer(tmp_path / "a").write(0)
    follower = FolderFollower(tmp_path, forecaster=Foreseeing())
    with serving(follower):
        recording.write(1, 2)
        until(lambda: getattr(follower.forecasts.get("a"), "final", False))
