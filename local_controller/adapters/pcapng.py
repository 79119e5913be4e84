"""How does a trace look to Wireshark? As WebSocket messages in TCP connections: two for each station, one per leg.

A trace knows messages and their times, no packets; so addresses, ports, handshakes and segments are made up, and each
packet with a message bears the message's fate as a comment (`frame.comment` in a filter). Addresses are from ranges
that no network uses (RFC 2544, RFC 5737). Formats: draft-ietf-opsawg-pcapng, RFC 791, RFC 9293, RFC 6455.
"""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote

from local_controller.adapters.trace_diff import Event

_RAW_IP: Final = 101  # LINKTYPE_RAW: packets begin with their IP header
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PORT: Final = 80  # where Wireshark expects the HTTP upgrade that begins a WebSocket
_SEGMENT: Final = 32_768  # an IP packet carries at most 65,535 bytes
_FIRST_CLIENT_PORT: Final = 20_000

_CSMS: Final = bytes((192, 0, 2, 1))
_GATEWAY: Final = bytes((192, 0, 2, 2))

_FIN, _SYN, _PUSH, _ACK = 1, 2, 8, 16
_TCP: Final = 6
_TEXT: Final = 0x81  # a final frame of type text
_MASKED: Final = 0x80  # what clients send is masked; with zeros, so that the text stays readable in the packet

_WEBSOCKET_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@dataclass(slots=True)
class _End:
    """One end of a TCP connection. sent: the number of its next byte."""

    address: bytes
    port: int
    sent: int = 0


class _Leg:
    """One station's connection with the gateway, or the gateway's with the CSMS. The client dialled the server."""

    def __init__(self, client: _End, server: _End) -> None:
        self.client = client
        self.server = server

    def opened(self, path: str) -> Iterator[bytes]:
        """The packets of the two handshakes."""
        key = base64.b64encode(hashlib.sha256(path.encode()).digest()[:16])
        proof = base64.b64encode(hashlib.sha1(key + _WEBSOCKET_GUID, usedforsecurity=False).digest())
        upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
        request = b"GET %b HTTP/1.1\r\nHost: gateway\r\n%bSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n\r\n"
        answer = b"HTTP/1.1 101 Switching Protocols\r\n%bSec-WebSocket-Accept: %b\r\n\r\n"
        yield self._segment(self.client, self.server, _SYN)
        yield self._segment(self.server, self.client, _SYN | _ACK)
        yield self._segment(self.client, self.server, _ACK)
        yield from self.data(True, request % (path.encode(), upgrade, key))
        yield from self.data(False, answer % (upgrade, proof))

    def message(self, from_client: bool, text: str) -> Iterator[bytes]:
        """The packets of one text message."""
        payload = text.encode()
        return self.data(from_client, _frame_head(len(payload), from_client) + payload)

    def data(self, from_client: bool, data: bytes) -> Iterator[bytes]:
        """The segments of some bytes."""
        ends = (self.client, self.server) if from_client else (self.server, self.client)
        for start in range(0, len(data), _SEGMENT):
            yield self._segment(*ends, _PUSH | _ACK, data[start : start + _SEGMENT])

    @staticmethod
    def _segment(sender: _End, receiver: _End, flags: int, data: bytes = b"") -> bytes:
        acknowledged = receiver.sent if flags & _ACK else 0
        numbers = (sender.sent % 2**32, acknowledged % 2**32)
        head = struct.pack("!HHIIBBHHH", sender.port, receiver.port, *numbers, 5 << 4, flags, 65_535, 0, 0)
        pseudo = sender.address + receiver.address + struct.pack("!BBH", 0, _TCP, len(head) + len(data))
        checksum = _checksum(pseudo + head + data)
        sender.sent += len(data) + (1 if flags & (_SYN | _FIN) else 0)
        return _ip_packet(sender.address, receiver.address, head[:16] + struct.pack("!H", checksum) + head[18:] + data)


def _frame_head(length: int, masked: bool) -> bytes:
    """The header of a WebSocket frame (RFC 6455 §5.2)."""
    flag = _MASKED if masked else 0
    mask = bytes(4) if masked else b""
    if length < 126:
        return struct.pack("!BB", _TEXT, flag | length) + mask
    if length < 2**16:
        return struct.pack("!BBH", _TEXT, flag | 126, length) + mask
    return struct.pack("!BBQ", _TEXT, flag | 127, length) + mask


def _ip_packet(source: bytes, target: bytes, data: bytes) -> bytes:
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(data), 0, 0x4000, 64, _TCP, 0) + source + target
    return head[:10] + struct.pack("!H", _checksum(head)) + head[12:] + data


def _checksum(data: bytes) -> int:
    """The complement of the one's complement sum of 16-bit words (RFC 1071)."""
    total: int = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + bytes(len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


# --- the file ---------------------------------------------------------------------------------------------------------


def capture(events: Iterable[Event]) -> Iterator[bytes]:
    """The blocks of a pcapng file with everything that came in and went out."""
    yield _block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))  # section header, of unknown length
    yield _block(1, struct.pack("<HHI", _RAW_IP, 0, 0))  # one interface; times in microseconds
    legs: dict[tuple[str, str], _Leg] = {}
    stations: dict[str, int] = {}
    for event in events:
        record = event.record
        moment = datetime.fromisoformat(record.utc)
        number = stations.setdefault(record.identity, len(stations))
        for peer, from_peer in _journey(event):
            comment = f"{record.identity}: {record.fate}{record.detail and f' ({record.detail})'}"
            if (record.identity, peer) not in legs:
                leg = legs[record.identity, peer] = _leg(peer, number)
                path = f"/{quote(record.identity, safe='')}"
                yield from (
                    _packet(moment, packet, "made up: a trace has no handshakes") for packet in leg.opened(path)
                )
            leg = legs[record.identity, peer]
            from_client = from_peer == (peer == "station")
            yield from (_packet(moment, packet, comment) for packet in leg.message(from_client, record.text))


def _journey(event: Event) -> Iterator[tuple[str, bool]]:
    """The legs on which the message was seen, by the peer at their end, and whether that peer sent it."""
    if event.arrived:
        yield event.record.sender, True
    if event.left:
        yield event.to, False


def _leg(peer: str, number: int) -> _Leg:
    """The station dials the gateway, the gateway the CSMS."""
    if peer == "station":
        address = bytes((198, 18 + number // 65_536 % 2, number // 256 % 256, number % 256))
        return _Leg(_End(address, _FIRST_CLIENT_PORT), _End(_GATEWAY, _PORT))
    return _Leg(_End(_GATEWAY, _FIRST_CLIENT_PORT + number % 40_000), _End(_CSMS, _PORT))


def _packet(moment: datetime, packet: bytes, comment: str) -> bytes:
    """An enhanced packet block with a comment."""
    microseconds = (moment - _EPOCH) // timedelta(microseconds=1)
    head = struct.pack("<IIIII", 0, microseconds >> 32, microseconds & 0xFFFFFFFF, len(packet), len(packet))
    text = comment.encode()
    return _block(6, head + _padded(packet) + struct.pack("<HH", 1, len(text)) + _padded(text) + bytes(4))


def _block(kind: int, body: bytes) -> bytes:
    length = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + length + body + length


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
