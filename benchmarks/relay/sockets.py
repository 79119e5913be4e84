"""How are thousands of sockets served by one process that must not blur what it measures? One epoll loop, no tasks."""

from __future__ import annotations

import select
import socket
import ssl
import time
from collections.abc import Callable

from benchmarks.relay import frames

_RECEIVE_BYTES = 256 * 1024
_EVENTS = select.EPOLLIN | select.EPOLLRDHUP
_WAITS = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class LostError(RuntimeError):
    """A message or a connection got lost, or something changed it."""


class Loop:
    """Waits for sockets and serves them."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._by_fd: dict[int, Socket] = {}
        self._listeners: dict[int, tuple[socket.socket, Callable[[socket.socket], object]]] = {}

    def close(self) -> None:
        """All sockets go."""
        for one in self._by_fd.values():
            one.sock.close()
        for listener, _ in self._listeners.values():
            listener.close()
        self._poll.close()

    def listen(self, accepted: Callable[[socket.socket], object]) -> int:
        """Hands over every connection to a new port, which is returned."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        listener.setblocking(False)
        self._listeners[listener.fileno()] = listener, accepted
        self._poll.register(listener, select.EPOLLIN)
        return int(listener.getsockname()[1])

    def add(self, one: Socket) -> None:
        """Watches a new socket."""
        self._by_fd[one.sock.fileno()] = one
        self._poll.register(one.sock, _EVENTS)

    def remove(self, one: Socket) -> None:
        """Closes a socket."""
        del self._by_fd[one.sock.fileno()]
        self._poll.unregister(one.sock)
        one.sock.close()

    def watch(self, one: Socket, *, writing: bool) -> None:
        """Whether to tell when the socket takes more, besides when it brings something."""
        self._poll.modify(one.sock, _EVENTS | (select.EPOLLOUT if writing else 0))

    def turn(self, timeout_s: float = 0.1) -> None:
        """Waits for something to happen, and does it."""
        for fd, events in self._poll.poll(timeout_s):
            one = self._by_fd.get(fd)
            if one is None:
                self._accept(fd)
                continue
            if events & select.EPOLLOUT:
                one.writable()
            if events & ~select.EPOLLOUT:
                one.readable()

    def pause(self, duration_s: float) -> None:
        """Lets everybody be served without asking for more."""
        end_s = time.monotonic() + duration_s
        while (left_s := end_s - time.monotonic()) > 0:
            self.turn(left_s)

    def _accept(self, fd: int) -> None:
        if fd not in self._listeners:
            return  # closed by an earlier event of this turn
        listener, accepted = self._listeners[fd]
        while True:
            try:
                sock, _ = listener.accept()
            except BlockingIOError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            accepted(sock)


class Socket:
    """A non-blocking socket with what it does not take yet."""

    def __init__(self, loop: Loop, sock: socket.socket) -> None:
        self.loop = loop
        self.sock = sock
        self.buffer = bytearray()
        self.unsent = b""
        sock.setblocking(False)
        loop.add(self)

    def send(self, data: bytes) -> None:
        """Sends now; the rest of what does not fit when the socket takes it."""
        if not self.unsent:
            try:
                sent = self.sock.send(data)
            except _WAITS:
                sent = 0
            data = data[sent:]
        if data:
            self.unsent += data
            self.loop.watch(self, writing=True)

    def writable(self) -> None:
        """The socket takes more."""
        data, self.unsent = self.unsent, b""
        self.loop.watch(self, writing=False)
        if data:
            self.send(data)

    def readable(self) -> None:
        """Reads what is there."""
        while True:
            try:
                data = self.sock.recv(_RECEIVE_BYTES)
            except _WAITS:
                return
            except (ssl.SSLError, ConnectionError):
                data = b""
            if not data:
                self.lost()
                return
            self.buffer += data
            self.received()
            if not isinstance(self.sock, ssl.SSLSocket):
                return  # what is left makes itself heard; what TLS has decrypted already does not

    def received(self) -> None:
        """There is more in the buffer."""

    def lost(self) -> None:
        """The peer closed the connection."""
        raise LostError("a connection was closed")


class WebSocket(Socket):
    """One end of a WebSocket. masks: whether it is a client's."""

    masks = False

    def __init__(self, loop: Loop, sock: socket.socket) -> None:
        super().__init__(loop, sock)
        self.is_open = False

    def received(self) -> None:
        """Takes the head, then frames. Raises LostError for a Close."""
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
                self.send(frames.frame(content, opcode=frames.PONG, masked=self.masks))
            else:
                raise LostError(f"a frame with opcode {opcode}: {content!r:.80}")

    def opened(self, head: bytes) -> None:
        """The HTTP head of the peer is there."""

    def text(self, content: bytes) -> None:
        """A text message."""

    def ponged(self) -> None:
        """Our ping was answered."""
