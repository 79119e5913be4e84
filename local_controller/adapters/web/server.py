"""What can a browser or a script see of the site? A JSON picture, the profiles of a station, a plain page, a health check.

Whoever is on this machine can do some things too: a step test, limit the site, let a car charge now, have habits forgotten.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from local_controller.adapters.any_json import any_json
from local_controller.adapters.web.commissioning import Starts, commissioning
from local_controller.adapters.web.delay_overrides import Overrides, delay_overrides
from local_controller.adapters.web.habits import Remembers, habits_forgotten, habits_shown
from local_controller.adapters.web.person_limits import Tells, person_limits
from local_controller.errors import LocalControllerError

PAGE_POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'"


class _Server(uvicorn.Server):
    """Uvicorn on a loop that belongs to somebody else: signals are the application's business."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        self.ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


Picture = Callable[[], dict[str, Any] | Awaitable[dict[str, Any]]]
"""Makes the picture, at once or, where hundreds of stations make it large, in slices."""

Profiles = Callable[[str], Awaitable[dict[str, Any]]]
"""Tells the charging profiles of the station with this identity, or raises UnknownStationError."""


class UnknownStationError(LocalControllerError):
    """The site file knows no such station; `known` are those that it knows."""

    def __init__(self, station: str, known: Sequence[str]) -> None:
        super().__init__(f"the site file knows no station {station!r}; it knows {', '.join(known)}")
        self.known = tuple(known)


async def _no_profiles(station: str) -> dict[str, Any]:
    raise UnknownStationError(station, ())


@dataclass(frozen=True, slots=True)
class Actions:
    """Who carries out step tests, takes limits from a person, keeps what was learnt of visits, overrides delays; None: nobody."""

    commissioner: Starts | None = None
    limits: Tells | None = None
    habits: Remembers | None = None
    delays: Overrides | None = None


class WebServer:
    """Serves `picture()` as JSON at /api/v1/site, `profiles(station)` below /api/v1/stations, and a page for the former.

    actions: who does what whoever is on this machine asks for.
    """

    def __init__(
        self,
        host: str,
        port: int,
        picture: Picture,
        profiles: Profiles = _no_profiles,
        actions: Actions | None = None,
    ) -> None:
        self._socket = _listening(host, port)
        app = _app(picture, profiles, actions or Actions())
        config = uvicorn.Config(app, log_config=None, lifespan="off", access_log=False, ws="none", proxy_headers=False)
        self._server = _Server(config)
        self._task: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The TCP port, also when 0 was asked for."""
        port: int = self._socket.getsockname()[1]
        return port

    async def start(self) -> None:
        """Serve; returns when the first request can be answered."""
        self._task = asyncio.get_running_loop().create_task(self._server.serve(sockets=[self._socket]))
        await self._server.ready.wait()

    async def stop(self) -> None:
        """Finish open answers and end."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task
        self._socket.close()


def _listening(host: str, port: int) -> socket.socket:
    """A bound socket. LocalControllerError that names the address and the remedy when it is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        reason = error.strerror or str(error)
        raise LocalControllerError(
            f"web page on {host}:{port}: {reason}; choose another web.port or web.host"
        ) from error
    return listener


def _app(picture: Picture, profiles: Profiles, actions: Actions) -> Starlette:
    async def site(_request: Request) -> Response:
        found = picture()
        return _fresh(await found if isinstance(found, Awaitable) else found)

    async def station_profiles(request: Request) -> Response:
        try:
            return _fresh(await profiles(request.path_params["station"]))
        except UnknownStationError as error:
            return _fresh({"error": str(error), "stations": error.known}, 404)

    async def health(_request: Request) -> Response:
        return JSONResponse({"status": "running"})

    async def no_icon(_request: Request) -> Response:
        return Response(status_code=204)

    routes: list[Route] = [
        Route("/", _static("page.html", "text/html")),
        Route("/page.css", _static("page.css", "text/css")),
        Route("/page.js", _static("page.js", "text/javascript")),
        Route("/favicon.ico", no_icon),
        Route("/api/v1/site", site),
        Route("/api/v1/stations/{station:path}/profiles", station_profiles),
        Route("/healthz", health),
    ]
    if actions.commissioner is not None:
        routes.append(Route("/api/v1/commissioning", commissioning(actions.commissioner), methods=["POST"]))
    if actions.limits is not None:
        routes.append(Route("/api/v1/limits/{limit}", person_limits(actions.limits), methods=["POST"]))
    if actions.habits is not None:
        routes.append(Route("/api/v1/habits", habits_shown(actions.habits)))
        routes.append(Route("/api/v1/habits/forget", habits_forgotten(actions.habits), methods=["POST"]))
    if actions.delays is not None:
        routes.append(Route("/api/v1/delays/override", delay_overrides(actions.delays), methods=["POST"]))
    return Starlette(routes=routes)


def _fresh(plain: dict[str, Any], status_code: int = 200) -> Response:
    """JSON that nobody may keep."""
    headers = {"Cache-Control": "no-store"}
    return Response(any_json(plain), status_code, headers=headers, media_type="application/json")


def _static(name: str, media_type: str) -> Callable[[Request], Any]:
    text = (resources.files(__package__) / name).read_text(encoding="utf-8")

    async def serve(_request: Request) -> Response:
        return HTMLResponse(text, media_type=media_type, headers={"Content-Security-Policy": PAGE_POLICY})

    return serve
