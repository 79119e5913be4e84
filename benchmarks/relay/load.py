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
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Sequence

from benchmarks.relay import frames
from benchmarks.relay.broker import Broker
from benchmarks.relay.sockets import Loop, LostError, WebSocket

_ANSWERED = b"[3"
_LATE_S = 10.0  # a relay that lags so far behind the asked rate does not keep up


class Upstream(WebSocket):
    """The CSMS's end of one station's connection."""

    station: Station

    def __init__(self, load: Load, sock: socket.socket) -> None:
        super().__init__(load, sock)
        self.load = load

    def opened(self, head: bytes) -> None:
        """Completes the handshake and finds the station that this is."""
        request, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        identity = request.split()[1].rsplit("/", 1)[1]
        self.station = self.load.by_identity[identity]
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


class Station(WebSocket):
    """One station, which has at most one CALL in flight."""

    masks = True

    def __init__(self, load: Load, sock: socket.socket, number: int) -> None:
        super().__init__(load, sock)
        self.load = load
        self.identity = f"CP-{number}"
        self.number = number
        self.sent = b""
        self.sent_ns = 0
        self.done: Callable[[Station], None] = lambda _: None
        self.limited: Callable[[Station], None] = lambda _: None
        self.limit_a = 0.0
        self.action, make = frames.MESSAGES[load.version]
        self.payload = make(number)
        self._shakes_hands = isinstance(sock, ssl.SSLSocket)

    def ask(self) -> None:
        """Asks the relay for the WebSocket, after the handshake of TLS where there is one."""
        if self._shakes_hands and not self._encrypted():
            return
        lines = [f"GET /{self.identity} HTTP/1.1", "Host: localhost", "Upgrade: websocket", "Connection: Upgrade"]
        lines += [f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}", "Sec-WebSocket-Version: 13"]
        password = base64.b64encode(f"{self.identity}:0123456789abcdef".encode()).decode()
        lines += [f"Sec-WebSocket-Protocol: {self.load.protocol}", f"Authorization: Basic {password}", "", ""]
        self.send("\r\n".join(lines).encode())

    def readable(self) -> None:
        """First the handshake of TLS."""
        if self._shakes_hands:
            self.ask()
        else:
            super().readable()

    def _encrypted(self) -> bool:
        assert isinstance(self.sock, ssl.SSLSocket)  # noqa: S101 - or nobody shakes hands
        try:
            self.sock.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except OSError as error:
            raise LostError(f"no TLS with the relay: {error}") from error
        self._shakes_hands = False
        return True

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
            self._obey(content)
        elif frames.message_id_of(content) != frames.message_id_of(self.sent):
            self.load.mismatched += 1
        else:
            self.load.answered += 1
            self.done(self)

    def _obey(self, content: bytes) -> None:
        self.load.own_calls += 1
        self.send(frames.frame(frames.station_answer(content), masked=True))
        if b'"SetChargingProfile"' in content[:80]:
            self.limit_a = frames.limit_a(content)
            self.limited(self)


