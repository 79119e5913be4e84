"""How do many stations and their CSMS, in one process, use a relay and measure it from outside?

One epoll loop plays both ends, so a round trip without a relay has no process switch of its own. Every message that
arrives upstream is compared with the one that was sent; round trips are counted only when both ways were right.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import os
import random
import select
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import frames

_RECEIVE_BYTES = 256 * 1024
_EVENTS = select.EPOLLIN | select.EPOLLRDHUP
_ANSWERED = b"[3"
_LATE_S = 10.0  # a relay that lags so far behind the asked rate does not keep up


class LostError(RuntimeError):
    """A message or a connection got lost, or something changed it."""


class Socket:
    """A non-blocking socket with what is not yet read as frames."""

    def __init__(self, load: Load, sock: socket.socket) -> None:
        self.load = load
        self.sock = sock
        self.buffer = bytearray()
        self.is_open = False
        self.unsent = b""
        sock.setblocking(False)
        load.add(self)

    def send(self, data: bytes) -> None:
        """Sends now; the rest of what does not fit when the socket takes it."""
        if not self.unsent:
            try:
                sent = self.sock.send(data)
            except BlockingIOError:
                sent = 0
            data = data[sent:]
        if data:
            self.unsent += data
            self.load.watch_writing(self)

    def writable(self) -> None:
        """The socket takes more."""
        data, self.unsent = self.unsent, b""
        self.load.watch_reading(self)
        if data:
            self.send(data)

    def readable(self) -> None:
        """Reads what is there. Raises LostError when the peer is gone."""
        try:
            data = self.sock.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return
        if not data:
            self.lost()
            return
        self.buffer += data
        if not self.is_open:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self.buffer[:end])
            del self.buffer[: end + 4]
            self.is_open = True
            self.opened(head)
        for opcode, content in frames.frames_in(self.buffer):
            if opcode == frames.TEXT:
                self.text(content)
            elif opcode == frames.PONG:
                self.ponged()
            elif opcode == frames.PING:
                self.send(frames.frame(content, opcode=frames.PONG, masked=isinstance(self, Station)))
            else:
                raise LostError(f"a frame with opcode {opcode}: {content!r:.80}")

    def opened(self, head: bytes) -> None:
        """The HTTP head of the peer is there."""

    def text(self, content: bytes) -> None:
        """A text message."""

    def ponged(self) -> None:
        """Our ping was answered."""

    def lost(self) -> None:
        """The peer closed the connection."""
        raise LostError("a connection was closed")


class Upstream(Socket):
    """The CSMS's end of one station's connection."""

    station: Station

    def opened(self, head: bytes) -> None:
        """Completes the handshake and finds the station that this is."""
        request, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        identity = request.split()[1].rsplit("/", 1)[1]
        self.station = self.load.by_identity[identity]
        self.station.upstream = self
        accept = base64.b64encode(_sha1(headers["sec-websocket-key"].encode())).decode()
        answer = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
        answer += [f"Sec-WebSocket-Accept: {accept}", f"Sec-WebSocket-Protocol: {self.load.protocol}", "", ""]
        self.send("\r\n".join(answer).encode())

    def text(self, content: bytes) -> None:
        """A CALL of the station, compared with what it sent."""
        if content.startswith(_ANSWERED):
            return
        if content != self.station.sent:
            self.load.mismatched += 1
        self.send(frames.frame(frames.csms_answer(content), masked=False))

    def lost(self) -> None:
        """Stations leave at the end of a run."""
        self.load.remove(self)


class Station(Socket):
    """One station, which has at most one CALL in flight."""

    upstream: Upstream | None = None

    def __init__(self, load: Load, sock: socket.socket, identity: str, number: int) -> None:
        super().__init__(load, sock)
        self.identity = identity
        self.sent = b""
        self.sent_ns = 0
        self.done: Callable[[Station], None] = lambda _: None
        self.number = number
        self.action, make = frames.MESSAGES[load.version]
        self.payload = make(number)

    def ask(self) -> None:
        """Asks the relay for the WebSocket."""
        lines = [f"GET /{self.identity} HTTP/1.1", "Host: localhost", "Upgrade: websocket", "Connection: Upgrade"]
        lines += [f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}", "Sec-WebSocket-Version: 13"]
        lines += [f"Sec-WebSocket-Protocol: {self.load.protocol}", "", ""]
        self.send("\r\n".join(lines).encode())

    def opened(self, head: bytes) -> None:
        """Boots as soon as the connection is there."""
        if b" 101 " not in head.split(b"\r\n", 1)[0]:
            raise LostError(head.decode())
        self.call("BootNotification", frames.BOOTS[self.load.version])

    def call(self, action: str, payload: bytes) -> None:
        """Sends a CALL; `done` is called with its answer."""
        self.load.calls += 1
        self.sent = frames.call(b"%010d" % self.load.calls, action, payload)
        self.sent_ns = time.perf_counter_ns()
        self.send(frames.frame(self.sent, masked=True))

    def event(self) -> None:
        """Sends the usual CALL."""
        self.call(self.action, self.payload)

    def ping(self) -> None:
        """Sends a ping; its answer is counted."""
        self.send(frames.frame(b"x", opcode=frames.PING, masked=True))

    def ponged(self) -> None:
        """The relay's event loop turned."""
        self.load.pongs += 1

    def text(self, content: bytes) -> None:
        """The answer to our CALL, or a CALL of the gateway."""
        if not content.startswith(_ANSWERED):
            self.load.own_calls += 1
            self.send(frames.frame(frames.station_answer(content), masked=True))
        elif frames.message_id_of(content) != frames.message_id_of(self.sent):
            self.load.mismatched += 1
        else:
            self.load.answered += 1
            self.done(self)


