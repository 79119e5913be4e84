"""What does a ClearChargingProfile of the CSMS clear? Its own profiles, never one of ours (LC-094, LC-095)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from local_controller.clock import Instant
from local_controller.profiles.installed import Criteria
from local_controller.rpc.frame import Frame
from local_controller.station.block import BlockEffect, Forward, OwnCall, Urgency
from local_controller.station.blocks.profile_desk import ProfileDesk
from local_controller.station.blocks.virtual_store import STATION_MAX
from local_controller.station.dialects.base import Payload
from local_controller.station.effects import Peer


@dataclass(frozen=True, slots=True, eq=False)
class ClearingRest:
    """Tag of our ClearChargingProfile for one part of what a clear of the CSMS means beyond the virtual store."""

    part: Criteria


@dataclass(slots=True)
class _Clear:
    """The clear that is at work: what was cleared so far, and how many parts the station has yet to answer."""

    message_id: str
    is_anything_cleared: bool
    parts_left: int


class ProfileClears:
    """What is in the virtual store is cleared there; a wildcard goes on, for what the station may hold of the CSMS.

    Whether there is a station maximum, the station knows best: it may be from before our time.
    """

    def __init__(self, desk: ProfileDesk) -> None:
        """Nothing is being cleared."""
        self._desk = desk
        self._state = desk.state
        self._open: _Clear | None = None

    @property
    def is_busy(self) -> bool:
        """Whether the station has yet to clear its part."""
        return self._open is not None

    def asked(self, frame: Frame, now: Instant) -> list[BlockEffect] | None:
        """A ClearChargingProfile of the CSMS; None lets it pass."""
        criteria, store = self._desk.dialect.clear_criteria(frame.payload), self._state.store
        if criteria.profile_ids is not None:
            (profile_id,) = criteria.profile_ids
            if store.find(profile_id) is None or profile_id in store.real:
                return self._by_id(frame, profile_id)
        elif self._is_the_stations(criteria):
            return None
        self._state.store, count = store.cleared(criteria, is_real=False)
        effects, parts = self._desk.changed(now), list(self._parts(criteria))
        if not parts:
            return [self._desk.answer(frame.message_id, "Accepted" if count else "Unknown"), *effects]
        self._open = _Clear(frame.message_id, count > 0, len(parts))
        calls = [
            OwnCall(Peer.STATION, "ClearChargingProfile", payload, Urgency.RAISE, ClearingRest(part))
            for part, payload in parts
        ]
        return [*effects, *calls]

    def _is_the_stations(self, criteria: Criteria) -> bool:
        """Whether all that is meant is in the station, and nothing of ours can be."""
        is_owned = criteria.purpose is None or criteria.purpose in self._state.store.owned_purposes
        return not is_owned and not self._state.store.virtual().matching(criteria).entries

    def _parts(self, criteria: Criteria) -> Iterator[tuple[Criteria, Payload]]:
        """What may be meant in the station: its maximum, if none of ours is one; and what it took otherwise, by id."""
        if criteria.profile_ids is not None:
            return
        is_by_purpose = STATION_MAX not in self._state.store.owned_purposes
        if is_by_purpose and criteria.purpose in {None, STATION_MAX} and criteria.evse in {None, 0}:
            yield replace(criteria, purpose=STATION_MAX), self._desk.dialect.clear_purpose(criteria, STATION_MAX)
        for _, profile in self._state.store.real_ones().matching(criteria):
            if not (is_by_purpose and profile.purpose is STATION_MAX):
                payload = self._desk.dialect.clear_id(self._state.stand_ins.for_station(profile.id))
                yield Criteria(profile_ids=frozenset({profile.id})), payload

    def _by_id(self, frame: Frame, profile_id: int) -> list[BlockEffect] | None:
        """Other fields beside an id mean nothing (1.6 errata 3.25), but some firmware might clear ours by them."""
        station_id = self._state.stand_ins.known(profile_id)
        if station_id is None:
            return [self._desk.answer(frame.message_id, "Unknown")]
        alone = self._desk.dialect.clear_id(station_id)
        return None if frame.payload == alone else [Forward(Peer.CSMS, frame, alone)]

    def passed(self, call: Frame) -> None:
        """The station has cleared what the CSMS meant by a clear that went on to it (LC-090)."""
        criteria = self._desk.dialect.clear_criteria(call.payload)
        if criteria.profile_ids is not None:
            shown = (self._state.stand_ins.for_csms(station_id) for station_id in criteria.profile_ids)
            criteria = replace(criteria, profile_ids=frozenset(one for one in shown if one is not None))
        self._state.store, _ = self._state.store.cleared(criteria, is_real=True)

    def answered(self, tag: ClearingRest, answer: Frame | None, now: Instant) -> list[BlockEffect]:
        """The station has cleared (or not) a part of what a clear meant beyond the store."""
        effects: list[BlockEffect] = []
        is_cleared = answer is not None and not answer.is_error and answer.payload.get("status") == "Accepted"
        if is_cleared:
            self._state.store, _ = self._state.store.cleared(tag.part, is_real=True)
            effects = self._desk.news.latest(now)
        at_work = self._open
        if at_work is None:
            return effects
        at_work.is_anything_cleared |= is_cleared
        at_work.parts_left -= 1
        if at_work.parts_left > 0:
            return effects
        self._open = None
        status = "Accepted" if at_work.is_anything_cleared else "Unknown"
        return [self._desk.answer(at_work.message_id, status), *effects]

    def forget(self) -> None:
        """The connection is over."""
        self._open = None
