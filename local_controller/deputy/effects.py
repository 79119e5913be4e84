"""What can a deputy ask of its shell? Effects are values, carried out in order; and what does the journal keep of a message?"""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum

import msgspec

from local_controller.station.effects import Note, Tell, Trace


class Kind(IntEnum):
    """What a message is to its delivery; in this order kinds are delivered (LC-051)."""

    BOOT = 0
    STATUS = 1
    TRANSACTION = 2
    SECURITY = 3
    OTHER = 4

    __hash__ = int.__hash__


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A CALL of a station that its CSMS has yet to get.

    payload: its JSON, to the byte as the station wrote it. at: when it came. rank: lower goes first among others of its kind.
    subject: of what only the latest counts, such as a connector's state; "" where each counts. sample_of: the transaction from
    whose middle it tells, so that it may be dropped when storage runs short (LC-056); "" for all else.
    """

    kind: Kind
    action: str
    payload: str
    at: datetime
    rank: int = 0
    subject: str = ""
    sample_of: str = ""


class ToStation(msgspec.Struct, frozen=True):
    """Hand this text to the proxy as one of the CSMS."""

    text: str


class ToCsms(msgspec.Struct, frozen=True):
    """Write this text to the CSMS's socket."""

    text: str


class Keep(msgspec.Struct, frozen=True):
    """Put this onto the disk, then tell `Deputy.kept(ticket, its number)`, or `Deputy.not_kept(ticket, why)`."""

    ticket: int
    entry: Entry


class Fetch(msgspec.Struct, frozen=True):
    """Tell `Deputy.fetched` what the journal has under this number."""

    number: int


class Drop(msgspec.Struct, frozen=True):
    """These are delivered, or count no more."""

    numbers: tuple[int, ...]


class PutAside(msgspec.Struct, frozen=True):
    """This cannot be delivered: it stays in the journal for a person (LC-054)."""

    number: int
    reason: str


class Rename(msgspec.Struct, frozen=True):
    """The CSMS knows the transaction with this provisional id by another one; None: it is over, the pair is no more needed."""

    provisional: int
    real: int | None


class EndStation(msgspec.Struct, frozen=True):
    """End the connection to the station, as if the CSMS did."""

    code: int
    reason: str


DeputyEffect = ToStation | ToCsms | Keep | Fetch | Drop | PutAside | Rename | EndStation | Note | Tell | Trace
