"""What does a file of charging profiles ask for, and what is the answer? The core of the command `composite`.

The profiles are the payloads of SetChargingProfile of their version, the question is that of GetCompositeSchedule; the
file says beside them what a station knows by itself (docs/composite.md).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final, NoReturn
from zoneinfo import ZoneInfo

from local_controller.errors import LocalControllerError, PayloadError
from local_controller.profiles import rules
from local_controller.profiles.composite import CompositeSchedule, answer, answer_station
from local_controller.profiles.context import Context, StationContext
from local_controller.profiles.explained import STATION_WIDE, Stretch, explained
from local_controller.profiles.installed import InstalledProfiles
from local_controller.profiles.lines import Window
from local_controller.profiles.profile import OperationMode, Purpose
from local_controller.profiles.rules import StationFacts, Verdict
from local_controller.profiles.units import NOMINAL_VOLTAGE_V, PHASES_IF_ABSENT, RateUnit
from local_controller.station.dialects import dialect
from local_controller.station.dialects.base import CompositeRequest, Payload, ProfileSet
from local_controller.station.dialects.reading import Fields, number, timestamp
from local_controller.station.words import OcppVersion

LONGEST_S: Final = 366 * 86_400
YEARS: Final = range(1971, 2299)
"""In which questions are asked; what profiles say of earlier and later years means "always" and "never"."""
SHORT: Final = 20
LARGEST_NUMBER: Final = 2**31 - 1
"""An integer of OCPP has 31 bits and a sign, and no station counts more watts (OCPP 2.0.1 part 2, primitive datatypes)."""
_VOLTAGE_V: Final = (1.0, 1000.0)
_CURRENT_A: Final = (0.0, 100_000.0)

_RULES = {OcppVersion.V16: rules.V16, OcppVersion.V201: rules.V201, OcppVersion.V21: rules.V21}
_FIELDS = {
    "the file": frozenset(
        {"version", "instant", "request", "profiles", "evses", "station", "judged", "about", "expected"}
    ),
    "an EVSE": frozenset(
        {
            "id",
            "transactionId",
            "energySince",
            "socPercent",
            "priorityCharging",
            "hardwareMaximumA",
            "phases",
            "delayShares",
            "chosenSchedule",
        }
    ),
    "the station": frozenset({"offlineS", "timeZone", "nominalVoltageV", "hardwareMaximumA", "maxPeriods"}),
}


class CompositeFileError(LocalControllerError):
    """The file cannot be used: `path` says where, the text also what to do about it."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path


@dataclass(frozen=True, slots=True)
class Question:
    """A file that was read: who asks what, when, and of which station with which profiles."""

    version: OcppVersion
    instant: datetime
    request: CompositeRequest
    station: StationContext
    installed: InstalledProfiles = field(default_factory=InstalledProfiles)
    max_periods: int | None = None

    @property
    def unit(self) -> RateUnit:
        """The unit of the answer; A if the question leaves it open."""
        return self.request.unit or RateUnit.A

    def schedule(self) -> CompositeSchedule:
        """The composite schedule, exact."""
        horizon_s = self.request.duration_s
        if self.request.evse == 0:
            found = answer_station(self.installed, self.station, self.unit, self.instant, horizon_s)
        else:
            found = answer(self.installed, self._context, self.unit, self.instant, horizon_s)
        return found if self.max_periods is None else found.coalesced(self.max_periods)

    def answer(self) -> Payload:
        """The payload of the answer to GetCompositeSchedule, rounded as the version wants it."""
        schedule = self.schedule()
        if self.version is not OcppVersion.V21 and any(period.limit is None for period in schedule.periods):
            where = "station" if self.request.evse == 0 else f"evses (id {self.request.evse})"
            _fail(
                f"$.{where}.hardwareMaximumA",
                "missing, and somewhere no profile limits: then the answer is what flows without any, "
                'so give that, for example "hardwareMaximumA": 32',
            )
        return dialect(self.version).composite_answer(self.request.evse, schedule)

    def explained(self) -> list[Payload]:
        """Which profiles lead when; of the station as a whole its own ones first, then those of each EVSE."""
        window = Window.of(self.instant, self.request.duration_s)
        if self.request.evse:
            found = explained(self.installed, self._context, self.unit, window)
            return [_told(self.request.evse, stretch, self.unit) for stretch in found]
        own = {purpose for purpose in Purpose if purpose not in STATION_WIDE}
        wide = {Purpose.CHARGING_STATION_MAX_PROFILE, Purpose.LOCAL_GENERATION}
        return [
            _told(context.evse, stretch, self.unit)
            for context in (self.station.whole, *self.station.evses)
            for stretch in explained(self.installed, context, self.unit, window, wide if context.evse else own)
        ]

    @property
    def _context(self) -> Context:
        if self.request.evse == 0:
            return self.station.whole
        return next(context for context in self.station.evses if context.evse == self.request.evse)


