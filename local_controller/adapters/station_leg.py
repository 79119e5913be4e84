"""How does a station's opening handshake go, on our side? A request comes in, somebody judges it, an answer goes out."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Final, cast

from websockets.exceptions import InvalidMessage
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol

from local_controller.adapters.admission import Visitor
from local_controller.adapters.csms_client import Refusal
from local_controller.adapters.handshake import pass_handshake, plain_acceptance, plain_request
from local_controller.adapters.large_messages import LargeMessages
from local_controller.adapters.leg import Leg, LegSettings
from local_controller.adapters.tls import client_certificate

_LOGGER: Final = logging.getLogger("websockets.server")  # which each would look up anew
_STRANGER: Final = Visitor(is_encrypted=False, has_password=False)  # until its request is there
_BAD_REQUEST: Final = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class StationLeg(Leg):
    """Our end of the downstream leg."""

    __slots__ = (
        "_admit",
        "_deadline",
        "_is_refused",
        "_patience_s",
        "_request",
        "_wait_s",
        "complain",
        "knock",
        "server",
        "visitor",
    )

    def __init__(
        self,
        settings: LegSettings,
        patience_s: float,
        large_messages: LargeMessages,
        admit: Callable[[StationLeg], None],
    ) -> None:
        """`patience_s`: for the request to be complete; then `admit` must see to it that it is answered."""
        self.server = ServerProtocol(
            extensions=settings.server_extensions(), max_size=settings.max_message_bytes, logger=_LOGGER
        )
        super().__init__(self.server, settings, large_messages)
        self._admit = admit
        self._patience_s = patience_s
        self._deadline: asyncio.TimerHandle | None = None
        self._is_refused = False  # the request was none, and was answered so
        self._wait_s = 0.0
        self.visitor = _STRANGER
        self._request: Request | None = None
        self.knock: Callable[[StationLeg], float] = lambda _: 0.0  # seconds to stay away; infinity: no room
        self.complain: Callable[[StationLeg, str], None] = lambda _, __: None  # why the request is none

    @property
    def request(self) -> Request:
        """What the station asked for; only until it is answered."""
        assert self._request is not None  # noqa: S101 - misuse by us
        return self._request

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A request that dribbles in has so long and no longer."""
        self.transport = cast("asyncio.Transport", transport)
        self._wait_s = self.knock(self)
        if self._wait_s == math.inf:
            self.abort()
            return
        self._deadline = self._loop.call_later(self._patience_s, self._too_late)
        super().connection_made(transport)  # perhaps with the whole request

    def take_plain_head(self, head: bytes) -> bool:
        """Reads a plain request."""
        if (request := plain_request(head)) is None:
            return False
        pass_handshake(self.server)
        self.opened(request)
        return True

    def opened(self, message: Request | Response) -> None:
        """The request is complete: let somebody judge it."""
        assert isinstance(message, Request)  # noqa: S101 - what a server receives
        self._be_patient()
        self._request = message
        connection = self.transport.get_extra_info("ssl_object") if self.transport else None
        has_password = bool(message.headers.get_all("Authorization"))
        self.visitor = Visitor(connection is not None, has_password, client_certificate(connection))
        if self._wait_s > 0:
            self.refuse_for(self._wait_s)  # not before the request: some clients do not expect an answer earlier
        else:
            self._admit(self)

    def not_opened(self) -> None:
        """The request is none, which `websockets` passes over in silence where it is no HTTP; or the station has left."""
        self._be_patient()
        fault = self.protocol.handshake_exc
        if self.transport is None or self.transport.is_closing() or self._is_refused:
            return
        if not isinstance(fault, InvalidMessage) or isinstance(fault.__cause__, EOFError):
            return
        self._is_refused = True
        self.transport.write(_BAD_REQUEST)
        self.complain(self, _reason(fault.__cause__))

    def _too_late(self) -> None:
        is_tls = self._head[:2] == b"\x16\x03"  # a handshake of TLS (RFC 8446 §5.1)
        self.complain(self, "it speaks TLS, which this address does not" if is_tls else "it was not complete in time")
        self.abort()

    def head_too_long(self) -> None:
        """A request that is none of a station."""
        self.refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The request is too long.\n")

    def _be_patient(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def accept(self) -> Response:
        """The answer 101, or another one if the request has a fault; it is not sent yet."""
        plain = None if self.server.available_extensions else plain_acceptance(self.request)
        return plain or self.server.accept(self.request)

    @property
    def waits(self) -> bool:
        """Whether the station still waits for our answer."""
        return self.protocol.state is State.CONNECTING and not self.gone.done()

    def answer(self, response: Response) -> bool:
        """Sends the answer; False if the station has not waited for it."""
        self._request = None
        if not self.waits:
            return False
        self.server.send_response(response)
        self.flush()
        if not self.is_open:
            self._abort_later()
            return False
        self.ready()
        return True

    def refuse(self, status: int, text: str, headers: Sequence[tuple[str, str]] = ()) -> None:
        """Answers with an error."""
        response = self.server.reject(HTTPStatus.SERVICE_UNAVAILABLE, text)
        response.status_code = status
        response.reason_phrase = next((one.phrase for one in HTTPStatus if one == status), "Refused by the CSMS")
        for name, value in headers:
            response.headers[name] = value
        self.answer(response)

    def refuse_for(self, wait_s: float) -> None:
        """Somebody comes too often."""
        later = [("Retry-After", str(math.ceil(wait_s)))]
        self.refuse(HTTPStatus.TOO_MANY_REQUESTS, "Too many connections.\n", later)

    def refuse_as(self, refusal: Refusal) -> None:
        """Passes a refusal of the CSMS on (LC-002)."""
        headers = [("WWW-Authenticate", challenge) for challenge in refusal.challenges]
        if refusal.retry_after is not None:
            headers.append(("Retry-After", refusal.retry_after))
        self.refuse(refusal.status, "The CSMS does not take this connection.\n", headers)  # its address is our secret


def _reason(fault: BaseException | None) -> str:
    """Without the station's words, which may hold its password."""
    if isinstance(fault, UnicodeDecodeError) or str(fault).startswith("unsupported protocol"):
        return "its first line has blanks or letters beyond ASCII; those of an identity must be percent-encoded"
    return f"it is no HTTP: {str(fault).partition(':')[0]}"
