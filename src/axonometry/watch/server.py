"""The local server of the page: for this machine, and for who has its address."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib import util
from typing import TYPE_CHECKING, Any

from axonometry.errors import ConfigurationError, MissingExtraError
from axonometry.watch.feed import Feed, Selection
from axonometry.watch.page_files import page_files

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from axonometry.watch.follower import FolderFollower

HOST = "127.0.0.1"
NAMES = (HOST, "localhost")
"""What the page may be called: a page of another name that leads here is a stranger's (DNS rebinding)."""
PAUSE = 0.2
"""Seconds between two looks at the files."""
_ALIVE = 15.0
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
_DENIED = "This page is for who has its address: open the one that axonometry watch printed.\n"


class Guard:
    """Lets in who knows the token, from a cookie, a header or the page's address; sets the headers of all answers.

    Args:
        app: What is guarded.
        token: The token.
        cookie: The cookie's name; cookies of one host are shared by all its ports.
    """

    def __init__(self, app: ASGIApp, *, token: str, cookie: str) -> None:
        self._app, self._token, self._cookie = app, token, cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        from starlette.requests import Request
        from starlette.responses import PlainTextResponse

        if scope["type"] != "http":
            return
        request = Request(scope)
        by_address = scope["path"] == "/" and self._is(request.query_params.get("token"))

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = dict(_HEADERS)
                if by_address:
                    headers["set-cookie"] = f"{self._cookie}={self._token}; Path=/; HttpOnly; SameSite=Strict"
                message["headers"] = [*message["headers"], *((k.encode(), v.encode()) for k, v in headers.items())]
            await send(message)

        known = by_address or self._is(request.cookies.get(self._cookie)) or self._is(_bearer(request))
        await (self._app if known else PlainTextResponse(_DENIED, 403))(scope, receive, sending)

    def _is(self, given: str | None) -> bool:
        return given is not None and secrets.compare_digest(given.encode(), self._token.encode())


