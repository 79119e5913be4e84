"""What did we write into a station, what does the station itself say that it holds, and how old is each of these facts?

Beside the state of its connection, because it outlives one: a fact that is old is shown with its age, not forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec

from local_controller.clock import Instant
from local_controller.profiles.units import RateUnit, lowest_voltage_v
from local_controller.station.blocks.push import Push
from local_controller.station.dialects.base import OwnProfile
from local_controller.station.dialects.held import HeldComposite, HeldProfile
from local_controller.station.empty import EMPTY
from local_controller.station.knowledge import FloorPlace
from local_controller.station.words import ForeignLimit, LimitKind

ACCEPTED = "Accepted"
NO_ANSWER = "no answer"
MOST_IDS = 128
"""Of so many profiles of the CSMS it is remembered when they came; twice as many as are kept."""


class OwnWrite(msgspec.Struct, frozen=True):
    """A limit that we wrote and what became of it; `word` is the station's, "" while it has not answered."""

    push: Push
    sent_at: Instant
    answered_at: Instant | None = None
    word: str = ""

    @property
    def is_confirmed(self) -> bool:
        """The station said yes."""
        return self.word == ACCEPTED

    @property
    def profile(self) -> OwnProfile | None:
        """As it was written; None for a setting of the maker, which holds for ever."""
        return self.push.profile

    @property
    def is_setting(self) -> bool:
        """Whether it is a setting of the maker, which no profile shows."""
        return self.push.profile is None

    @property
    def place(self) -> int:
        """For which EVSE it was written; 0: for the station."""
        return 0 if self.push.rung.place is FloorPlace.STATION else self.push.target.evse

    @property
    def is_floor(self) -> bool:
        """Whether it (also) is the floor, so that it outlives the transaction."""
        rung = self.push.rung
        return self.push.target.kind is LimitKind.FALLBACK or rung.holds_floor or self.is_setting

    def works(self, at: datetime) -> bool:
        """Whether its working limit holds at that moment of the station's clock."""
        working = self.push.target.working
        return working is not None and (self.is_setting or working.at(at) is not None)

    def limit_a(self, at: datetime) -> float | None:
        """What it lets a phase carry at that moment (A), as it was written; None once it has ended."""
        own = self.profile
        if own is None:
            return self.push.limit_a
        if own.valid_to is not None and at >= own.valid_to:
            return None
        offset_s = (at - own.start) / timedelta(seconds=1)
        if own.duration_s is not None and offset_s >= own.duration_s:
            return None
        begun = [limit for start_s, limit in own.periods if start_s <= max(offset_s, 0.0)]
        if own.unit is RateUnit.A:
            return begun[-1]
        return begun[-1] / (lowest_voltage_v(self.push.target.in_watts.phase_v) * self.phases(at))

    def phases(self, at: datetime) -> int:
        """How many share its watts."""
        return self.push.target.sharing(at) if self.works(at) else 1

    def ends(self, at: datetime) -> datetime | None:
        """When its working limit ends by itself; None if it holds none at that moment, or for ever."""
        working = self.push.target.working
        return working.steps[-1][0] if working is not None and not self.is_setting and self.works(at) else None


@dataclass(slots=True)
class OwnWrites:
    """For one EVSE: what the station said yes to last, and what came after that; None where there is nothing."""

    floor: OwnWrite | None = None
    working: OwnWrite | None = None
    latest: OwnWrite | None = None

    def sent(self, write: OwnWrite) -> None:
        """It is on the wire."""
        self.latest = write

    def answered(self, push: Push, word: str, now: Instant) -> bool:
        """What the station answered; False if this one was never on the wire."""
        latest = self.latest
        if latest is None or latest.push is not push:
            return False
        self.latest = done = OwnWrite(push, latest.sent_at, now, word)
        if not done.is_confirmed:
            return True
        if done.is_floor:
            self.floor = done
            self.working = None if self.working is not None and self.working.is_floor else self.working
        if push.target.working is not None:
            self.working = done
        return True

    def limit_a(self, transaction_id: str | None, at: datetime) -> float | None:
        """What the station obeys at that moment of its clock (A per phase) if it keeps what it said yes to."""
        write = self.in_force(transaction_id, at)
        return None if write is None else write.limit_a(at)

    def in_force(self, transaction_id: str | None, at: datetime) -> OwnWrite | None:
        """What of it holds at that moment: the working limit, else the floor."""
        return self.working_now(transaction_id, at) or self.floor

    def working_now(self, transaction_id: str | None, at: datetime) -> OwnWrite | None:
        """The working limit that holds at that moment, if one does: a TxProfile only in its own transaction."""
        found = self.working
        if found is None or not found.works(at):
            return None
        is_its_own = transaction_id is not None and found.push.target.transaction_id == transaction_id
        return found if is_its_own or found.is_floor else None

    @property
    def perhaps_a(self) -> float | None:
        """A limit that was sent last and not answered in time, or not yet, so that it may hold all the same."""
        latest = self.latest
        return latest.push.limit_a if latest is not None and latest.word in {"", NO_ANSWER} else None

    @property
    def is_pending(self) -> bool:
        """Whether a limit is on the wire that the station has not said anything about, so that either may hold."""
        return self.latest is not None and self.latest.answered_at is None

    @property
    def unit(self) -> RateUnit | None:
        """The unit in which the station took a limit last."""
        found = [one.profile.unit for one in (self.working, self.floor) if one is not None and one.profile is not None]
        return found[0] if found else None


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
    refused: frozenset[str] = EMPTY
    echoed: frozenset[tuple[int, LimitKind]] = EMPTY
    by_composite: dict[tuple[int, LimitKind], ForeignLimit] = field(default_factory=dict)
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
