"""How long does the composite of twenty charging profiles over a day take? One JSON object a line.

    python -m benchmarks.composite

The same profiles are also evaluated instant by instant, by the evaluator of `make oracle`, which is written apart: for
3,600 of the 86,400 seconds, and both must agree there. Its time is what all seconds would take. All times are CPU time
of this process; of the engine's the best run counts.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from local_controller.profiles.composite import answer, composite
from local_controller.profiles.units import RateUnit
from local_controller.station import composite_file
from tests.profiles.oracle import V16, VERSIONS, Oracle

DAY_S = 86_400
TO_REACH_MS = 1.0
RUNS = 100
EVERY_S = 24
START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
PURPOSES = ("TxDefaultProfile", "TxProfile", "ChargingStationMaxProfile", "TxDefaultProfile")
Json = dict[str, Any]


def document(version: str, periods: int) -> Json:
    """Twenty daily profiles: the lowest of each purpose lasts all day, those above some hours, so that all count."""
    name = "connectorId" if version == V16 else "evseId"
    return {
        "version": version,
        "instant": stamp(START),
        "request": {name: 1, "duration": DAY_S, "chargingRateUnit": "A"},
        "evses": [{"id": 1, "transactionId": "17", "energySince": stamp(START)}],
        "station": {"timeZone": "Europe/Berlin", "hardwareMaximumA": 32},
        "judged": False,
        "profiles": [placed(version, name, number, periods) for number in range(20)],
    }


def placed(version: str, name: str, number: int, periods: int) -> Json:
    """One profile, as SetChargingProfile of the version brings it."""
    purpose, level = PURPOSES[number % 4], number // 4 * 2 + number % 4 // 3
    lasts_s = DAY_S if number < 3 else 6 * 3600 + number * 100
    factor = 1 if number % 2 else 690
    schedule = {
        "chargingRateUnit": "A" if number % 2 else "W",
        "startSchedule": stamp(START - timedelta(days=30, hours=number)),
        "chargingSchedulePeriod": [
            {"startPeriod": lasts_s // periods * n, "limit": (6 + (n + number) % 11) * factor} for n in range(periods)
        ],
    } | ({"duration": lasts_s} if lasts_s < DAY_S else {})
    profile = {
        "stackLevel": level,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Recurring",
        "recurrencyKind": "Daily",
    }
    evse = 0 if purpose == "ChargingStationMaxProfile" else 1
    is_own = purpose == "TxProfile"
    if version == V16:
        profile |= {"chargingProfileId": number, "chargingSchedule": schedule} | (
            {"transactionId": 17} if is_own else {}
        )
        profile["chargingProfilePurpose"] = purpose.replace("ChargingStation", "ChargePoint")
        return {name: evse, "csChargingProfiles": profile}
    profile |= {"id": number, "chargingSchedule": [{"id": number} | schedule]} | (
        {"transactionId": "17"} if is_own else {}
    )
    return {name: evse, "chargingProfile": profile}


def stamp(moment: datetime) -> str:
    """As a message writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def least_ms(work: Callable[[], object]) -> float:
    """CPU time of the best run."""
    best_s = float("inf")
    for _ in range(RUNS):
        began_s = time.process_time()
        work()
        best_s = min(best_s, time.process_time() - began_s)
    return best_s * 1e3


def measured(version: str, periods: int) -> Json:
    """One line: the engine, the evaluator, and whether they agree."""
    told = document(version, periods)
    question, oracle = composite_file.read(told), Oracle(told)
    (context,) = question.station.evses
    limit = composite(question.installed, context, START, DAY_S)
    began_s, wrong = time.process_time(), 0
    for second in range(0, DAY_S, EVERY_S):
        wanted = oracle.alike(oracle.drawn(oracle.at(oracle.asked + second)))
        is_a = limit.at(START + timedelta(seconds=second))
        wrong += wanted is None or is_a is None or abs(float(wanted) - is_a) > 1e-6
    brute_force_ms = (time.process_time() - began_s) * 1e3 * EVERY_S
    took_ms = least_ms(lambda: composite(question.installed, context, START, DAY_S))
    answer_ms = least_ms(lambda: answer(question.installed, context, RateUnit.W, START, DAY_S))
    return {
        "figure": "composite_20_profiles_24h",
        "version": version,
        "profiles": len(question.installed),
        "periods_each": periods,
        "steps": len(limit.steps),
        "ms": round(took_ms, 3),
        "answer_in_watts_ms": round(answer_ms, 3),
        "to_reach_ms": TO_REACH_MS,
        "reached": took_ms <= TO_REACH_MS,
        "brute_force_ms": round(brute_force_ms),
        "ratio": round(brute_force_ms / took_ms),
        "disagreements": wrong,
    }


def main() -> int:
    """Each version with few and with many periods."""
    lines = []
    for version in VERSIONS:
        for periods in (4, 24):
            lines.append(measured(version, periods))
            print(json.dumps(lines[-1]), flush=True)
    return 0 if all(line["reached"] and not line["disagreements"] for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
