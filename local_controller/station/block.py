"""What may a functional block do with the messages of one station? It looks on, claims a CALL, or asks a peer itself.

A block is the part that understands one functional block of OCPP. Its answers are values; `StationProxy` carries them
out on the two connections. The default of every method is to do nothing: relaying is the rule, understanding the
exception.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar, Final

import msgspec

from local_controller.clock import Instant
from local_controller.errors import PayloadError
from local_controller.rpc.frame import Frame
from local_controller.station.effects import Close, Note, PasswordOffered, Peer, Tell


class Urgency(IntEnum):
    """The order in which waiting CALLs get a leg's one slot (LC-022, LC-024); within one urgency first in, first out."""

    SAFETY = 0  # our own reduction of a limit
    FOREIGN = 1  # a CALL of the far end; never chosen by a block
    RAISE = 2  # our own increase of a limit
    QUERY = 3  # our own questions


class OwnCall(msgspec.Struct, frozen=True):
    """We ask `peer`. Later `sent(tag)` and then `answered(tag)` is called exactly once, or only the latter.

    tag: shown to the `sent` and `answered` of every block, so give it a type (or prefix) of your own.
    timeout_s counts from the moment the CALL is on the wire (LC-024).
    """

    peer: Peer
    action: str
    payload: dict[str, Any]
    urgency: Urgency
    tag: Any
    timeout_s: float = 8.0


@dataclass(frozen=True, slots=True)
class Answer:
    """We answer a claimed CALL of `peer` with a CALLRESULT; `is_refusal`: because it must not pass (Fate.REFUSED)."""

    peer: Peer
    message_id: str
    payload: dict[str, Any]
    is_refusal: bool = False


@dataclass(frozen=True, slots=True)
class AnswerError:
    """We answer a claimed CALL of `peer` with a CALLERROR; `code` in the spelling of the version (LC-028)."""

    peer: Peer
    message_id: str
    code: str
    description: str


@dataclass(frozen=True, slots=True)
class Forward:
    """Relay a claimed CALL of `sender` after all, with this payload; id and action stay (Fate.ALTERED)."""

    sender: Peer
    frame: Frame
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Overheard:
    """Show a claimed CALL of `sender` to all blocks, as if it had been relayed: it is answered here, but used all the same."""

    sender: Peer
    frame: Frame


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Forget the OwnCall with this tag if it still waits for its slot; then (only then) `answered(tag, None)` follows.

    So that a queued increase never delays, or outlives, the reduction that replaces it.
    """

    peer: Peer
    tag: Any


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A relayed message cannot be read (LC-020), by a block that reads it late, or wants something else all the same."""

    error: PayloadError


@dataclass(frozen=True, slots=True)
class SchemaBroken:
    """A relayed message of `sender` breaks its schema at `path`; `kind`: CALL (or SEND) or CALLRESULT (LC-020)."""

    sender: Peer
    action: str
    kind: str
    path: str
    reason: str


BlockEffect = (
    OwnCall
    | Withdraw
    | Answer
    | AnswerError
    | Forward
    | Overheard
    | Close
    | Tell
    | Note
    | PasswordOffered
    | Unreadable
    | SchemaBroken
)


Wanted = Sequence[BlockEffect]

UNCHANGED: Final[tuple[()]] = ()
"""Answer of a block that has nothing to do and in which nothing has changed, so that its `deadline` stands as well.

Any tuple says that the `deadline` stands or is later; a list is always right, and costs a look at the deadline.
"""


class _Routine(tuple[BlockEffect, ...]):
    """An empty answer that is told from others by what it is."""

    __slots__ = ()


ROUTINE: Final = _Routine()
"""Answer of a block to a CALL from which no other block learns anything, nor from the answer if that is empty: they are not shown them."""

ROUTINE_SOONER: Final = _Routine()
"""The same, and the `deadline` of another block may be earlier now."""


class Block:
    """A block that understands nothing. Methods may raise PayloadError: the message is relayed all the same (LC-020).

    claims_only, called_only, observe_only: the actions, as in the CALL, that the method of this name is asked about;
    None for all of them. A method that a block does not override costs nothing, nor does an action that it does not name.
    """

    claims_only: ClassVar[Collection[str] | None] = None
    called_only: ClassVar[Collection[str] | None] = None
    observe_only: ClassVar[Collection[str] | None] = None

    REVISES: ClassVar[frozenset[str]] = frozenset()
    """Actions whose answers `revise` may change."""

    @property
    def deadline(self) -> float | None:
        """When `expire` wants to be called, in `Instant.monotonic_s`; None for never."""
        return None

    def connected(self, now: Instant) -> Wanted:  # noqa: ARG002 - an overridable default
        """Both legs are up."""
        return UNCHANGED

    def claims(self, sender: Peer, frame: Frame, now: Instant) -> Wanted | None:  # noqa: ARG002 - as above
        """None: not mine, relay it. Otherwise this block answers the CALL, now or later (Answer, AnswerError, Forward).

        Asked for CALLs only, block by block in order; the first claim wins. Never asked for `X-Signed` (LC-034).
        """
        return None

    def called(self, sender: Peer, call: Frame, now: Instant) -> Wanted:  # noqa: ARG002 - as above
        """A CALL or SEND of `sender` is being relayed; its answer, if any, will be shown to `observe`."""
        return UNCHANGED

    def revise(self, sender: Peer, call: Frame, answer: Frame, now: Instant) -> dict[str, Any] | None:  # noqa: ARG002 - as above
        """What the CALLRESULT to a relayed CALL of `sender` says instead, for actions in REVISES. None: as it is.

        Only what differs from the peer's own payload is written anew. `observe` sees the peer's own answer.
        """
        return None

    def observe(self, sender: Peer, call: Frame, answer: Frame | None, now: Instant) -> Wanted:  # noqa: ARG002 - as above
        """A relayed CALL of `sender` was answered; the answer has been relayed.

        None: timed out, discarded unsent or connection lost. After a time-out a late answer may still be shown.
        """
        return UNCHANGED

    def sent(self, tag: Any, now: Instant) -> Wanted:  # noqa: ARG002 - as above
        """The OwnCall with this tag went out on the wire. Ignore the tags of other blocks."""
        return UNCHANGED

    def answered(self, tag: Any, answer: Frame | None, now: Instant) -> Wanted:  # noqa: ARG002 - as above
        """The OwnCall with this tag was answered. None: timed out, or never sent. Ignore the tags of other blocks."""
        return UNCHANGED

    def expire(self, now: Instant) -> Wanted:  # noqa: ARG002 - as above
        """Your deadline has passed."""
        return UNCHANGED

    def csms_changed(self, now: Instant, *, is_there: bool) -> Wanted:  # noqa: ARG002 - as above
        """The CSMS of a station that is served also without it has gone, or come back."""
        return UNCHANGED

    def closed(self, now: Instant) -> Wanted:  # noqa: ARG002 - as above
        """The connection is over: from now on only Tell and Note are carried out, all else is dropped."""
        return UNCHANGED
