"""What can the SiteController ask of its shell? Effects are values; the driver carries them out in order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from local_controller.station.words import EvseId


class ApplyFallback(msgspec.Struct, frozen=True):
    """Keep this limit in the station for the case that nobody controls it (failsafe layer L1), A per phase."""

    evse: EvseId
    limit_a: float


class ApplyLimit(msgspec.Struct, frozen=True):
    """Let the running transaction draw this much, A per phase, for `valid_s` seconds; then the fallback holds (L2).

    urgent: ahead of everything that waits for the station's slot. phases, phase_to_use: on how many of its phases, and on
    which; None to say nothing of them.
    """

    evse: EvseId
    limit_a: float
    valid_s: float
    urgent: bool
    phases: int | None = None
    phase_to_use: int | None = None


@dataclass(frozen=True, slots=True)
class Disobeyed:
    """A sample shows the EVSE above a limit that it should have followed long ago: perhaps it must be told otherwise.

    drawn_a: on its fullest phase.
    """

    evse: EvseId
    drawn_a: float


@dataclass(frozen=True, slots=True)
class AskSample:
    """Ask the station what its car draws just now (TriggerMessage): there may be room that only that can prove."""

    evse: EvseId


@dataclass(frozen=True, slots=True)
class StopSession:
    """End this transaction at its station (RequestStopTransaction): it ignores its limit, and a fuse bears no more."""

    evse: EvseId
    transaction_id: str


@dataclass(frozen=True, slots=True)
class Solve:
    """Solve `SiteController.question()` outside the event loop and answer with `planned(number, ...)`."""

    number: int


@dataclass(frozen=True, slots=True)
class Notice:
    """Something people must know: `code` is stable snake_case, `text` names the place and the remedy."""

    level: str  # "info" | "warning" | "error"
    code: str
    text: str
    fields: dict[str, Any] = field(default_factory=dict)


ForStation = ApplyFallback | ApplyLimit | AskSample | Disobeyed | StopSession
"""What a station's proxy is told."""

SiteEffect = ForStation | Solve | Notice
