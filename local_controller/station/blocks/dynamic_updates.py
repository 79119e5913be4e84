"""How do the CSMS's dynamic profiles get their next limit? (2.1 K28, LC-103)

Those that live in the store are updated here: by UpdateDynamicSchedule, and by our own PullDynamicScheduleUpdate as often
as the profile says. Those in the station are the station's, but we follow what it is told. An update that does not come
lets the profile run out by itself, as its duration says (K28.FR.13).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from local_controller.clock import Instant
from local_controller.profiles.installed import Installed
from local_controller.profiles.profile import Kind
from local_controller.profiles.rules import Reason
from local_controller.rpc.frame import Frame
from local_controller.station.block import Answer, BlockEffect, Forward, OwnCall, Urgency
from local_controller.station.blocks.applying import Applying, Change
from local_controller.station.blocks.profile_desk import ProfileDesk
from local_controller.station.dialects import dynamic_update
from local_controller.station.dialects.base import Payload
from local_controller.station.dialects.dynamic_update import PULL
from local_controller.station.dialects.reading import Fields
from local_controller.station.effects import Peer
from local_controller.station.empty import EMPTY


@dataclass(frozen=True, slots=True)
class Pull:
    """Tag of our PullDynamicScheduleUpdate."""

    profile_id: int


class DynamicUpdates:
    """The dynamic profiles of one station."""

    def __init__(self, desk: ProfileDesk, applying: Applying) -> None:
        """Nothing is pulled before there is something to pull for."""
        self._desk = desk
        self._state = desk.state
        self._applying = applying
        self._due_s: dict[int, float] = {}
        self._pulled: frozenset[int] = EMPTY  # for which an answer of the CSMS is awaited

    # --- UpdateDynamicSchedule -----------------------------------------------------------------------------------

    def asked(self, frame: Frame, now: Instant) -> list[BlockEffect] | None:
        """UpdateDynamicSchedule of the CSMS; None lets it pass."""
        profile_id = dynamic_update.updated_id(frame.payload)
        found = self._state.store.find(profile_id)
        if found is None or profile_id in self._state.store.real:
            return self._to_station(frame, profile_id)
        update = dynamic_update.update_in(frame.payload)
        if found.profile.kind is not Kind.DYNAMIC or update is None:
            return [self._desk.answer(frame.message_id, "Rejected", Reason.INVALID_PROFILE)]
        undo = self._update(found, update, now)
        evses = self._desk.evses if found.evse == 0 else (found.evse,)
        return self._applying.begin(Change(frame.message_id, evses, undo), now)

    def _to_station(self, frame: Frame, profile_id: int) -> list[BlockEffect] | None:
        station_id = self._state.stand_ins.known(profile_id)
        if station_id is None:
            return [self._desk.answer(frame.message_id, "Rejected", Reason.INVALID_PROFILE)]
        if station_id == profile_id:
            return None
        return [Forward(Peer.CSMS, frame, dynamic_update.with_id(frame.payload, station_id))]

    def _update(self, found: Installed, update: Fields, now: Instant) -> Callable[[], None]:
        """The store with the update; and what takes it back, unless another has come since."""
        at, before = self._state.station_time(now), self._state.store.originals[found.profile.id]
        profile = dynamic_update.updated_profile(found.profile, update, at)
        original = dynamic_update.updated_original(before, update, at)
        self._state.store = self._state.store.updated(profile.id, profile, original)

        def undo() -> None:
            current = self._state.store.find(profile.id)
            if current is not None and current.profile is profile:
                self._state.store = self._state.store.updated(profile.id, found.profile, before)

        return undo

    # --- what goes on between the station and the CSMS -----------------------------------------------------------

    def pulled_by_station(self, frame: Frame) -> list[BlockEffect] | None:
        """PullDynamicScheduleUpdate of the station, about a profile that it holds; none of ours is dynamic."""
        station_id = dynamic_update.updated_id(frame.payload)
        csms_id = self._state.stand_ins.for_csms(station_id)
        if csms_id is None:
            return [Answer(Peer.STATION, frame.message_id, self._desk.dialect.status_answer("Rejected"))]
        if csms_id == station_id:
            return None
        return [Forward(Peer.STATION, frame, dynamic_update.with_id(frame.payload, csms_id))]

    def passed(self, call: Frame, now: Instant) -> bool:
        """The station has accepted an UpdateDynamicSchedule; whether that is about a profile that we know."""
        csms_id = self._state.stand_ins.for_csms(dynamic_update.updated_id(call.payload))
        return self._follow_real(csms_id, call.payload, now)

    def pulled(self, call: Frame, answer: Frame, now: Instant) -> bool:
        """The CSMS has answered the station's PullDynamicScheduleUpdate; as above."""
        return self._follow_real(dynamic_update.updated_id(call.payload), answer.payload, now)

    def _follow_real(self, csms_id: int | None, said: Payload, now: Instant) -> bool:
        found = None if csms_id is None else self._state.store.find(csms_id)
        update = dynamic_update.update_in(said)
        if found is None or update is None or found.profile.kind is not Kind.DYNAMIC:
            return False
        self._update(found, update, now)
        return True

    # --- our own pulling -----------------------------------------------------------------------------------------

    @property
    def due_s(self) -> float | None:
        """When the next update is to be pulled, in monotonic seconds."""
        return min(self._due_s.values()) if self._due_s else None

    def follow(self, now: Instant) -> None:
        """New profiles are pulled for from now on, those that are gone no longer."""
        if not self._state.store.installed.entries and not self._due_s:
            return
        intervals_s = self._intervals_s()
        self._due_s = {
            profile_id: self._due_s.get(profile_id, now.monotonic_s + interval_s)
            for profile_id, interval_s in intervals_s.items()
        }

    def _intervals_s(self) -> dict[int, int]:
        virtual = (profile for _, profile in self._state.store.virtual())
        return {one.id: one.dyn_update_interval_s for one in virtual if one.dyn_update_interval_s}

    def expire(self, now: Instant) -> list[BlockEffect]:
        """Asks the CSMS for what is due, as the station would (K28)."""
        calls: list[BlockEffect] = []
        intervals_s = self._intervals_s()
        for profile_id, due_s in [*self._due_s.items()]:
            if due_s > now.monotonic_s:
                continue
            if profile_id not in intervals_s:
                del self._due_s[profile_id]
                continue
            self._due_s[profile_id] = now.monotonic_s + intervals_s[profile_id]
            if self._state.may_call and profile_id not in self._pulled:
                self._pulled |= {profile_id}
                payload = {"chargingProfileId": profile_id}
                calls.append(OwnCall(Peer.CSMS, PULL, payload, Urgency.QUERY, Pull(profile_id)))
        return calls

    def answered(self, tag: Pull, answer: Frame | None, now: Instant) -> list[BlockEffect]:
        """What the CSMS has for us; without it the profile runs out when its duration says so."""
        self._pulled -= {tag.profile_id}
        found = self._state.store.find(tag.profile_id)
        if answer is None or answer.is_error or found is None or tag.profile_id in self._state.store.real:
            return []
        update = dynamic_update.update_in(answer.payload)
        if answer.payload.get("status") != "Accepted" or update is None or found.profile.kind is not Kind.DYNAMIC:
            return []
        self._update(found, update, now)
        return self._desk.changed(now)

    def forget(self) -> None:
        """The connection is over; on the next one pulling begins anew."""
        self._due_s.clear()
        self._pulled = EMPTY
