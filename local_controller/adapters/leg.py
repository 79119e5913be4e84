"""How does one WebSocket leg live on its transport? From the first byte of the handshake until the socket is gone.

`websockets` says what RFC 6455 asks for, as a protocol without sockets; this is the callback-driven shell around it:
keep-alive, closing handshake, back-pressure and turns, for which the library's own asyncio shell takes a task and a
queue per connection (decision 0008). Plain text frames take the short way of `framing`.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, cast

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    ServerPerMessageDeflateFactory,
    enable_client_permessage_deflate,
    enable_server_permessage_deflate,
)
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import Side, State
from websockets.server import ServerProtocol
from websockets.streams import StreamReader

from local_controller.adapters.framing import FrameSplitter, plain_pong, plain_text, text_frame
from local_controller.adapters.large_messages import LargeMessages

MAX_MESSAGE_BYTES: Final = 8 * 1024 * 1024  # LC-014
MAX_HEAD_BYTES: Final = 64 * 1024  # of a request or response; a station's is below 1 kB
HELD_BYTES: Final = 64 * 1024  # read ahead of a leg that is held; then its socket is no longer read
TURN: Final = 16  # messages of one leg handled before others have their turn (LC-033)
TURN_BYTES: Final = 64 * 1024  # the same in bytes: what is long takes longer to be read
LINGER_S: Final = 20.0  # a station that is silent keeps its link for so long: it may only be slow
_UNTIL_READ_S: Final = 0.02  # the loop has looked at all sockets by then
_REASON_BYTES: Final = 123  # RFC 6455 §5.5
_HEAD_END: Final = b"\r\n\r\n"

# Why a leg is not read at present. What it has read already waits as well.
UNCLAIMED: Final = 1  # nobody takes its messages yet
OTHERS: Final = 2  # have their turn
PRESSURE: Final = 4  # the other leg takes no more
RATE: Final = 8  # its peer talks too much
ROOM: Final = 16  # too many large messages are under way


@dataclass(frozen=True, slots=True)
class LegSettings:
    """How we keep one leg.

    ping_interval_s: 0 for never; a peer from which nothing came within the timeout after a ping is lost (LC-015). A station is
    silent first, and lost `LINGER_S` later.
    close_timeout_s: a peer that does not finish the closing handshake in time is cut off (LC-036).
    compress: whether permessage-deflate is negotiated; off, because its buffers cost more memory than all the rest.
    """

    ping_interval_s: float = 30.0
    ping_timeout_s: float = 20.0
    close_timeout_s: float = 0.9
    compress: bool = False
    max_message_bytes: int = MAX_MESSAGE_BYTES
    max_head_bytes: int = MAX_HEAD_BYTES

    def server_extensions(self) -> list[ServerPerMessageDeflateFactory] | None:
        """What we accept as a server, in the words of `websockets`."""
        return cast("Any", enable_server_permessage_deflate(None)) if self.compress else None

    def client_extensions(self) -> list[ClientPerMessageDeflateFactory] | None:
        """What we offer as a client."""
        return cast("Any", enable_client_permessage_deflate(None)) if self.compress else None


@dataclass(slots=True)
class Ear:
    """Who takes what comes from a leg.

    text: a message. ended: the leg is over, with its close code (1006: lost) and reason; nothing comes afterwards.
    pressure: True when the peer reads so slowly that nothing more should be sent, False when it has caught up.
    silent: for so many seconds at least nothing has come, not even an answer to a ping, and the link stays for a while; None:
    something comes again. Without it such a link ends at once.
    """

    text: Callable[[str], None]
    ended: Callable[[int, str], None]
    pressure: Callable[[bool], None]
    silent: Callable[[float | None], None] | None = None


class Leg(asyncio.Protocol, ABC):
    """One WebSocket. A subclass makes one side's opening handshake."""

    __slots__ = (
        "__weakref__",
        "_abort_timer",
        "_ear",
        "_ended",
        "_head",
        "_heard",
        "_holds",
        "_is_between",
        "_is_extended",
        "_is_silent",
        "_large_messages",
        "_loop",
        "_masks",
        "_message",
        "_ping_timer",
        "_pong",
        "_read",
        "_sends",
        "_settings",
        "_splitter",
        "gone",
        "protocol",
        "transport",
    )

    def __init__(
        self, protocol: ClientProtocol | ServerProtocol, settings: LegSettings, large_messages: LargeMessages
    ) -> None:
        """`protocol` must be fresh. `large_messages` is shared by all legs, to bound their memory together."""
        self._loop = asyncio.get_running_loop()
        self._settings = settings
        self._masks = protocol.side is Side.CLIENT
        self._large_messages = large_messages
        self._read: Callable[[bytes], None] = self._read_head
        self._head = bytearray()
        self._splitter = FrameSplitter(settings.max_message_bytes)
        self._message = bytearray()  # what has come of one in fragments, of which there may be any number
        self._ear: Ear | None = None
        self._holds = UNCLAIMED
        self._ended: tuple[int, str] | None = None
        self._sends = False  # True between the opening and the closing handshake
        self._is_extended = False  # extensions were negotiated, so that no frame is plain
        self._is_between = False  # two messages, neither in the handshake nor between fragments, and none is extended
        self._heard = False
        self._is_silent = False
        self._pong: asyncio.Future[None] | None = None
        self._ping_timer: asyncio.TimerHandle | None = None
        self._abort_timer: asyncio.TimerHandle | None = None
        self.protocol = protocol
        self.transport: asyncio.Transport | None = None
        self.gone: asyncio.Future[None] = self._loop.create_future()

    # --- for subclasses ------------------------------------------------------------------------------------------

    @abstractmethod
    def take_plain_head(self, head: bytes) -> bool:
        """The short way: whether this was the peer's plain half of the opening handshake, which then is done with."""

    @abstractmethod
    def opened(self, message: Request | Response) -> None:
        """The peer's half of the opening handshake has arrived."""

    @abstractmethod
    def not_opened(self) -> None:
        """The opening handshake has failed, or the connection was lost before its end."""

    def ready(self) -> None:
        """Both halves of the opening handshake are done."""
        self._sends = True
        self._is_extended = bool(self.protocol.extensions)
        self._is_between = not self._is_extended

    def head_too_long(self) -> None:
        """The peer's half of the opening handshake exceeds all bounds."""
        self.abort()

    def flush(self) -> None:
        """Sends what `protocol` wants to be sent."""
        transport = self.transport
        for data in self.protocol.data_to_send():
            if transport is None or transport.is_closing():
                continue
            if data:
                transport.write(data)
            elif transport.can_write_eof():
                transport.write_eof()
            else:
                transport.close()

    # --- what its owner does -------------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether messages may be sent: after the opening and before the closing handshake."""
        return self.protocol.state is State.OPEN

    @property
    def unsent_bytes(self) -> int:
        """What its peer has yet to take, as far as our side of the socket knows."""
        return 0 if self.transport is None else self.transport.get_write_buffer_size()

    @property
    def address(self) -> str:
        """The peer's IP address; "" where the transport has none."""
        name = None if self.transport is None else self.transport.get_extra_info("peername")
        return str(name[0]) if isinstance(name, tuple) else ""

    def attend(self, ear: Ear) -> None:
        """Hands over all messages from now on, and first those that came before; then the end, if it has come."""
        self._ear = ear
        if self._ended is not None:
            ended, self._ended = self._ended, None
            self._take_all()
            self._end(*ended)
            self._ear = None
            return
        if self._settings.ping_interval_s > 0:
            self._ping_timer = self._loop.call_later(self._settings.ping_interval_s, self._ping)
        self.release(UNCLAIMED)

    def send(self, text: str) -> None:
        """Sends a text message; on a leg that is not open, without effect."""
        if not self._sends or self.transport is None:
            return
        if self._is_extended:
            self.protocol.send_text(text.encode())
            self.flush()
        else:
            self.transport.write(text_frame(text, masked=self._masks))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Starts the closing handshake, or cuts off where there is none to make. Harmless at any time."""
        self._sends = False
        if self.protocol.state is State.OPEN:
            self.protocol.send_close(code, _short(reason))
            self.flush()
            self._abort_later()
        elif self.protocol.state is State.CONNECTING:
            self.abort()

    def abort(self) -> None:
        """Cuts the connection off."""
        if self.transport is not None:
            self.transport.abort()

    def give_up(self) -> None:
        """`abort`, also of one that may never be connected: no event loop tells such a one that it is over."""
        if self.transport is None:
            self.connection_lost(None)
        self.abort()

    async def end(self, code: int = 1000, reason: str = "") -> None:
        """`close`, and waits until the connection is gone."""
        self.close(code, reason)
        await asyncio.shield(self.gone)

    def hold(self, why: int) -> None:
        """Reads no more until the same reason is released."""
        if self.transport is not None and not self._holds:
            self.transport.pause_reading()
        self._holds |= why

    def release(self, why: int) -> None:
        """Reads on, unless there is another reason not to."""
        if not self._holds & why:
            return
        self._holds &= ~why
        if self._holds or self._ended is not None:
            return
        if self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()
        self._take_turn()

    async def is_alive(self, within_s: float) -> bool:
        """Whether the peer answers a ping in time; while it is not read, nobody can say that it does not."""
        if not self.is_open:
            return False
        pong = self._pong
        if pong is None:
            pong = self._pong = self._loop.create_future()
            self.protocol.send_ping(b"alive?")
            self.flush()
        await asyncio.wait([pong, self.gone], timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        return pong.done() or (self._holds != 0 and self.is_open)

    # --- transport -----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is there. With TLS, after its handshake, and perhaps after the first bytes."""
        self.transport = cast("asyncio.Transport", transport)
        if self._head:
            early = bytes(self._head)
            self._head.clear()
            self._read_head(early)

    def data_received(self, data: bytes) -> None:
        """Bytes of the peer, most often exactly one plain message."""
        self._heard = True
        if self._is_silent:
            self._speaks_again()
        if self._holds or self._ended is not None or self._splitter.waiting or not self._receive_text(data):
            self._read(data)

    def eof_received(self) -> None:
        """The peer sends no more: it has gone, or finishes the closing handshake. It need not read what is under way."""
        self._finish_reading()
        self._abort_later()
        self._end(1006, "")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the close code tells all there is
        """The socket is gone, or never came: event loops do not tell that, so whoever wanted it does."""
        if self.gone.done():
            return
        self._finish_reading()
        for timer in (self._abort_timer, self._ping_timer):
            if timer is not None:
                timer.cancel()
        self._large_messages.leave(self)
        self.gone.set_result(None)
        self._end(1006, "")
        self._break_circles()

    def pause_writing(self) -> None:
        """The peer does not read as fast as it is sent."""
        if self._ear is not None:
            self._ear.pressure(True)

    def resume_writing(self) -> None:
        """It has caught up."""
        if self._ear is not None:
            self._ear.pressure(False)

    # --- the opening handshake -----------------------------------------------------------------------------------

    def _read_head(self, data: bytes) -> None:
        """Collects the peer's half of the handshake; what follows it at once are frames."""
        start = max(0, len(self._head) - len(_HEAD_END))
        self._head += data
        if self.transport is None:
            return
        end = self._head.find(_HEAD_END, start)
        if end >= 0:
            head, rest = bytes(self._head[: end + len(_HEAD_END)]), bytes(self._head[end + len(_HEAD_END) :])
            self._head.clear()
            self._read = self._read_frames
            if not self.take_plain_head(head):
                self._take_head(head)
            if rest:
                self._read(rest)
        elif len(self._head) > self._settings.max_head_bytes:
            self._read = _ignore
            self.head_too_long()

    def _take_head(self, head: bytes) -> None:
        """What is not plain is for `websockets` to judge; but it would wait for the end of a refusal's text."""
        refusal = _refusal(head) if self._masks else None
        if refusal is None:
            self.protocol.receive_data(head)
            self._tell_opened()
        elif refusal.response.status_code < HTTPStatus.OK:  # the answer is still to come (RFC 9110 §15.2)
            self._read = self._read_head
        else:
            self._read = _ignore
            self.protocol.handshake_exc = refusal
            self.not_opened()

    def _tell_opened(self) -> None:
        for event in self.protocol.events_received():
            if not isinstance(event, Frame) and self.protocol.handshake_exc is None:
                self.opened(event)
        if self.protocol.handshake_exc is not None:
            self.not_opened()
            self._abort_later()
        self.flush()

    # --- reading -------------------------------------------------------------------------------------------------

    def _read_frames(self, data: bytes) -> None:
        if self._holds:
            self._splitter.feed(data)
            if len(self._splitter) > HELD_BYTES and self.transport is not None:
                self.transport.pause_reading()
        else:
            self._splitter.feed(data)
            self._take_turn()

    def _take_turn(self) -> None:
        """Handles the frames that have come; after some of them, others have their turn."""
        left = TURN_BYTES
        for _ in range(TURN):
            if self._holds or self._ended is not None or (frame := self._splitter.take()) is None:
                break
            self._receive(frame)
            if (left := left - len(frame)) <= 0:
                break
        if self._splitter.has_frame() and not self._holds and self._ended is None:
            self.hold(OTHERS)
            self._loop.call_soon(self.release, OTHERS)
        self._large_messages.watch(self, len(self._splitter) + (self.protocol.current_size or 0))

    def _receive(self, frame: bytes) -> None:
        """One frame; the piece of one if it is too long."""
        if self._receive_text(frame):
            return
        pong = plain_pong(frame, masked=not self._masks) if self._sends else None
        if pong is not None and self.transport is not None:
            self.transport.write(pong)
        elif self.protocol.state is not State.CLOSED:
            self.protocol.receive_data(frame)
            self._is_between = not self._is_extended and self.protocol.current_size is None
            self._take_events()

    def _receive_text(self, frame: bytes) -> bool:
        """The short way: whether this was exactly one plain text frame, which is then handed over."""
        if not self._is_between:
            return False
        try:
            text = plain_text(frame, masked=not self._masks)
        except UnicodeDecodeError as error:
            self.fail(CloseCode.INVALID_DATA, str(error))
            return True
        if text is None:
            return False
        if self._ear is not None:
            self._ear.text(text)
        return True

    def _take_events(self) -> None:
        """What `websockets` made of a frame: parts of messages, pongs, answers that it gave by itself, an end."""
        for event in self.protocol.events_received():
            frame = cast("Frame", event)
            if frame.opcode in {Opcode.TEXT, Opcode.BINARY, Opcode.CONT}:
                self._take_part(frame)
            elif frame.opcode is Opcode.PONG and self._pong is not None:
                self._pong.set_result(None)
                self._pong = None
        self.flush()
        self._look_at_end()

    def _take_part(self, frame: Frame) -> None:
        if frame.opcode is Opcode.BINARY:
            self.fail(CloseCode.UNSUPPORTED_DATA, "OCPP-J uses text messages only")
            return
        self._message += frame.data
        if not frame.fin:
            return
        message, self._message = self._message, bytearray()
        try:
            text = message.decode()
        except UnicodeDecodeError as error:
            self.fail(CloseCode.INVALID_DATA, str(error))
            return
        if self._ear is not None:
            self._ear.text(text)

    # --- the end -------------------------------------------------------------------------------------------------

    def fail(self, code: int, reason: str) -> None:
        """The peer breaks the rules, or keeps us waiting: it hears why, and the leg is over."""
        if self.protocol.state is not State.CLOSED:
            self.protocol.fail(code, _short(reason))
            self.flush()
        self._abort_later()
        self._end(code, reason)

    def _look_at_end(self) -> None:
        """Whether the peer, or `websockets` on its behalf, has ended the leg."""
        protocol = self.protocol
        if protocol.close_rcvd is not None:
            self._abort_later()
            self._end(protocol.close_rcvd.code, protocol.close_rcvd.reason)
        elif protocol.parser_exc is not None and protocol.close_sent is not None:
            self._abort_later()
            self._end(protocol.close_sent.code, protocol.close_sent.reason)

    def _finish_reading(self) -> None:
        """No more bytes will come; what has come is still handled, also if the leg was held."""
        if self._ear is not None:
            self._take_all()
        self._sends = False  # the protocol closes our direction too, and a transport does not write after that
        self.protocol.receive_eof()
        self.flush()
        if self.protocol.handshake_exc is None and self.protocol.state is State.CONNECTING:
            self.protocol.handshake_exc = EOFError("the connection was closed during the opening handshake")
        if self.protocol.handshake_exc is not None:
            self.not_opened()

    def _take_all(self) -> None:
        while self._ended is None and (frame := self._splitter.take()) is not None:
            self._receive(frame)

    def _end(self, code: int, reason: str) -> None:
        """The leg is over; what still comes is of no interest."""
        self._sends = False
        self._read = _ignore
        if self._ended is None:
            self._ended = code, reason
            if self._ear is not None:
                self._ear.ended(code, reason)

    def _break_circles(self) -> None:
        """Nothing is left for the collector, which does not look at old connections (`garbage`)."""
        self._ear = None
        self.protocol.parser.close()
        for known in (self.protocol.parser_exc, self.protocol.handshake_exc):
            _forget_frames(known)

    def _abort_later(self) -> None:
        if self._abort_timer is None:
            self._abort_timer = self._loop.call_later(self._settings.close_timeout_s, self.abort)

    # --- keep-alive ----------------------------------------------------------------------------------------------

    def _ping(self) -> None:
        """Asks for a sign of life: whatever the peer sends will do, since some answer no pings but talk."""
        self._ask(self._settings.ping_timeout_s)

    def _ask(self, within_s: float) -> None:
        if not self.is_open:
            return
        self._heard = False
        self.protocol.send_ping(b"")
        self.flush()
        self._ping_timer = self._loop.call_later(within_s, self._look_once_more)

    def _look_once_more(self) -> None:
        """If we stood still the answer waits in the socket, and uvloop rings before it reads: it reads before the next ring."""
        self._ping_timer = self._loop.call_later(_UNTIL_READ_S, self._check_pulse)

    def _check_pulse(self) -> None:
        if not self._heard and not self._holds:
            self._miss()
            return
        pause_s = max(0.0, self._settings.ping_interval_s - self._settings.ping_timeout_s)
        self._ping_timer = self._loop.call_later(pause_s, self._ping)

    def _miss(self) -> None:
        """The peer is silent; if it was already, or nobody wants to know, it is lost."""
        if self._is_silent or self._ear is None or self._ear.silent is None or not self.is_open:
            self.abort()
            return
        self._is_silent = True
        self._ear.silent(self._settings.ping_timeout_s)
        self._ask(LINGER_S)

    def _speaks_again(self) -> None:
        self._is_silent = False
        if self._ping_timer is not None:
            self._ping_timer.cancel()
        self._ping_timer = self._loop.call_later(self._settings.ping_interval_s, self._ping)
        if self._ear is not None and self._ear.silent is not None:
            self._ear.silent(None)


def _refusal(head: bytes) -> InvalidStatus | None:
    """A server's answer other than 101, by its head alone: its text may be of any version, coding and length, or never end."""
    reader = StreamReader()
    reader.feed_data(head)
    try:
        next(Response.parse(reader.read_line, reader.read_exact, reader.read_to_eof, proxy=True))
    except StopIteration as parsed:
        response = cast("Response", parsed.value)
        return None if response.status_code == HTTPStatus.SWITCHING_PROTOCOLS else InvalidStatus(response)
    except Exception:  # noqa: BLE001 - no answer at all: `websockets` reads it again, and says in its words what is wrong
        return None
    return None


def _short(reason: str) -> str:
    return reason.encode()[:_REASON_BYTES].decode(errors="ignore")


def _ignore(_: bytes) -> None:
    """What comes after the end."""


def _forget_frames(fault: BaseException | None) -> None:
    """A traceback holds frames, and these the legs that they worked for; so do those of what caused the fault."""
    while fault is not None:
        fault.__traceback__ = None
        fault = fault.__cause__ or fault.__context__
