"""How does the `ocpp` package's ChargePoint become one end of a simulated connection, for stations and CSMS alike?"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from types import ModuleType
from typing import Any, TypeVar, cast

import ocpp.routing
from ocpp import v16, v21, v201
from ocpp.charge_point import ChargePoint
from ocpp.exceptions import NotImplementedError as OcppNotImplementedError

from site_simulator.schemas import validate_quickly
from site_simulator.wire import Wire

Handler = TypeVar("Handler", bound=Callable[..., Any])
Spawn = Callable[[Coroutine[Any, Any, Any]], object]

V16, V201, V21 = "ocpp1.6", "ocpp2.0.1", "ocpp2.1"
VERSIONS: dict[str, ModuleType] = {V16: v16, V201: v201, V21: v21}
"""WebSocket subprotocol -> the package's module with its payloads."""

ANSWER_WITHIN_S = 120.0
"""Simulated seconds: at a speed of 30 this leaves a busy machine 4 real seconds."""

LOGGER = logging.getLogger("site_simulator.ocpp")
LOGGER.addHandler(logging.NullHandler())
LOGGER.propagate = False  # what matters is in Record.complaints; the package logs every refusal with a traceback

validate_quickly()


def on(action: str) -> Callable[[Handler], Handler]:
    """The package's decorator for a handler, with a type."""
    return cast("Callable[[Handler], Handler]", ocpp.routing.on(action))


def after(action: str) -> Callable[[Handler], Handler]:
    """The package's decorator for what happens once the answer is sent, with a type."""
    return cast("Callable[[Handler], Handler]", ocpp.routing.after(action))


def heed_cancellation() -> None:
    """Raise the CancelledError that Python 3.11 loses: in `wait_for` when it meets a result, in a TaskGroup an error."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


class Peer(ChargePoint):  # type: ignore[misc]  # ocpp ships no type information
    """One end of one connection. Combine with a version's ChargePoint, which must come second."""

    def __init__(self, identity: str, wire: Wire, spawn: Spawn) -> None:
        super().__init__(identity, wire, response_timeout=ANSWER_WITHIN_S, logger=LOGGER)
        self.spawn = spawn

    async def ask(self, payload: Any) -> Any:
        """Call the other end; its answer as the package's dataclass.

        Raises OCPPError for a CALLERROR or an answer against the schema, TimeoutError, ConnectionClosed.
        """
        answer = await self.call(payload, suppress=False)
        heed_cancellation()
        return answer

    async def _handle_call(self, msg: Any) -> Any:
        """The package leaves unknown 2.1 actions without any answer; OCPP-J wants NotImplemented."""
        if msg.action not in self.route_map:
            raise OcppNotImplementedError(details={"cause": f"no handler for {msg.action}"})
        return await super()._handle_call(msg)
