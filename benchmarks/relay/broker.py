"""How does a limit reach the product at a known moment? A broker that serves one subscriber, inside the load generator.

As much of MQTT 3.1.1 as a subscriber needs (OASIS standard, chapter 3); no process of its own competes for a core.
"""

from __future__ import annotations

import json
import socket
import struct
from datetime import UTC, datetime

from benchmarks.relay.sockets import Loop, Socket

TOPIC = "bench/limit"
_CONNECT, _SUBSCRIBE, _PINGREQ = 0x10, 0x80, 0xC0


class Broker:
    """Listens; publishes limits to whoever has subscribed."""

    def __init__(self, loop: Loop) -> None:
        self.subscribers: list[_Subscriber] = []
        self.port = loop.listen(lambda sock: _Subscriber(self, loop, sock))

    def publish(self, limit_a: float) -> None:
        """A new limit for the whole site, for as long as the product believes one."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        payload = json.dumps({"ts": now, "max_a": limit_a, "valid_s": 3600, "reason": "benchmark"}).encode()
        topic = struct.pack("!H", len(TOPIC)) + TOPIC.encode()
        for subscriber in self.subscribers:
            subscriber.send(bytes((0x30,)) + _length(len(topic) + len(payload)) + topic + payload)


class _Subscriber(Socket):
    """The product's connection."""

    def __init__(self, broker: Broker, loop: Loop, sock: socket.socket) -> None:
        super().__init__(loop, sock)
        self._broker = broker

    def received(self) -> None:
        """Answers what must be answered; packets of a subscriber are shorter than 128 bytes each."""
        while len(self.buffer) >= 2 and len(self.buffer) >= 2 + self.buffer[1]:
            kind, length = self.buffer[0] & 0xF0, self.buffer[1]
            body = bytes(self.buffer[2 : 2 + length])
            del self.buffer[: 2 + length]
            if kind == _CONNECT:
                self.send(b"\x20\x02\x00\x00")
            elif kind == _SUBSCRIBE:
                self.send(b"\x90\x03" + body[:2] + b"\x00")
                self._broker.subscribers.append(self)
            elif kind == _PINGREQ:
                self.send(b"\xd0\x00")

    def lost(self) -> None:
        """The product ends."""
        if self in self._broker.subscribers:
            self._broker.subscribers.remove(self)
        self.loop.remove(self)


def _length(count: int) -> bytes:
    """The remaining length of a packet, seven bits a byte."""
    encoded = bytearray()
    while True:
        count, digit = divmod(count, 128)
        encoded.append(digit | (0x80 if count else 0))
        if not count:
            return bytes(encoded)
