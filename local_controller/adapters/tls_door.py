"""Who fails to come in by TLS, from where, and why? An event loop would say nothing of it (LC-138).

A server of asyncio or uvloop drops a failed handshake silently. So this door accepts connections itself and has each one
upgraded where its address is known. Nothing is spent on an address that `admit` turns away, and next to nothing on a
connection until it says something.

It also lets only a few shake hands at a time: stations that come back all at once would otherwise hold up the messages of
those that are there.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

HANDSHAKE_S: Final = 15.0
"""How long a station may take for its handshake: a slow controller needs 3 s, 500 of them at once some more; whoever just
holds a connection open gets no longer."""

ACCEPT_TURN: Final = 64
"""Connections taken in one turn of the event loop: 10 us each."""

AT_ONCE: Final = 8
"""Handshakes that go on at the same time: 0.3 ms of the event loop each, 0.6 ms when stations show certificates. As many
may fall into one turn of the loop and hold up the messages of other stations. 500 stations at once, measured: the longest
turn has 6 ms instead of 37 ms, all are in a third sooner, and each needs 22 kB instead of 51 kB."""

SLOW_S: Final = 0.05
"""A handshake that takes longer waits for its station, over a mobile network say, and no longer counts: whoever begins
many and does not go on only slows the door down, to 160 stations in a second."""

REST_S: Final = 1.0
"""asyncio's servers rest as long when file descriptors run out."""

REMEDIES: Final[Mapping[str, str]] = {
    "HTTP_REQUEST": "it speaks ws:// to a door for wss://: correct its address or its security profile",
    "WRONG_VERSION_NUMBER": "it does not speak TLS: correct its address or its security profile",
    "UNSUPPORTED_PROTOCOL": "it only knows TLS 1.1 or older (A00.FR.313): update its firmware or use security profile 1",
    "VERSION_TOO_LOW": "it only knows TLS 1.1 or older (A00.FR.313): update its firmware or use security profile 1",
    "NO_SHARED_CIPHER": "it has no suite for our certificates: give listen.tls an ECDSA and an RSA one (A00.FR.318)",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "it has no certificate for security profile 3: install one or lower its profile",
    "CERTIFICATE_VERIFY_FAILED": "its certificate is not from listen.tls.station_authorities, or its dates are over",
    "TLSV1_ALERT_UNKNOWN_CA": "it does not know the issuer of our certificate: install that root in the station",
    "SSLV3_ALERT_BAD_CERTIFICATE": "it refuses our certificate: compare the host it dials with the certificate's names",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "it refuses our certificate: compare the host it dials with its names, and its root",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "it says that our certificate has ended: renew it, or correct the station's clock",
}


@dataclass(frozen=True, slots=True)
class TlsFailure:
    """A station, or a stranger, that did not get through. reason: OpenSSL's word for it; remedy: empty if none is known."""

    address: str
    reason: str
    detail: str
    remedy: str


