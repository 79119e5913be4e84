"""What does the CSMS see when it asks which charging profiles its station holds? (K09, LC-096)

The station is asked in its place, under a request id of ours; when it has reported all, ours are left out, those of the
virtual store added, and only then the CSMS has its answer, and its reports after it. What the station does not tell in
time is not made up: then the CSMS gets an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from local_controller.clock import Instant
from local_controller.errors import PayloadError
from local_controller.rpc.frame import Frame
from local_controller.station.block import Answer, AnswerError, BlockEffect, Forward, OwnCall, Urgency
from local_controller.station.blocks.profile_desk import ProfileDesk
from local_controller.station.dialects.base import CSO, Payload, ProfileQuery
from local_controller.station.dialects.charging_profile import DEEPEST, is_nested_deeper
from local_controller.station.dialects.reading import Fields, whole_number
from local_controller.station.effects import Peer
from local_controller.station.state import OWN_REQUEST_IDS, StationState

REPORT = "ReportChargingProfiles"

SILENT_S: Final = 8.0
"""The station may be silent for so long between its answer and its reports; as for one of our own CALLs."""

WHOLE_S: Final = 24.0
"""After so long all must have been told: a CSMS waits some 30 s for an answer (OCPP 2.1 Part 2 §3.2)."""


@dataclass(slots=True, eq=False)
class Collection:
    """What the CSMS has asked for, and what the station has told of it; also the tag of our GetChargingProfiles.

    found: by EVSE and source, as the CSMS is to see it. is_answered: the station has said that reports follow.
    """

    message_id: str
    query: ProfileQuery
    request_id: int
    due_s: float
    latest_s: float
    found: dict[tuple[int, str], list[Mapping[str, Any]]] = field(default_factory=dict)
    is_answered: bool = False
    is_complete: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """The tag of one of our reports to the CSMS; `rest` follows one by one, as a station would send it."""

    rest: tuple[Payload, ...]


class ProfileReports:
    """One question of the CSMS at a time."""

    def __init__(self, desk: ProfileDesk) -> None:
        """Nobody has asked yet."""
        self._desk = desk
        self._state = desk.state
        self._open: Collection | None = None

    @property
    def is_busy(self) -> bool:
        """Whether an answer is still owed."""
        return self._open is not None

    @property
    def due_s(self) -> float | None:
        """When the CSMS must have its answer, in monotonic seconds."""
        return None if self._open is None else self._open.due_s

    def asked(self, frame: Frame, now: Instant) -> list[BlockEffect] | None:
        """GetChargingProfiles of the CSMS; None lets it pass, where the version has no such thing."""
        query = self._desk.dialect.profile_query(frame.action or "", frame.payload)
        if query is None:
            return None
        ids = query.criteria.profile_ids
        known = None if ids is None else sorted(self._state.stand_ins.known_of(ids))
        if known == []:  # it cannot have any of these
            return self._told(frame.message_id, query, {})
        latest_s = now.monotonic_s + WHOLE_S  # our CALL has its own time, which begins when it has its turn
        self._open = Collection(frame.message_id, query, self._state.next_request_id(), latest_s, latest_s)
        payload = query.own(self._open.request_id, known)
        return [OwnCall(Peer.STATION, "GetChargingProfiles", payload, Urgency.RAISE, self._open)]

    # --- what the station says -----------------------------------------------------------------------------------

    def answered(self, tag: Collection, answer: Frame | None, now: Instant) -> list[BlockEffect]:
        """The station has said whether it has such profiles; what it cannot do, the CSMS is told as the station said it."""
        if tag is not self._open:
            return []
        if answer is not None and answer.is_error:
            self._open = None
            code, description = answer.error_code or "GenericError", answer.error_description or ""
            return [AnswerError(Peer.CSMS, tag.message_id, code, description)]
        status = None if answer is None else Fields("GetChargingProfiles", answer.payload).text("status")
        if status == "NoProfiles":
            return self._finish()
        if status != "Accepted":
            return self._give_up("the station did not say which charging profiles it holds")
        tag.is_answered = True
        return self._progress(tag, now)

    def reported(self, frame: Frame, now: Instant) -> list[BlockEffect] | None:
        """A ReportChargingProfiles of the station: our own answer, or one that goes up without ours; None: as it is."""
        fields = Fields(REPORT, frame.payload)
        if fields.integer("requestId") not in OWN_REQUEST_IDS:
            return self._without_ours(frame)
        answer = Answer(Peer.STATION, frame.message_id, {})
        collection = self._open
        if collection is None or fields.integer("requestId") != collection.request_id:
            return [answer]  # to a question that nobody waits for any more
        place = fields.integer("evseId") or 0, fields.text("chargingLimitSource") or CSO
        found = [
            one
            for one in shown_profiles(self._state, frame.payload)
            if collection.query.means(place[1], whole_number(one.get("id")))
        ]
        collection.found.setdefault(place, []).extend(found)
        collection.is_complete = not fields.flag("tbc")
        return [answer, *self._progress(collection, now)]

    def _without_ours(self, frame: Frame) -> list[BlockEffect] | None:
        profiles = frame.payload.get("chargingProfile")
        shown = shown_profiles(self._state, frame.payload)
        if not isinstance(profiles, list) or shown == profiles:
            return None
        if not shown:
            return [Answer(Peer.STATION, frame.message_id, {})]
        return [Forward(Peer.STATION, frame, {**frame.payload, "chargingProfile": shown})]

    def _progress(self, collection: Collection, now: Instant) -> list[BlockEffect]:
        if collection.is_answered and collection.is_complete:
            return self._finish()
        collection.due_s = min(now.monotonic_s + SILENT_S, collection.latest_s)
        return []

    # --- what the CSMS gets --------------------------------------------------------------------------------------

    def expire(self, now: Instant) -> list[BlockEffect]:
        """The station has not told all in time."""
        if self._open is None or self._open.due_s > now.monotonic_s:
            return []
        return self._give_up("the station did not report all of its charging profiles in time")

    def forget(self) -> None:
        """The connection is over."""
        self._open = None

    def _give_up(self, what: str) -> list[BlockEffect]:
        given_up, self._open = self._open, None
        return [] if given_up is None else [self._desk.no_answer(given_up.message_id, what)]

    def _finish(self) -> list[BlockEffect]:
        done, self._open = self._open, None
        return [] if done is None else self._told(done.message_id, done.query, done.found)

    def _told(
        self, message_id: str, query: ProfileQuery, found: Mapping[tuple[int, str], list[Mapping[str, Any]]]
    ) -> list[BlockEffect]:
        """The answer, and one report per EVSE and source. An id of the store has replaced one that the station still has."""
        virtual = {entry.profile.id for entry in self._state.store.virtual()}
        real = {
            place: [one for one in profiles if whole_number(one.get("id")) not in virtual]
            for place, profiles in found.items()
        }
        whole = {place: profiles for place, profiles in real.items() if profiles}
        if query.sources is None or CSO in query.sources:
            for evse, originals in self._state.store.virtual_by_evse(query.criteria).items():
                whole.setdefault((evse, CSO), []).extend(originals)
        answer = self._desk.answer(message_id, "Accepted" if whole else "NoProfiles")
        reports = [
            query.report(evse, source, profiles, to_be_continued=number < len(whole))
            for number, ((evse, source), profiles) in enumerate(
                sorted(whole.items(), key=lambda item: item[0]), start=1
            )
        ]
        return [answer, *_next_of(tuple(reports))]


def told_on(tag: Told, answer: Frame | None, now: Instant) -> list[BlockEffect]:  # noqa: ARG001 - whatever the CSMS says
    """The CSMS has one of our reports: the next one goes out, however many there are."""
    return _next_of(tag.rest)


def _next_of(reports: tuple[Payload, ...]) -> list[BlockEffect]:
    return [OwnCall(Peer.CSMS, REPORT, reports[0], Urgency.QUERY, Told(reports[1:]))] if reports else []


def shown_profiles(state: StationState, payload: Payload) -> list[Mapping[str, Any]]:
    """The profiles in a report of the station without ours, each with the id that the CSMS gave it."""
    profiles = payload.get("chargingProfile")
    members: Iterable[Any] = profiles if isinstance(profiles, list) else [] if profiles is None else [profiles]
    return [shown for profile in members if (shown := _shown(state, profile)) is not None]


def _shown(state: StationState, profile: Any) -> Mapping[str, Any] | None:
    if not isinstance(profile, Mapping):
        raise PayloadError(REPORT, "$.chargingProfile", "objects were expected")
    if is_nested_deeper(profile, DEEPEST):
        raise PayloadError(REPORT, "$.chargingProfile", f"nested more than {DEEPEST} deep")
    station_id = whole_number(profile.get("id"))
    csms_id = None if station_id is None else state.stand_ins.for_csms(station_id)
    if station_id is None or csms_id == station_id:
        return profile
    return None if csms_id is None else {**profile, "id": csms_id}
