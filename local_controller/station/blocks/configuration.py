"""Does the CSMS read what it wrote, where the station holds a value of ours? (functional block B)

GetConfiguration, GetVariables and the reports of the device model pass; only values that the gateway put in place of
the CSMS's are shown as the CSMS set them (LC-126). And where the site wants samples at least so often, a station that
measures more seldom is set to that, without the CSMS seeing a difference (LC-128).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

from local_controller.clock import Instant
from local_controller.rpc.frame import Frame, MessageType
from local_controller.station.block import Answer, Block, BlockEffect, Forward, OwnCall, Urgency
from local_controller.station.blocks.own_questions import Question, Topic
from local_controller.station.blocks.profile_places import PLACES_KEY, ProfilePlaces
from local_controller.station.dialects.base import Dialect, Payload
from local_controller.station.dialects.reading import whole_number
from local_controller.station.effects import Note, Peer
from local_controller.station.guard_policy import GuardPolicy, Policy, as_text, slot_number
from local_controller.station.shown_values import (
    SAMPLE_KEY,
    SAMPLE_VARIABLE,
    Setting,
    is_actual,
    key,
    sample_interval,
    variable,
)
from local_controller.station.state import OWN_REQUEST_IDS, StationState
from local_controller.station.words import OcppVersion

_ABOUT_PLACES: Final = re.compile(f"{PLACES_KEY.name}|entries", re.IGNORECASE)
_SLOT_IN_USE: Final = ("ocppcommctrlr", "activenetworkprofile")
_LIKE_OURS: Final = str(OWN_REQUEST_IDS.start)[:6]
"""In every request id of ours; most reports are of the CSMS, long, and not to be read for this."""


@dataclass(frozen=True, slots=True)
class _Shorter:
    """Tag of our order to measure more often; `before` is the station's value until then."""

    before: str