def read_text(text: str) -> Question:
    """The question in a file's text. CompositeFileError names the place of the first mistake and its remedy."""
    try:
        document = json.loads(text, parse_constant=_no_number)
        json.dumps(document, ensure_ascii=False).encode()  # what cannot be written could not be told either
    except RecursionError:
        _fail("$", "nested too deeply: a profile needs some ten levels")
    except UnicodeEncodeError as error:
        _fail("$", f"half a character: {error.reason} (an escape from \\ud800 to \\udfff stands alone)")
    except ValueError as error:
        _fail("$", f"no JSON: {error}")
    return read(document)


def read(document: Any) -> Question:
    """The same of what the text means."""
    if not isinstance(document, Mapping):
        _fail("$", 'an object is needed: {"version": "2.1", "instant": …, "request": {…}, "profiles": […]}')
    for name in ("request", "profiles"):
        _check_numbers(document.get(name), f"$.{name}")
    fields = Fields("composite", document)
    try:
        return _read(fields)
    except PayloadError as error:
        _fail(error.path, _reason(error))


def _read(fields: Fields) -> Question:
    _check_names(fields, "the file")
    version = _version(fields)
    instant = _moment(fields, "instant")
    request = _request(fields, version)
    station = _station(fields, instant)
    if request.evse not in {0, *(context.evse for context in station.evses)}:
        evse = request.evse
        _fail("$.request", f'EVSE {evse} is not among "evses": add {{"id": {evse}}}, or ask for one that is, or for 0')
    at = instant.replace(microsecond=0)  # schedules begin on a whole second
    profiles = _profiles(fields, version, station, at)
    described = fields.child("station")
    max_periods = described.integer("maxPeriods") if described else None
    if max_periods is not None and max_periods < 1:
        _fail("$.station.maxPeriods", f"at least 1 is needed, got {max_periods}")
    return Question(version, at, request, station, profiles, max_periods)


def _version(fields: Fields) -> OcppVersion:
    said = fields.need_text("version").removeprefix("ocpp")
    known = {version.value.removeprefix("ocpp"): version for version in OcppVersion}
    return known.get(said) or fields.fail("version", f"{said!r:.20} is none of {', '.join(known)}")


def _request(fields: Fields, version: OcppVersion) -> CompositeRequest:
    payload = fields.need_child("request")
    try:
        request = dialect(version).composite_request(dict(payload.data))
    except PayloadError as error:
        _fail(_below("$.request", error), _reason(error))
    if not 0 < request.duration_s <= LONGEST_S:
        _fail("$.request.duration", f"from 1 s to {LONGEST_S} s, got {request.duration_s}")
    return request


def _station(fields: Fields, instant: datetime) -> StationContext:
    """The station as a whole, and its EVSEs: those described, or if none is EVSE 1."""
    described = fields.child("station") or Fields("composite", {}, "$.station")
    _check_names(described, "the station")
    offline_s = _within(described, "offlineS", "s", (-LONGEST_S, LONGEST_S))
    voltage_v = _within(described, "nominalVoltageV", "V", _VOLTAGE_V)
    whole = Context(
        evse=0,
        nominal_voltage_v=voltage_v or NOMINAL_VOLTAGE_V,
        hardware_maximum_a=_within(described, "hardwareMaximumA", "A", _CURRENT_A),
        offline_since=None if offline_s is None else instant - timedelta(seconds=offline_s),
        time_zone=_zone(described),
    )
    evses: list[Context] = []
    for child in fields.children("evses"):
        evse = _evse(child, whole)
        if any(other.evse == evse.evse for other in evses):
            child.fail("id", f"EVSE {evse.evse} is described already: give each its own number")
        evses.append(evse)
    return StationContext(whole, tuple(evses) or (replace(whole, evse=1),))


def _evse(fields: Fields, whole: Context) -> Context:
    _check_names(fields, "an EVSE")
    number, phases, chosen = fields.need_integer("id"), fields.integer("phases"), fields.integer("chosenSchedule")
    if number < 1:
        fields.fail("id", f"EVSEs are counted from 1, got {number}; the station as a whole is described under station")
    if phases is not None and not 1 <= phases <= 3:
        fields.fail("phases", f"1, 2 or 3, got {phases}")
    if chosen is not None and not 1 <= chosen <= 3:
        fields.fail("chosenSchedule", f"schedules are counted from 1 to 3, got {chosen}")
    own_maximum_a = _within(fields, "hardwareMaximumA", "A", _CURRENT_A)
    return replace(
        whole,
        evse=number,
        transaction_id=fields.text("transactionId"),
        energy_since=fields.moment("energySince"),
        default_phases=phases or PHASES_IF_ABSENT,
        hardware_maximum_a=whole.hardware_maximum_a if own_maximum_a is None else own_maximum_a,
        soc_percent=fields.number("socPercent"),
        priority_charging=fields.flag("priorityCharging"),
        delay_shares=_shares(fields),
        chosen_schedule=None if chosen is None else chosen - 1,
    )