@dataclass
class Load:
    """Many stations and their CSMS. The CSMS listens as soon as this exists."""

    version: str = "v201"
    stations: dict[str, Station] = field(default_factory=dict)
    direct: list[Station] = field(default_factory=list)
    by_identity: dict[str, Station] = field(default_factory=dict)
    pongs: int = 0
    calls: int = 0
    answered: int = 0
    own_calls: int = 0
    mismatched: int = 0

    def __post_init__(self) -> None:
        self.protocol = frames.PROTOCOLS[self.version]
        self._poll = select.epoll()
        self._by_fd: dict[int, Socket] = {}
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self._listener.setblocking(False)
        self._poll.register(self._listener, select.EPOLLIN)
        self.csms_port = self._listener.getsockname()[1]

    def close(self) -> None:
        """All sockets go."""
        for one in self._by_fd.values():
            one.sock.close()
        self._listener.close()
        self._poll.close()

    # --- the loop ------------------------------------------------------------------------------------------------

    def add(self, one: Socket) -> None:
        """Watches a new socket."""
        self._by_fd[one.sock.fileno()] = one
        self._poll.register(one.sock, _EVENTS)

    def remove(self, one: Socket) -> None:
        """Closes a socket."""
        del self._by_fd[one.sock.fileno()]
        self._poll.unregister(one.sock)
        one.sock.close()

    def watch_writing(self, one: Socket) -> None:
        """Until the socket takes more."""
        self._poll.modify(one.sock, _EVENTS | select.EPOLLOUT)

    def watch_reading(self, one: Socket) -> None:
        """The usual."""
        self._poll.modify(one.sock, _EVENTS)

    def turn(self, timeout_s: float = 0.1) -> None:
        """Waits for something to happen, and does it."""
        for fd, events in self._poll.poll(timeout_s):
            one = self._by_fd.get(fd)
            if one is None:
                self._accept()
                continue
            if events & select.EPOLLOUT:
                one.writable()
            if events & ~select.EPOLLOUT:
                one.readable()

    def until(self, is_over: Callable[[], bool], timeout_s: float = 30.0) -> None:
        """Turns until something holds. Raises LostError when it does not come true in time."""
        end_s = time.monotonic() + timeout_s
        while not is_over():
            if time.monotonic() > end_s:
                raise LostError(f"{self.answered} of {self.calls} CALLs answered, {self.mismatched} mismatched")
            self.turn()

    def pause(self, duration_s: float) -> None:
        """Lets everybody be served without asking for more."""
        end_s = time.monotonic() + duration_s
        while (left_s := end_s - time.monotonic()) > 0:
            self.turn(left_s)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except BlockingIOError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            Upstream(self, sock)

    # --- what is measured ----------------------------------------------------------------------------------------

    def connect(self, port: int, count: int) -> float:
        """All stations dial at once and boot; seconds until the last one has its answer."""
        start = time.perf_counter()
        news = self._dial_all(port, range(count))
        self.stations = {station.identity: station for station in news}
        return time.perf_counter() - start

    def connect_directly(self, count: int) -> None:
        """As many stations that need no relay."""
        self.direct = self._dial_all(self.csms_port, range(10**6, 10**6 + count))

    def _dial_all(self, port: int, numbers: Iterable[int]) -> list[Station]:
        news = [self._dial(port, number) for number in numbers]
        waiting = set(news)
        for station in news:
            station.done = waiting.discard
            station.ask()
        self.until(lambda: not waiting, 120)
        return news

    def _dial(self, port: int, number: int) -> Station:
        sock = socket.create_connection(("127.0.0.1", port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        station = Station(self, sock, f"CP-{number}", number)
        self.by_identity[station.identity] = station
        return station

    def saturate(self, duration_s: float) -> int:
        """Every station always has a CALL in flight; the number of round trips, which are all complete."""
        before, end_s = self.answered, time.monotonic() + duration_s
        stations = list(self.stations.values())
        idle: set[Station] = set()

        def again(station: Station) -> None:
            if time.monotonic() < end_s:
                station.event()
            else:
                idle.add(station)

        for station in stations:
            station.done = again
            station.event()
        self.until(lambda: len(idle) == len(stations), duration_s + 60)
        return self.answered - before

    def latencies_us(self, duration_s: float, per_s: float) -> tuple[list[float], list[float]]:
        """Round-trip times through the relay at a fixed rate, and as many without it, in turn, one after the other.

        A station asks only when its last CALL was answered. Raises LostError when the relay does not keep up.
        """
        via, direct = _Timed(self.stations.values()), _Timed(self.direct)
        count = int(duration_s * per_s)
        turns = [direct, via] * count
        start_s = time.monotonic()
        while len(via.times_us) + len(direct.times_us) < 2 * count:
            wait_s = start_s + (2 * count - len(turns)) / (2 * per_s) - time.monotonic()
            if turns and wait_s <= 0 and turns[-1].free:
                turns.pop().ask()
                continue
            if wait_s < -_LATE_S:
                raise LostError(f"only {len(via.times_us)} of {count} round trips at {per_s} per s")
            self.turn(wait_s if 0 < wait_s < 0.1 else 0.1)
        return via.times_us, direct.times_us

    def longest_pong_ms(self, duration_s: float, busy: Sequence[Callable[[], None]]) -> float:
        """How long the relay left a ping of a station unanswered, at worst, while all of `busy` are done in turn."""
        station = next(iter(self.stations.values()))
        worst_ms, end_s, turns = 0.0, time.monotonic() + duration_s, itertools.cycle(busy)
        while time.monotonic() < end_s:
            answered = self.pongs
            start_ns = time.perf_counter_ns()
            station.ping()
            next(turns)()
            self.until(lambda answered=answered: self.pongs > answered)  # type: ignore[misc]  # a default binds it now
            worst_ms = max(worst_ms, (time.perf_counter_ns() - start_ns) / 1e6)
            self.pause(0.001)
        return worst_ms

    def idle(self) -> None:
        """Waits for what is still under way."""
        self.until(lambda: self.answered == self.calls)


class _Timed:
    """Stations that ask in random order, and how long they waited for answers."""

    def __init__(self, stations: Iterable[Station]) -> None:
        self.times_us: list[float] = []
        self.free = list(stations)
        random.shuffle(self.free)
        for station in self.free:
            station.done = self._note

    def ask(self) -> None:
        self.free.pop().event()

    def _note(self, station: Station) -> None:
        self.times_us.append((time.perf_counter_ns() - station.sent_ns) / 1e3)
        self.free.insert(0, station)


def _sha1(key: bytes) -> bytes:
    return hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()  # noqa: S324 - RFC 6455 asks for it
