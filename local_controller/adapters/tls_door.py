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

from local_controller.adapters.decrypted import Decrypted

HANDSHAKE_S: Final = 15.0
"""How long a station may take for its handshake: a slow controller needs 3 s, 500 of them at once some more; whoever just
holds a connection open gets no longer."""

ACCEPT_TURN: Final = 64
"""Connections taken in one turn of the event loop: 10 us each."""

AT_ONCE: Final = 32
"""Handshakes that go on at the same time: 0.2 ms of the event loop each, 0.6 ms when stations show certificates. As many
may fall into one turn of the loop and hold up the messages of other stations, and each needs memory meanwhile; few find the
processor's caches cold. 500 stations at once that connect, boot and are answered, by 16, 32 and 64: 742, 655 and 610 ms of
CPU (the obvious relay 554), 57, 58 and 60 kB a station, longest turns of 13 to 37, 26 to 41 and 34 to 85 ms on a busy machine (without
TLS 59)."""

SLOW_S: Final = 0.05
"""A handshake that takes longer waits for its station, over a mobile network say, and no longer counts: whoever begins
many and does not go on only slows the door down, to 640 stations in a second."""

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
    """Listening sockets whose connections reach the protocol behind them by TLS only."""

    def __init__(
        self,
        behind: Callable[[], asyncio.Protocol],
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
        self._listeners: list[socket.socket] = []
        self._silent: dict[socket.socket, asyncio.TimerHandle] = {}
        self._spoken: deque[tuple[socket.socket, str]] = deque()
        self._quick: set[socket.socket] = set()
        self._handshakes: set[asyncio.Task[None]] = set()
        self._pauses: dict[socket.socket, asyncio.TimerHandle] = {}

    @property
    def port(self) -> int:
        """The TCP port, once open."""
        return int(self._listeners[0].getsockname()[1])

    @property
    def waiting(self) -> int:
        """How many connections have not come through yet."""
        return len(self._silent) + len(self._spoken) + len(self._handshakes)

    async def open(self, host: str, port: int, backlog: int) -> None:
        """Listens from now on. Raises OSError when the address is in use or none of this machine."""
        found = await asyncio.get_running_loop().getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        try:
            for family, _, _, _, address in dict.fromkeys(found):
                same_port = (address[0], self.port if self._listeners else port, *address[2:])
                self._listeners.append(socket.create_server(same_port, family=family, backlog=backlog))
        except OSError:
            await self.close()
            raise
        for listener in self._listeners:
            listener.setblocking(False)
            self._listen(listener)

    async def close(self) -> None:
        """Listens no more and breaks off handshakes; connections that came through live on."""
        for pause in self._pauses.values():
            pause.cancel()
        for listener in self._listeners:
            asyncio.get_running_loop().remove_reader(listener)
            listener.close()
        for connection in list(self._silent):
            self._heard(connection).close()
        while self._spoken:
            self._spoken.popleft()[0].close()
        for task in self._handshakes:
            task.cancel()
        await asyncio.gather(*self._handshakes, return_exceptions=True)

    def _listen(self, listener: socket.socket) -> None:
        asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        """All that knock at this moment, but a limited number so that connected stations have their turn."""
        for _ in range(ACCEPT_TURN):
            try:
                connection, address = listener.accept()
            except BlockingIOError:
                return
            except ConnectionError:
                continue  # it knocked and went
            except OSError:
                self._rest(listener)
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

    def _rest(self, listener: socket.socket) -> None:
        """No file descriptors left: without a pause the loop would do nothing but try again."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(listener)
        self._pauses[listener] = loop.call_later(REST_S, self._listen, listener)

    async def _shake_hands(self, connection: socket.socket, address: str) -> None:
        loop = asyncio.get_running_loop()
        slow = loop.call_later(SLOW_S, self._make_room, connection)
        behind, failed = self._behind(), None
        try:
            await loop.connect_accepted_socket(
                lambda: Decrypted(behind), connection, ssl=self._context, ssl_handshake_timeout=self._timeout_s
            )
        except OSError as fault:
            failed = failure(address, fault)
            fault.__traceback__ = None  # it knows frames of asyncio that know it: a circle
        finally:
            slow.cancel()
            self._make_room(connection)
        if failed is not None:
            behind.connection_lost(None)  # event loops tell it to those only who were connected
            self._failed(failed)


def failure(address: str, fault: OSError) -> TlsFailure:
    """What a failed handshake says, and what to do about it."""
    if not isinstance(fault, ssl.SSLError):
        reason = "TIMED_OUT" if isinstance(fault, ConnectionAbortedError) else "HUNG_UP"
        return TlsFailure(address, reason, str(fault), "")
    reason = fault.reason or type(fault).__name__
    detail = getattr(fault, "verify_message", "") or str(fault)
    return TlsFailure(address, reason, detail, REMEDIES.get(reason, ""))