def _within(fields: Fields, name: str, unit: str, bounds: tuple[float, float]) -> float | None:
    value, (least, most) = fields.number(name), bounds
    if value is not None and not least <= value <= most:
        fields.fail(name, f"from {least:.0f} {unit} to {most:.0f} {unit}, got {value:g}")
    return value


def _shares(fields: Fields) -> tuple[float, ...]:
    given = fields.raw("delayShares")
    if given is None:
        return ()
    numbers = [number(share) for share in given] if isinstance(given, list) else [None]
    shares = tuple(share for share in numbers if share is not None and 0.0 <= share <= 1.0)
    if len(shares) < len(numbers):
        fields.fail("delayShares", "a list of numbers from 0 to 1 is needed: the random part of randomizedDelay")
    return shares


def _zone(fields: Fields) -> tzinfo:
    name = fields.text("timeZone")
    if name is None:
        return UTC
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return fields.fail("timeZone", f"{name!r:.40} is no time zone; one is Europe/Berlin")


def _moment(fields: Fields, name: str) -> datetime:
    moment = fields.moment(name) or fields.fail(name, "missing; for example 2026-03-02T12:00:00Z")
    if moment.year in YEARS:
        return moment
    return fields.fail(name, f"a moment from {YEARS[0]} to {YEARS[-1]} is needed, got {fields.text(name)}")


def _profiles(fields: Fields, version: OcppVersion, station: StationContext, at: datetime) -> InstalledProfiles:
    """The profiles as a station holds them after it got them in this order."""
    judged = fields.raw("judged") is None or fields.flag("judged")
    installed = InstalledProfiles()
    for place in fields.children("profiles"):
        wanted = _profile_set(place, version).received(at)
        if not judged or wanted.profile.purpose is Purpose.CHARGING_STATION_EXTERNAL_CONSTRAINTS:
            installed = installed.recorded(wanted.profile, wanted.evse, _RULES[version])
            continue
        installed, verdict = installed.install(wanted.profile, wanted.evse, _RULES[version], _facts(station))
        if not verdict.accepted:
            _fail(place.path, _refusal(verdict, version))
    return installed


def _profile_set(place: Fields, version: OcppVersion) -> ProfileSet:
    try:
        return dialect(version).profile_set(dict(place.data))
    except PayloadError as error:
        _fail(_below(place.path, error), f"{_reason(error)} (as in SetChargingProfile of {version.value})")


def _facts(station: StationContext) -> StationFacts:
    """A station that can do whatever its version has."""
    return StationFacts(
        evses=frozenset(context.evse for context in station.evses),
        transactions={c.evse: c.transaction_id for c in station.evses if c.transaction_id is not None},
        charging_needs=frozenset(context.evse for context in station.evses),
        operation_modes=frozenset(OperationMode),
    )


def _refusal(verdict: Verdict, version: OcppVersion) -> str:
    return (
        f"a station of {version.value} refuses this profile: {verdict.detail} ({verdict.reason}). Correct it or take it "
        'out, or say "judged": false in the file to count all profiles as they are'
    )


def _told(evse: int, stretch: Stretch, unit: RateUnit) -> Payload:
    leading = [
        {
            "purpose": lead.entry.profile.purpose.value,
            "id": lead.entry.profile.id,
            "stackLevel": lead.entry.profile.stack_level,
            "evse": lead.entry.evse,
            **({"schedule": lead.choice + 1} if len(lead.entry.profile.schedules) > 1 else {}),
            f"limit{unit.value}": None if lead.limit is None else round(lead.limit, 6),
            "counts": lead.counts,
        }
        for lead in stretch.leading
    ]
    span = {"from": timestamp(stretch.start), "to": timestamp(stretch.end)}
    return {"evse": evse, **span, "leading": leading}


def _check_numbers(value: Any, path: str) -> None:
    """Whatever it is for: what no station could read is no example."""
    if isinstance(value, Mapping):
        for name, member in value.items():
            _check_numbers(member, f"{path}.{name}")
    elif isinstance(value, list):
        for index, member in enumerate(value):
            _check_numbers(member, f"{path}[{index}]")
    elif isinstance(value, int | float) and abs(value) > LARGEST_NUMBER:
        _fail(path, f"from -{LARGEST_NUMBER} to {LARGEST_NUMBER}, got {_shown(value)}")


def _shown(value: float) -> str:
    text = repr(value)
    return text if len(text) <= SHORT else f"{text[:SHORT]}… ({len(text)} digits)"


def _check_names(fields: Fields, what: str) -> None:
    unknown = [name for name in fields.data if name not in _FIELDS[what]]
    if unknown:
        fields.fail(unknown[0], f"no field of {what}; known are {', '.join(sorted(_FIELDS[what]))}")


def _below(path: str, error: PayloadError) -> str:
    return path + error.path.removeprefix("$")


def _reason(error: PayloadError) -> str:
    return str(error).removeprefix(f"{error.action}: {error.path}: ")


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _fail(path: str, reason: str) -> NoReturn:
    raise CompositeFileError(path, reason)
