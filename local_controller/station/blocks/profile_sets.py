"""What becomes of a SetChargingProfile of the CSMS? (K01, LC-090 to LC-092, LC-098)

A profile of an owned purpose is judged as a station would, kept here, and answered once the station holds what follows.
Any other passes; only an id of ours is written as its stand-in.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass

from local_controller.clock import Instant
from local_controller.errors import PayloadError
from local_controller.profiles.profile import ChargingSchedule, Purpose
from local_controller.profiles.rules import Verdict
from local_controller.profiles.units import RateUnit
from local_controller.rpc.frame import Frame
from local_controller.station.block import BlockEffect, Forward, OwnCall, Urgency
from local_controller.station.blocks import car_schedules, representable
from local_controller.station.blocks.applying import Applying, Change
from local_controller.station.blocks.profile_desk import ProfileDesk
from local_controller.station.blocks.virtual_store import STATION_MAX, VirtualStore
from local_controller.station.dialects.base import ProfileSet
from local_controller.station.effects import Note, Peer
from local_controller.station.empty import EMPTY
from local_controller.station.words import OcppVersion

LEVEL_OF_MOST = 8
"""A higher stack level is more than many stations take."""

MOST_OUTDATED = 8
"""So many profiles that a station does not clear are remembered."""

PERIODS_OF_MOST = 5
"""More periods are more than some stations take."""


@dataclass(frozen=True, slots=True)
class Replaced:
    """Tag of our ClearChargingProfile for a profile in the station whose id now is that of one in the virtual store."""

    profile_id: int


class ProfileSets:
    """The CSMS's profiles on their way into the store or the station."""

    def __init__(self, desk: ProfileDesk, applying: Applying) -> None:
        """Whatever is accepted here is applied there."""
        self._desk = desk
        self._state = desk.state
        self._applying = applying
        self._reclaimed: dict[str, int] = {}

    def must_wait(self, frame: Frame) -> bool:
        """Whether the station has yet to clear what is outdated under this profile's id: it must not overtake that."""
        if not self._desk.clearing or frame.action != "SetChargingProfile":
            return False
        try:
            return self._desk.dialect.profile_head(frame.payload)[0] in self._desk.clearing
        except PayloadError:
            return False

    def needs_reading(self, frame: Frame) -> bool:
        """Whether a profile is to be judged by what the station has yet to say of itself (LC-091, LC-099).

        Only what some station refuses is worth waiting for, and how many it takes.
        """
        if not self._state.is_unread or not self._state.may_read or self._state.is_installing:
            return False
        try:
            wanted = self._desk.dialect.profile_set(frame.payload).profile
        except PayloadError:
            return False
        if wanted.purpose not in self._state.store.owned_purposes:
            return self._state.version is not OcppVersion.V16 and self._state.capability.places is None
        units = {rung.unit for rung in self._state.capability.proven}
        return wanted.stack_level > LEVEL_OF_MOST or any(_is_unusual(one, units) for one in wanted.schedules)

    def asked(self, frame: Frame, now: Instant) -> list[BlockEffect] | None:
        """SetChargingProfile, by its purpose; None lets it pass, and the rest is the station's to judge (LC-020)."""
        profile_id, purpose = self._desk.dialect.profile_head(frame.payload)
        if purpose in self._state.store.owned_purposes:
            wanted = self._desk.dialect.profile_set(frame.payload)
            if not self._is_better_in_station(wanted):
                return self._install(frame, wanted.received(self._state.station_time(now)), now)
        if (objection := self._objection(frame)) is not None:
            return [self._desk.refusal(frame.message_id, objection)]
        if profile_id in self._state.outdated:  # it replaces what is there
            self._state.outdated -= {profile_id}
            self._reclaimed[frame.message_id] = profile_id
        station_id = None if profile_id is None else self._state.stand_ins.for_station(profile_id)
        if station_id is None or station_id == profile_id:
            return None
        return [Forward(Peer.CSMS, frame, self._desk.dialect.with_profile_id(frame.payload, station_id))]

    def _is_better_in_station(self, wanted: ProfileSet) -> bool:
        """What we cannot tell passes, where the station's maximum caps it (LC-102); its floor stays a TxDefaultProfile of ours."""
        is_capped = STATION_MAX in self._state.store.owned_purposes
        is_own = wanted.profile.purpose is Purpose.TX_PROFILE
        return is_capped and is_own and representable.says_more_than_ours(wanted.profile)

    def _objection(self, frame: Frame) -> Verdict | None:
        """Our places, and the free one, are not the CSMS's (LC-099); what cannot be read, the station will refuse."""
        try:
            return self._desk.places.objection(self._desk.dialect.profile_set(frame.payload))
        except PayloadError:
            return None

    def _install(self, frame: Frame, wanted: ProfileSet, now: Instant) -> list[BlockEffect]:
        """A profile of an owned purpose: judged as a station would (LC-091), applied, then answered (LC-092)."""
        before = self._state.store
        store, verdict = before.install(wanted, self._state.version, self._desk.facts(), self._state.said.lacks)
        if not verdict.accepted:
            return [self._desk.refusal(frame.message_id, verdict)]
        self._state.store, replaced = store, before.missing(store)
        if wanted.profile.purpose is Purpose.TX_PROFILE:
            car_schedules.no_longer_owed(self._state.transactions.get(wanted.evse))
        places = {wanted.evse} | {
            entry.evse for entry in replaced.installed
        }  # where its id was before, others lead now
        evses = self._desk.evses if 0 in places else tuple(sorted(places))
        then = clearing_in_station(self._desk, wanted.profile.id, replaced)
        return self._applying.begin(Change(frame.message_id, evses, self._undoing(wanted, replaced), then), now)

    def _undoing(self, wanted: ProfileSet, replaced: VirtualStore) -> Callable[[], None]:
        def undo() -> None:
            if wanted.profile.id in replaced.real:
                self._state.outdated -= {wanted.profile.id}
                self._desk.clearing -= {wanted.profile.id}
            self._state.store = self._state.store.without(wanted, replaced)

        return undo

    def superseded(self, profile_ids: Iterable[int]) -> list[BlockEffect]:
        """Ours of the same purpose is in force: those of the CSMS live here only, and those in the station have to go."""
        return [clearing(self._desk, one) for one in profile_ids]

    def clear_outdated(self) -> list[BlockEffect]:
        """What the station was not told to clear, or did not answer to, before its connection ended.

        The maxima go when ours is in force.
        """
        waiting = self._state.outdated.difference(self._state.store.maxima(), self._desk.clearing)
        return self.superseded(sorted(waiting))

    def cleared_in_station(self, tag: Replaced, answer: Frame | None, now: Instant) -> list[BlockEffect]:  # noqa: ARG002 - whenever it comes
        """One that stays may hide a lower one, so that all of the CSMS's count in what we tell; the next connection tries again."""
        self._desk.clearing -= {tag.profile_id}
        if answer is not None and not answer.is_error and str(answer.payload.get("status")) in {"Accepted", "Unknown"}:
            self._state.outdated -= {tag.profile_id}
            return []
        return [Note("warning", "replaced_profile_stays", {"id": tag.profile_id})]

    def refused(self, call: Frame) -> None:
        """The station did not take a profile of the CSMS: what is outdated there still is."""
        if (profile_id := self._reclaimed.pop(call.message_id, None)) is not None:
            self._state.outdated |= {profile_id}

    def forget(self) -> None:
        """The connection is over."""
        self._desk.clearing = EMPTY
        self._reclaimed.clear()

    def passed(self, call: Frame, now: Instant) -> None:
        """The station has accepted a profile of the CSMS itself, which is recorded under the CSMS's id (LC-090)."""
        dialect = self._desk.dialect
        station_id, _ = dialect.profile_head(call.payload)
        csms_id = station_id if station_id is None else self._state.stand_ins.for_csms(station_id)
        payload = call.payload if csms_id is None else dialect.with_profile_id(call.payload, csms_id)
        taken = dialect.profile_set(payload).received(self._state.station_time(now))
        self._reclaimed.pop(call.message_id, None)
        self._state.store = self._state.store.recorded(taken, self._state.version)