class Load(Loop):
    """Many stations and their CSMS. The CSMS and the broker of limits listen as soon as this exists."""

    def __init__(self, version: str = "v201") -> None:
        super().__init__()
        self.version = version
        self.protocol = frames.PROTOCOLS[version]
        self.stations: dict[str, Station] = {}
        self.direct: list[Station] = []
        self.by_identity: dict[str, Station] = {}
        self.pongs = self.calls = self.answered = self.own_calls = self.mismatched = 0
        self.csms_port = self.listen(lambda sock: Upstream(self, sock))
        self.broker = Broker(self)

    def until(self, is_over: Callable[[], bool], timeout_s: float = 30.0) -> None:
        """Turns until something holds. Raises LostError when it does not come true in time."""
        end_s = time.monotonic() + timeout_s
        while not is_over():
            if time.monotonic() > end_s:
                raise LostError(f"{self.answered} of {self.calls} CALLs answered, {self.mismatched} mismatched")
            self.turn()

    # --- connecting ----------------------------------------------------------------------------------------------

    def connect(self, port: int, count: int, tls: ssl.SSLContext | None = None) -> float:
        """All stations dial at once and boot; seconds until the last one has its answer."""
        start = time.perf_counter()
        news = self._dial_all(port, range(count), tls)
        self.stations = {station.identity: station for station in news}
        return time.perf_counter() - start

    def connect_directly(self, count: int) -> None:
        """As many stations that need no relay."""
        self.direct = self._dial_all(self.csms_port, range(10**6, 10**6 + count), None)

    def _dial_all(self, port: int, numbers: Iterable[int], tls: ssl.SSLContext | None) -> list[Station]:
        news = [self._dial(port, number, tls) for number in numbers]
        waiting = set(news)
        for station in news:
            station.done = waiting.discard
            station.ask()
        self.until(lambda: not waiting, 120)
        return news

    def _dial(self, port: int, number: int, tls: ssl.SSLContext | None) -> Station:
        sock = socket.create_connection(("127.0.0.1", port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            sock = tls.wrap_socket(sock, do_handshake_on_connect=False)
        station = Station(self, sock, number)
        self.by_identity[station.identity] = station
        return station

    # --- what is measured ----------------------------------------------------------------------------------------

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

    def latencies_us(
        self, duration_s: float, per_s: float, *, beside: Callable[[], object] = lambda: None
    ) -> tuple[list[float], list[float]]:
        """Round-trip times through the relay at a fixed rate, and as many without it, in turn, one after the other.

        A station asks only when its last CALL was answered. beside: called after each round trip through the relay.
        Raises LostError when the relay does not keep up.
        """
        via, direct = _Timed(self.stations.values(), beside), _Timed(self.direct, lambda: None)
        count = int(duration_s * per_s)
        turns = [direct, via] * count if self.direct else [via] * count
        total = len(turns)
        start_s = time.monotonic()
        while len(via.times_us) + len(direct.times_us) < total:
            wait_s = start_s + duration_s * (total - len(turns)) / total - time.monotonic()
            if turns and wait_s <= 0 and turns[-1].free:
                turns.pop().ask()
                continue
            if wait_s < -_LATE_S:
                raise LostError(f"only {len(via.times_us)} of {count} round trips at {per_s} per s")
            self.turn(wait_s if 0 < wait_s < 0.1 else 0.1)
        return via.times_us, direct.times_us

    def longest_pongs_ms(
        self, duration_s: float, busy: Sequence[Callable[[], None]], events: Sequence[tuple[str, Callable[[], object]]]
    ) -> dict[str, float]:
        """How long the relay left a ping of a station unanswered, at worst, by the event before it.

        All of `busy` are done in turn, about one a millisecond; `events` are spread over the time, in their order.
        """
        station = next(iter(self.stations.values()))
        start_s, turns, todo = time.monotonic(), itertools.cycle(busy), list(events)
        worst_ms, last = {"traffic": 0.0}, "traffic"
        while (age_s := time.monotonic() - start_s) < duration_s:
            if todo and age_s > duration_s * (len(events) - len(todo) + 1) / (len(events) + 1):
                last, event = todo.pop(0)
                event()
            answered = self.pongs
            start_ns = time.perf_counter_ns()
            station.ping()
            next(turns)()
            self.until(lambda answered=answered: self.pongs > answered)  # type: ignore[misc]  # a default binds it now
            worst_ms[last] = max(worst_ms.get(last, 0.0), (time.perf_counter_ns() - start_ns) / 1e6)
            self.pause(0.001)
        return worst_ms

    def fan_out_ms(self, trigger: Callable[[], object]) -> float:
        """From a trigger until every station was given a limit and whoever gave it has taken the last answer.

        That it was taken shows the pong to a ping behind the answer.
        """
        stations = list(self.stations.values())
        waiting, before = set(stations), self.pongs

        def limited(station: Station) -> None:
            if station in waiting:
                waiting.discard(station)
                station.ping()

        for station in stations:
            station.limited = limited
        start_ns = time.perf_counter_ns()
        trigger()
        self.until(lambda: not waiting and self.pongs - before >= len(stations))
        return (time.perf_counter_ns() - start_ns) / 1e6

    def idle(self) -> None:
        """Waits for what is still under way."""
        self.until(lambda: self.answered == self.calls)


class _Timed:
    """Stations that ask in random order, and how long they waited for answers."""

    def __init__(self, stations: Iterable[Station], beside: Callable[[], object]) -> None:
        self.times_us: list[float] = []
        self.free = list(stations)
        self._beside = beside
        random.shuffle(self.free)
        for station in self.free:
            station.done = self._note

    def ask(self) -> None:
        self.free.pop().event()

    def _note(self, station: Station) -> None:
        self.times_us.append((time.perf_counter_ns() - station.sent_ns) / 1e3)
        self.free.insert(0, station)
        self._beside()


def _sha1(key: bytes) -> bytes:
    return hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()  # noqa: S324 - RFC 6455 asks for it