class WatchServer:
    """Follows runs and serves their page until it is told to stop.

    Args:
        follower: What is shown.
        port: Where; 0 for any free port.
        tell: Called with lines for the terminal.

    Raises:
        ConfigurationError: The port cannot be opened.
        MissingExtraError: A package is missing.
    """

    def __init__(self, follower: FolderFollower, port: int, tell: Callable[[str], None]) -> None:
        for package in ("starlette", "uvicorn"):
            if util.find_spec(package) is None:
                missing = MissingExtraError.of(package, "watch")
                raise missing
        self._follower, self._tell = follower, tell
        self.token = secrets.token_urlsafe(24)
        self._socket = _opened(port)
        self.port: int = self._socket.getsockname()[1]
        self._stopped = False
        self._lock, self._news = asyncio.Lock(), asyncio.Condition()

    @property
    def address(self) -> str:
        """The page's address, with its token."""
        return f"http://{HOST}:{self.port}/?token={self.token}"

    def stop(self) -> None:
        """End, from any thread or from a signal; :meth:`run` returns within a second."""
        self._stopped = True

    def run(self) -> None:
        """Follow and serve until :meth:`stop`.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed.
        """
        main = self._main()
        try:
            asyncio.run(main)
        finally:
            main.close()  # Ctrl-C may come before it is begun

    def app(self) -> Starlette:
        """The application."""
        from starlette.applications import Starlette
        from starlette.middleware import Middleware
        from starlette.middleware.trustedhost import TrustedHostMiddleware
        from starlette.routing import Route

        guards = [
            Middleware(TrustedHostMiddleware, allowed_hosts=[*NAMES], www_redirect=False),
            Middleware(Guard, token=self.token, cookie=f"axonometry-{self.port}"),
        ]
        files = [Route(path, _answering(content, kind)) for path, (content, kind) in page_files().items()]
        return Starlette(routes=[*files, Route("/events", self._events)], middleware=guards)

    async def _main(self) -> None:
        import uvicorn

        config = uvicorn.Config(
            self.app(), log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=2, ws="none"
        )
        server = uvicorn.Server(config)
        work = [asyncio.create_task(one) for one in (self._follow(server), self._foresee())]
        for task in work:
            task.add_done_callback(lambda _: setattr(server, "should_exit", True))
        try:
            await server.serve(sockets=[self._socket])
        finally:
            self._stopped = True
            for task in work:
                task.cancel()
            ended = await asyncio.gather(*work, return_exceptions=True)
        for error in ended:
            if isinstance(error, Exception):
                raise error

    async def _follow(self, server: Any) -> None:
        while not (server.started or server.should_exit):
            await asyncio.sleep(0.01)
        # Only now: from here on, Ctrl-C is the server's, and whoever reads the address is answered.
        self._tell(f"Watching {self._follower.folder} at {self.address}")
        if not self._follower.runs:
            self._tell(f"No runs in {self._follower.folder} so far; waiting.")
        told = 0
        while not (self._stopped or server.should_exit):
            async with self._lock:
                more = await asyncio.to_thread(self._follower.look)
                fired = [alert for alert in self._follower.alerts.fired if alert.number > told]
                told = self._follower.alerts.count
            for alert in fired:
                self._tell(f"Alert: {alert}")
            async with self._news:
                self._news.notify_all()
            await asyncio.sleep(0 if more else PAUSE)
        self._stopped = True
        async with self._news:  # streams end, or the server would wait for them
            self._news.notify_all()

    async def _foresee(self) -> None:
        """Predictions take longer than reading: beside it, one run at a time."""
        while not self._stopped:
            async with self._lock:
                due = [(run, len(run.series.steps)) for run in self._follower.unforeseen()]
            for run, steps in due:
                found = await asyncio.to_thread(self._follower.forecast, run)
                async with self._lock:
                    self._follower.foresee(run, found, steps)
            await asyncio.sleep(PAUSE)

    async def _events(self, request: Request) -> Response:
        from starlette.responses import PlainTextResponse, StreamingResponse

        query = request.query_params
        try:
            selection = Selection.of(query.get("runs"), query.getlist("show"))
        except ValueError:
            return PlainTextResponse("runs are numbers, as 0-3,7\n", 400)
        return StreamingResponse(self._stream(selection), media_type="text/event-stream")

    async def _stream(self, selection: Selection) -> AsyncIterator[str]:
        feed = Feed(self._follower, selection)
        yield "retry: 1000\n\n"
        while not self._stopped:
            async with self._lock:
                events = feed.events()
            if events:
                yield "".join(f"event: {name}\ndata: {data}\n\n" for name, data in events)
            elif not await self._is_news():
                yield ": alive\n\n"  # a browser that is gone is noticed by writing to it

    async def _is_news(self) -> bool:
        async with self._news:
            try:
                await asyncio.wait_for(self._news.wait(), _ALIVE)
            except TimeoutError:
                return False
        return True


def serve(follower: FolderFollower, port: int, tell: Callable[[str], None]) -> None:
    """Follow runs and serve their page until Ctrl-C.

    Args:
        follower: What is shown.
        port: Where; 0 for any free port.
        tell: Called with lines for the terminal.

    Raises:
        ConfigurationError: The port cannot be opened.
        KeyboardInterrupt: Ctrl-C was pressed.
        MissingExtraError: A package is missing.
    """
    WatchServer(follower, port, tell).run()


def _opened(port: int) -> socket.socket:
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        rule = f"cannot open port {port} of {HOST}: {error.strerror or error}"
        raise ConfigurationError(rule, "", "Choose another with --port, or leave it out") from error


def _bearer(request: Request) -> str | None:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token if kind.lower() == "bearer" else None


def _answering(content: str, kind: str) -> Callable[[Request], Awaitable[Response]]:
    from starlette.responses import Response

    async def answer(_: Request) -> Response:
        return Response(content, media_type=kind)

    return answer