def _is_unusual(schedule: ChargingSchedule, units: Container[RateUnit | None]) -> bool:
    """Whether the station may not take it: one of these units it has taken already, and the options of 2.1 are options."""
    of_21 = (schedule.use_local_time, schedule.randomized_delay_s, schedule.limit_at_soc)
    return schedule.rate_unit not in units or len(schedule.periods) > PERIODS_OF_MOST or any(of_21)


def clearing_in_station(desk: ProfileDesk, profile_id: int, replaced: VirtualStore) -> tuple[BlockEffect, ...]:
    """The same id replaces, whatever the purpose (K01.FR.05): then the station's own profile has to go."""
    return () if profile_id not in replaced.real else (clearing(desk, profile_id),)


def clearing(desk: ProfileDesk, profile_id: int) -> OwnCall:
    """What the station no longer has to hold is cleared, on this connection or the next; this one is remembered in any case."""
    while len(desk.state.outdated) >= MOST_OUTDATED:
        desk.state.outdated -= {next(iter(desk.state.outdated))}
    desk.state.outdated |= {profile_id}
    desk.clearing |= {profile_id}
    payload = desk.dialect.clear_id(desk.state.stand_ins.for_station(profile_id))
    return OwnCall(Peer.STATION, "ClearChargingProfile", payload, Urgency.RAISE, Replaced(profile_id))