class TlsDoor:
    """A listening socket whose connections reach the protocol behind it by TLS only."""

    def __init__(
        self,
        behind: Callable[[], asyncio.BaseProtocol],
        context: ssl.SSLContext,
        failed: Callable[[TlsFailure], None],
        admit: Callable[[str], bool] = lambda _: True,
        timeout_s: float = HANDSHAKE_S,
    ) -> None:
        """`behind` makes the protocol of one that came through; `failed` hears of those that did not."""
        self._behind = behind
        self._context = context
        self._failed = failed
        self._admit = admit
        self._timeout_s = timeout_s
        self._listener: socket.socket | None = None
        self._silent: dict[socket.socket, asyncio.TimerHandle] = {}
        self._spoken: deque[tuple[socket.socket, str]] = deque()
        self._quick: set[socket.socket] = set()
        self._handshakes: set[asyncio.Task[None]] = set()
        self._pause: asyncio.TimerHandle | None = None

    @property
    def port(self) -> int:
        """The TCP port, once open."""
        assert self._listener, "not open"  # noqa: S101 - misuse by us
        return int(self._listener.getsockname()[1])

    async def open(self, host: str, port: int, backlog: int) -> None:
        """Listens from now on. Raises OSError when the address is in use or none of this machine."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        self._listener = socket.create_server(address, family=family, backlog=backlog)
        self._listener.setblocking(False)
        self._listen()

    async def close(self) -> None:
        """Listens no more and breaks off handshakes; connections that came through live on."""
        if self._listener is None:
            return
        if self._pause is not None:
            self._pause.cancel()
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._listener)
        self._listener.close()
        for connection in list(self._silent):
            self._heard(connection).close()
        while self._spoken:
            self._spoken.popleft()[0].close()
        for task in self._handshakes:
            task.cancel()
        await asyncio.gather(*self._handshakes, return_exceptions=True)

    def _listen(self) -> None:
        asyncio.get_running_loop().add_reader(self._listener, self._accept)  # type: ignore[arg-type]  # open: it is one

    def _accept(self) -> None:
        """All that knock at this moment, but a limited number so that connected stations have their turn."""
        assert self._listener  # noqa: S101 - this is its callback
        for _ in range(ACCEPT_TURN):
            try:
                connection, address = self._listener.accept()
            except BlockingIOError:
                return
            except ConnectionError:
                continue  # it knocked and went
            except OSError:
                self._rest()
                return
            self._greet(connection, str(address[0]))

    def _greet(self, connection: socket.socket, address: str) -> None:
        if not self._admit(address):
            connection.close()
            return
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        loop = asyncio.get_running_loop()
        self._silent[connection] = loop.call_later(self._timeout_s, self._too_late, connection, address)
        loop.add_reader(connection, self._spoke, connection, address)

    def _heard(self, connection: socket.socket) -> socket.socket:
        """It is silent no more."""
        self._silent.pop(connection).cancel()
        asyncio.get_running_loop().remove_reader(connection)
        return connection

    def _too_late(self, connection: socket.socket, address: str) -> None:
        self._heard(connection).close()
        self._failed(TlsFailure(address, "TIMED_OUT", "it said nothing", ""))

    def _spoke(self, connection: socket.socket, address: str) -> None:
        self._spoken.append((self._heard(connection), address))
        self._begin()

    def _begin(self) -> None:
        """As many of those that spoke as there is room for."""
        while self._spoken and len(self._quick) < AT_ONCE:
            connection, address = self._spoken.popleft()
            self._quick.add(connection)
            task = asyncio.get_running_loop().create_task(self._shake_hands(connection, address))
            self._handshakes.add(task)
            task.add_done_callback(self._handshakes.discard)

    def _make_room(self, connection: socket.socket) -> None:
        """This one is done, or slow."""
        self._quick.discard(connection)
        self._begin()

    def _rest(self) -> None:
        """No file descriptors left: without a pause the loop would do nothing but try again."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._listener)  # type: ignore[arg-type]  # open: it is one
        self._pause = loop.call_later(REST_S, self._listen)

    async def _shake_hands(self, connection: socket.socket, address: str) -> None:
        loop = asyncio.get_running_loop()
        slow = loop.call_later(SLOW_S, self._make_room, connection)
        try:
            await loop.connect_accepted_socket(
                self._behind, connection, ssl=self._context, ssl_handshake_timeout=self._timeout_s
            )
        except OSError as fault:
            self._failed(failure(address, fault))
        finally:
            slow.cancel()
            self._make_room(connection)


def failure(address: str, fault: OSError) -> TlsFailure:
    """What a failed handshake says, and what to do about it."""
    if not isinstance(fault, ssl.SSLError):
        reason = "TIMED_OUT" if isinstance(fault, ConnectionAbortedError) else "HUNG_UP"
        return TlsFailure(address, reason, str(fault), "")
    reason = fault.reason or type(fault).__name__
    detail = getattr(fault, "verify_message", "") or str(fault)
    return TlsFailure(address, reason, detail, REMEDIES.get(reason, ""))
