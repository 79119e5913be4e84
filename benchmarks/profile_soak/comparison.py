"""Does the CSMS see the same with the gateway as without it? The differences that it may see are here, and only here."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

from benchmarks.profile_soak.evaluator import Json, seconds
from benchmarks.profile_soak.station import Station
from benchmarks.profile_soak.store import ANY
from benchmarks.profile_soak.worlds import Answer, Heard

ALLOWED: Final = {
    "slower": "an answer may come later, by at most the gateway's own time-out",
    "composite_below": "a composite schedule may be below the CSMS's own profiles, because local limits are part of it; "
    "it must not be above them, nor below what holds now, and must be about the same EVSE, unit and duration",
    "report_order": "profiles of one EVSE may be reported in any order (K09)",
    "reason": "of several broken rules any one may be named, and any code where the standard fixes none",
    "budget": "fewer profiles may be promised than the station can hold: some places are the gateway's",
    "dyn_update_time": "a report may tell when a Dynamic profile was updated last (K28)",
}
"""What a CSMS may see of the gateway, each with its rule."""

_EPSILON = 1e-6
WHOLE_SECONDS_S = 2.0
"""A second in which a limit falls may be told with the lower one."""

_BUDGETS = frozenset({"MaxChargingProfilesInstalled"})
_SPELLINGS = {"unknownevse": "UnknownEVSE"}
_ENTRIES = "Entries"


def difference(action: str, alone: Answer, behind: Answer, station: Station, behind_station: Station) -> str | None:
    """How the answer behind the gateway differs from that of the station alone, beyond what is allowed."""
    if isinstance(alone, str) or isinstance(behind, str) or behind is None or alone is None:
        return None if alone == behind else f"{action}: {alone} alone, {behind} behind"
    match action:
        case "SetChargingProfile":
            return _verdicts(alone, behind, station.reasons)
        case "GetCompositeSchedule":
            return _composites(alone, behind, station, behind_station)
        case "GetConfiguration":
            return _same(_without_budgets(alone), _without_budgets(behind)) or _budgets(alone, behind)
        case "UpdateDynamicSchedule" | "UsePriorityCharging":
            return _same(alone["status"], behind["status"])  # no reason codes are fixed for them
        case _:
            return _same(_spelt(alone), _spelt(behind))


def _same(alone: Any, behind: Any) -> str | None:
    return None if alone == behind else f"{alone} alone, {behind} behind"


def _spelt(answer: Json) -> Json:
    """Reason codes are spelt in two ways (K01.FR.28 against the appendix)."""
    info = answer.get("statusInfo")
    if not isinstance(info, dict):
        return answer
    code = str(info.get("reasonCode"))
    return answer | {"statusInfo": {"reasonCode": _SPELLINGS.get(code.lower(), code)}}


def _verdicts(alone: Json, behind: Json, reasons: Sequence[str]) -> str | None:
    """The same status; the reason is one of those that would be right."""
    if alone["status"] != behind["status"] or alone["status"] == "Accepted":
        return _same(alone, behind)
    if ("statusInfo" in alone) != ("statusInfo" in behind):
        return _same(alone, behind)
    code = _spelt(behind).get("statusInfo", {}).get("reasonCode", ANY)
    if ANY in reasons or code == ANY or code in reasons:
        return None
    return f"any of {sorted(set(reasons))} alone, {code} behind"


# --- composite schedules -----------------------------------------------------------------------------------------


def _composites(alone: Json, behind: Json, station: Station, behind_station: Station) -> str | None:
    if alone["status"] != behind["status"] or alone["status"] != "Accepted":
        return _same(_spelt(alone), _spelt(behind))
    head, said = _head(alone), _head(behind)
    if head != said:
        return _same(head, said)
    evse, unit, duration_s, _ = said
    start_s = seconds(_start(behind)) or 0.0
    steps = _steps(behind)
    if not steps or steps[0][0] != 0 or any(b[0] <= a[0] for a, b in pairwise(steps)) or steps[-1][0] >= duration_s:
        return f"a composite schedule with periods {steps} for {duration_s} s"
    most = [(after_s, limit) for after_s, limit, _ in station.composite(evse, unit, start_s, duration_s)]
    begun_s = max(0.0, station.clock() - start_s) + 0.001  # a schedule begins on a whole second, which may be past
    for cut in sorted({begun_s, *(after_s for after_s, _ in [*most, *steps] if after_s > begun_s)}):
        if _at(steps, cut) > _at(most, cut) + _EPSILON:
            return f"after {cut} s {_at(most, cut)} {unit} alone, {_at(steps, cut)} {unit} behind"
    holds = min(one.least(evse, unit, WHOLE_SECONDS_S) for one in (station, behind_station))
    if unit == "A" and evse > 0 and steps[0][1] < holds - 0.1 - _EPSILON:
        return f"{steps[0][1]} A behind, where {holds} A hold"
    return None


def _schedule(answer: Json) -> Json:
    schedule: Json = answer["chargingSchedule"] if "chargingSchedule" in answer else answer["schedule"]
    return schedule


def _head(answer: Json) -> tuple[int, str, int, str]:
    """EVSE, unit, duration and start (to the second)."""
    schedule = _schedule(answer)
    evse: int = answer["connectorId"] if "connectorId" in answer else schedule["evseId"]
    return evse, schedule["chargingRateUnit"], schedule["duration"], _start(answer)[:19]


def _start(answer: Json) -> str:
    start: str = answer["scheduleStart"] if "scheduleStart" in answer else _schedule(answer)["scheduleStart"]
    return start


def _steps(answer: Json) -> list[tuple[float, float]]:
    return [(period["startPeriod"], period["limit"]) for period in _schedule(answer)["chargingSchedulePeriod"]]


def _at(steps: Sequence[tuple[float, float]], second: float) -> float:
    return next(limit for start_s, limit in reversed(steps) if start_s <= second)


# --- budgets -----------------------------------------------------------------------------------------------------


def _without_budgets(answer: Json) -> Json:
    keys = [entry for entry in answer["configurationKey"] if entry["key"] not in _BUDGETS]
    return answer | {"configurationKey": keys}


def _budgets(alone: Json, behind: Json) -> str | None:
    """Each budget is there, and no higher."""
    told = [
        {e["key"]: int(e["value"]) for e in one["configurationKey"] if e["key"] in _BUDGETS} for one in (alone, behind)
    ]
    if told[0].keys() != told[1].keys() or any(told[1][key] > most for key, most in told[0].items()):
        return f"budgets {told[0]} alone, {told[1]} behind"
    return None


# --- reports -----------------------------------------------------------------------------------------------------


def difference_of_reports(alone: Sequence[Heard], behind: Sequence[Heard]) -> str | None:
    """How the reports that followed an answer differ."""
    for name, read in (("ReportChargingProfiles", _profiles), ("NotifyReport", _values)):
        ours, theirs = ([one.payload for one in heard if one.action == name] for heard in (alone, behind))
        if read(ours) != read(theirs):
            return f"{name}: {read(ours)} alone, {read(theirs)} behind"
        if (
            name == "ReportChargingProfiles"
            and [r.get("tbc", False) for r in theirs] != [*[True] * (len(theirs) - 1), False][: len(theirs)]
        ):
            return f"{name}: wrong tbc in {theirs}"
        if name == "NotifyReport" and (found := _raised(ours, theirs)):
            return found
    return None


def _profiles(reports: Sequence[Json]) -> list[Any]:
    """Every profile that is reported, in an order of our own."""
    found = [
        (report["requestId"], report["evseId"], report["chargingLimitSource"], profile["id"], _timeless(profile))
        for report in reports
        for profile in report["chargingProfile"]
    ]
    return sorted(found, key=lambda one: one[:4])


def _timeless(profile: Json) -> Json:
    return {name: value for name, value in profile.items() if name != "dynUpdateTime"}


def _values(reports: Sequence[Json]) -> list[Any]:
    """Every variable without the bound of the budget."""
    entries = [entry for report in reports for entry in report["reportData"]]
    return [
        (report_entry["component"], report_entry["variable"], report_entry["variableAttribute"])
        for report_entry in entries
    ]


def _raised(alone: Sequence[Json], behind: Sequence[Json]) -> str | None:
    most, told = (_limits(reports) for reports in (alone, behind))
    if len(most) != len(told) or any(ours > theirs for ours, theirs in zip(told, most, strict=True)):
        return f"budgets {most} alone, {told} behind"
    return None


def _limits(reports: Sequence[Json]) -> list[float]:
    return [
        entry["variableCharacteristics"]["maxLimit"]
        for report in reports
        for entry in report["reportData"]
        if entry["variable"]["name"] == _ENTRIES
    ]
