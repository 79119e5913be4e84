"""What did we write into a station, what does the station itself say that it holds, and how old is each of these facts?

Beside the state of its connection, because it outlives one: a fact that is old is shown with its age, not forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from local_controller.clock import Instant
from local_controller.profiles.units import RateUnit
from local_controller.station.blocks.actuator import profile_id
from local_controller.station.capability import Actuator
from local_controller.station.dialects.held import HeldComposite, HeldProfile
from local_controller.station.words import ForeignLimit, LimitKind

if TYPE_CHECKING:
    from local_controller.station.blocks.writer import Push

ACCEPTED = "Accepted"
MOST_IDS = 128
"""Of so many profiles of the CSMS it is remembered when they came; twice as many as are kept."""


@dataclass(frozen=True, slots=True)
class OwnWrite:
    """A SetChargingProfile of ours and what became of it; `word` is the station's, "" while it has not answered."""

    push: Push
    sent_at: Instant
    answered_at: Instant | None = None
    word: str = ""

    @property
    def is_confirmed(self) -> bool:
        """The station said yes."""
        return self.word == ACCEPTED

    @property
    def profile_id(self) -> int:
        """The id under which the station keeps it."""
        return profile_id(self.push.target.evse, LimitKind.FALLBACK if self.is_floor else LimitKind.WORKING)

    @property
    def is_floor(self) -> bool:
        """Whether it (also) is the floor: a TxDefaultProfile that never ends."""
        is_single = self.push.rung.actuator is Actuator.TX_DEFAULT
        return self.push.target.kind is LimitKind.FALLBACK or is_single


@dataclass(slots=True)
class OwnWrites:
    """For one EVSE: what the station said yes to last, and what came after that; None where there is nothing."""

    floor: OwnWrite | None = None
    working: OwnWrite | None = None
    latest: OwnWrite | None = None

    def sent(self, push: Push, now: Instant) -> None:
        """It is on the wire."""
        self.latest = OwnWrite(push, now)

    def answered(self, push: Push, word: str, now: Instant) -> bool:
        """What the station answered; False if this one was never on the wire."""
        latest = self.latest
        if latest is None or latest.push is not push:
            return False
        self.latest = done = OwnWrite(push, latest.sent_at, now, word)
        if done.is_confirmed:
            self.floor = done if done.is_floor else self.floor
            self.working = done if push.target.working is not None else self.working
        return True

    def limit_a(self, transaction_id: str | None, at: datetime) -> float | None:
        """What the station obeys at that moment of its clock (A per phase) if it keeps what it said yes to."""
        working = self.working_now(transaction_id, at)
        if working is not None and working.push.target.working is not None:
            return working.push.target.working.at(at)
        return None if self.floor is None else self.floor.push.target.fallback_a

    def working_now(self, transaction_id: str | None, at: datetime) -> OwnWrite | None:
        """The working limit that holds at that moment, if one does: a TxProfile only in its own transaction."""
        found = self.working
        if found is None or found.push.target.working is None or found.push.target.working.at(at) is None:
            return None
        is_its_own = transaction_id is not None and found.push.target.transaction_id == transaction_id
        return found if is_its_own or found.is_floor else None

    @property
    def is_pending(self) -> bool:
        """Whether a limit is on the wire that the station has not said anything about, so that either may hold."""
        return self.latest is not None and self.latest.answered_at is None

    @property
    def unit(self) -> RateUnit | None:
        """The unit in which the station took a limit last."""
        found = [one for one in (self.working, self.floor) if one is not None]
        return found[0].push.rung.unit if found else None


@dataclass(frozen=True, slots=True)
class HeardComposite:
    """A composite schedule of one EVSE, and when the station told it; `said` None: it has none, or none that is readable."""

    said: HeldComposite | None
    at: Instant


@dataclass(frozen=True, slots=True)
class HeardProfiles:
    """All profiles that the station reported, and when it had told all."""

    said: tuple[HeldProfile, ...]
    at: Instant

    def __iter__(self) -> Iterator[HeldProfile]:
        return iter(self.said)


@dataclass(slots=True)
class StationTruth:
    """All of it for one station; the dictionaries are keyed by EVSE, `set_at` by the CSMS's profile id.

    refused: actions by which the station cannot be asked, until its next boot.
    echoed: for which EVSE and kind of limit the station's own word was once seen to show exactly ours, so that it counts
        when it shows something else.
    by_composite, by_loss: what its composite schedule shows besides ours, and that it does not keep ours. findings: what
        the site was told.
    """

    writes: dict[int, OwnWrites] = field(default_factory=dict)
    composites: dict[int, HeardComposite] = field(default_factory=dict)
    reported: HeardProfiles | None = None
    refused: set[str] = field(default_factory=set)
    echoed: set[tuple[int, LimitKind]] = field(default_factory=set)
    by_composite: dict[int, ForeignLimit] = field(default_factory=dict)
    by_loss: dict[int, ForeignLimit] = field(default_factory=dict)
    findings: dict[int, ForeignLimit] = field(default_factory=dict)
    set_at: dict[int, Instant] = field(default_factory=dict)
    closed_at: Instant | None = None

    def of(self, evse: int) -> OwnWrites:
        """What we wrote into this EVSE."""
        return self.writes.setdefault(evse, OwnWrites())

    def csms_set(self, profile_id: int, now: Instant) -> None:
        """The CSMS sends a profile with this id."""
        self.set_at.pop(profile_id, None)
        while len(self.set_at) >= MOST_IDS:
            del self.set_at[next(iter(self.set_at))]
        self.set_at[profile_id] = now
