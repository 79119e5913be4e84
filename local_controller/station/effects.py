"""What can a StationProxy ask of its shell? Effects are values; the driver carries them out in order.

What is made for every message is a Struct of msgspec, which is made five times as fast as a frozen dataclass.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec

from local_controller.profiles.schedule import Schedule
from local_controller.station import words
from local_controller.station.announcements import Announcement


class Peer(StrEnum):
    """The two ends of a proxied connection."""

    STATION = "station"
    CSMS = "csms"

    __hash__ = str.__hash__  # that of Enum is written in Python

    @property
    def other(self) -> Peer:
        """The far end, seen from this one."""
        return Peer.CSMS if self is Peer.STATION else Peer.STATION


class Fate(StrEnum):
    """What became of a frame: the seam of the trace."""

    PASSED = "passed"  # relayed byte for byte
    ALTERED = "altered"  # relayed with a named field changed
    ABSORBED = "absorbed"  # answered or consumed here
    INJECTED = "injected"  # written by the gateway
    QUEUED = "queued"  # waits for its slot
    DISCARDED = "discarded"  # too old to be executed, or an answer that nobody asked for
    REFUSED = "refused"  # answered here with an error or a refusal: too much is waiting, or it must not pass


class Send(msgspec.Struct, frozen=True, gc=False):
    """Write this text to the peer's socket as one WebSocket text message."""

    peer: Peer
    text: str


@dataclass(frozen=True, slots=True)
class Close:
    """Close the peer's socket with a WebSocket close code."""

    peer: Peer
    code: int
    reason: str


StationFact = (
    words.Connected
    | words.Disconnected
    | words.FellSilent
    | words.SpokeAgain
    | words.Booted
    | words.ConnectorChanged
    | words.TransactionStarted
    | words.Authorized
    | words.PriorityGiven
    | words.DelayWaived
    | words.TransactionUpdated
    | words.TransactionEnded
    | words.Measured
    | words.NeedsKnown
    | words.CarPlans
    | words.SessionExpected
    | words.ExpectationOver
    | words.UnitLearnt
    | words.BehaviourLearnt
    | words.LimitAnswered
    | words.ForeignLimit
)


class CsmsLimitChanged(msgspec.Struct, frozen=True):
    """The CSMS's profiles now allow this much at an EVSE (A per phase; empty schedule = no constraint).

    least_a: rather than less than this the CSMS wants its car to get nothing (LC-110).
    """

    evse: int
    schedule: Schedule
    least_a: float = 0.0


Fact = StationFact | CsmsLimitChanged | Announcement


class Tell(msgspec.Struct, frozen=True, gc=False):
    """A fact that the site must know, or an announcement to others."""

    fact: Fact


@dataclass(frozen=True, slots=True)
class Note:
    """Something worth a structured log line: `event` is stable snake_case, `fields` hold the numbers."""

    level: str  # "debug" | "info" | "warning" | "error"
    event: str
    fields: dict[str, Any] = field(default_factory=dict)


class Trace(msgspec.Struct, frozen=True, gc=False):
    """One frame's fate, for the trace."""

    sender: Peer | None  # None: the gateway itself
    text: str
    fate: Fate
    detail: str = ""


@dataclass(frozen=True, slots=True)
class PasswordOffered:
    """The CSMS sends the station this new password (A01). For memory and a hash only; no log shows it."""

    value: str = field(repr=False)


Effect = Send | Close | Tell | Note | Trace | PasswordOffered