class Configuration(Block):
    """Shows the CSMS its own values, and keeps the sampling interval short enough for us."""

    REVISES: ClassVar[frozenset[str]] = frozenset({"GetConfiguration", "GetVariables"})
    claims_only = frozenset({"NotifyReport"})

    def __init__(self, state: StationState, dialect: Dialect, policy: GuardPolicy, places: ProfilePlaces) -> None:
        """What is shown in place of what is kept in `state`, and of the places for profiles."""
        self._state = state
        self._places = places
        self._is_16 = dialect.version is OcppVersion.V16
        self._most_s = policy.sample_interval_s
        self._setting = sample_interval(dialect.version)
        self._learns_slots = policy.network is Policy.REWRITE

    # --- what the CSMS reads -------------------------------------------------------------------------------------

    def revise(self, sender: Peer, call: Frame, answer: Frame, now: Instant) -> Payload | None:  # noqa: ARG002 - values have no age
        """GetConfiguration.conf and GetVariablesResponse."""
        if sender is not Peer.CSMS or answer.message_type != MessageType.CALLRESULT or not self._looks_at(answer):
            return None
        if call.action == "GetConfiguration":
            return self._with_entries(answer.payload, "configurationKey", self._shown_key)
        return self._with_entries(answer.payload, "getVariableResult", self._shown_variable)

    def claims(self, sender: Peer, frame: Frame, now: Instant) -> list[BlockEffect] | None:  # noqa: ARG002 - as above
        """NotifyReport, the answer to GetBaseReport and GetReport, if there is anything to show in it, or if it is for us."""
        if sender is not Peer.STATION or frame.action != "NotifyReport":
            return None
        if _is_for_us(frame):
            return self._told_us(frame)
        if not self._looks_at(frame):
            return None
        revised = self._with_entries(frame.payload, "reportData", self._shown_report)
        return None if revised is None else [Forward(Peer.STATION, frame, revised)]

    def _told_us(self, frame: Frame) -> list[BlockEffect]:
        """The station was asked how many profiles it takes (LC-127); a report without that says that it never tells."""
        self._with_entries(frame.payload, "reportData", self._shown_report)
        if self._state.capability.places is None:
            self._state.capability = replace(self._state.capability, places=0)
        self._state.is_unread = False
        return [Answer(Peer.STATION, frame.message_id, {})]

    def _looks_at(self, frame: Frame) -> bool:
        """Most stations hold nothing but what their CSMS set, and most messages say nothing of places; these are not read."""
        return self._learns_slots or bool(self._state.shown) or _ABOUT_PLACES.search(frame.text) is not None

    def _with_entries(self, payload: Payload, name: str, shown: Any) -> Payload | None:
        """The payload with each entry as `shown` wants it; None if that is as it is."""
        entries = payload.get(name)
        if not isinstance(entries, list):
            return None
        revised = [shown(entry) if isinstance(entry, dict) else entry for entry in entries]
        changed = any(new is not old for new, old in zip(revised, entries, strict=True))
        return {**payload, name: revised} if changed else None

    def _shown_key(self, entry: Payload) -> Payload:
        return self._with_value(entry, "value", key(entry.get("key")))

    def _shown_variable(self, entry: Payload) -> Payload:
        return self._with_value(entry, "attributeValue", variable(entry))

    def _shown_report(self, entry: Payload) -> Payload:
        setting, attributes = variable(entry), entry.get("variableAttribute")
        bounds = entry.get("variableCharacteristics")
        if setting is not None and isinstance(bounds, dict):
            shown = self._places.characteristics(setting, bounds)
            entry = entry if shown is bounds else {**entry, "variableCharacteristics": shown}
        if not isinstance(attributes, list):
            return entry
        revised = [
            self._with_value(one, "value", setting) if isinstance(one, dict) and is_actual(one.get("type")) else one
            for one in attributes
        ]
        changed = any(new is not old for new, old in zip(revised, attributes, strict=True))
        return {**entry, "variableAttribute": revised} if changed else entry

    def _with_value(self, entry: Payload, name: str, setting: Setting | None) -> Payload:
        """The entry as the CSMS is to see it; the very same where nothing is to be changed."""
        if setting is None or name not in entry:
            return entry
        self._learn_slot(setting, entry[name])
        shown = self._state.shown.of(setting, entry[name])
        shown = self._places.value(setting, entry[name]) if shown is None else shown
        return entry if shown is entry[name] else {**entry, name: shown}

    def _learn_slot(self, setting: Setting, value: Any) -> None:
        """The network profile by which the station is connected just now leads here."""
        if self._learns_slots and (setting.component, setting.name) == _SLOT_IN_USE:
            slot = slot_number(as_text(value).strip())
            if slot is not None:
                self._state.slots_here |= {slot}

    # --- how often it measures -----------------------------------------------------------------------------------

    def answered(self, tag: Any, answer: Frame | None, now: Instant) -> list[BlockEffect]:  # noqa: ARG002 - as above
        """A station that says that it measures too seldom is set to what the site wants."""
        if answer is None or answer.message_type != MessageType.CALLRESULT:
            return []
        if isinstance(tag, Question) and tag.topic is Topic.CAPABILITY:
            self._with_entries(answer.payload, "configurationKey", self._shown_key)  # learns how many places there are
        if isinstance(tag, Question) and tag.topic is Topic.CAPABILITY and self._state.may_call:
            before = self._read(answer.payload)
            return [] if before is None or not self._is_too_long(before) else [self._order(_Shorter(before))]
        if isinstance(tag, _Shorter) and self._is_taken(answer.payload):
            self._state.shown.write(self._setting, str(self._most_s), tag.before)
            return [Note("info", "sample_interval_set", {"before_s": tag.before, "now_s": self._most_s})]
        return []

    def _order(self, tag: _Shorter) -> OwnCall:
        """Sets the interval alone, so that no station's bounds on keys and bytes are met (LC-127)."""
        wanted = str(self._most_s)
        if self._is_16:
            payload: Payload = {"key": SAMPLE_KEY, "value": wanted}
            return OwnCall(Peer.STATION, "ChangeConfiguration", payload, Urgency.QUERY, tag)
        payload = {"setVariableData": [SAMPLE_VARIABLE | {"attributeValue": wanted}]}
        return OwnCall(Peer.STATION, "SetVariables", payload, Urgency.QUERY, tag)

    def _read(self, answer: Payload) -> str | None:
        """The interval in an answer; None if it tells none, or a read-only one."""
        entries = answer.get("configurationKey" if self._is_16 else "getVariableResult")
        for entry in entries if isinstance(entries, list) else []:
            if not isinstance(entry, dict) or entry.get("readonly") is True:
                continue
            about = key(entry.get("key")) if self._is_16 else variable(entry)
            if about == self._setting:
                return as_text(entry.get("value" if self._is_16 else "attributeValue")).strip()
        return None

    def _is_too_long(self, interval: str) -> bool:
        """Whether that is never, or more seldom than the site wants."""
        return self._most_s is not None and interval.isdecimal() and not 0 < float(interval) <= self._most_s

    @staticmethod
    def _is_taken(answer: Payload) -> bool:
        results = answer.get("setVariableResult")
        said = [answer, *(results if isinstance(results, list) else [])]
        words = [as_text(one.get("status") or one.get("attributeStatus")) for one in said if isinstance(one, dict)]
        return any(word in {"Accepted", "RebootRequired"} for word in words)


def _is_for_us(report: Frame) -> bool:
    """Whether it answers a question of ours, be it of an earlier run."""
    request_id = whole_number(report.payload.get("requestId")) if _LIKE_OURS in report.text else None
    return request_id is not None and request_id in OWN_REQUEST_IDS
