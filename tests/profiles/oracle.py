"""Does the engine agree with an evaluator that was written apart, looks at one instant at a time and knows no edges?

    make oracle ORACLE_EXAMPLES=10000        one JSON line per version: cases tried, disagreements, and the first of them

A case is a file of the command `composite` (docs/composite.md), made from a number: version and number repeat it. The
evaluator reads that JSON by itself, with fractions, straight from the rules; it shares neither data nor code with the
engine, whose answer it judges second by second.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import cache
from itertools import pairwise
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from local_controller.profiles.composite import composite, composite_station
from local_controller.station import composite_file

Json = dict[str, Any]
V16, V201, V21 = "1.6", "2.0.1", "2.1"
VERSIONS = (V16, V201, V21)
NEAR_S = 90
STEP = {V16: Fraction(1, 10), V201: Fraction(1, 10), V21: Fraction(1, 10**6)}
TX, DEFAULT, MAX = "TxProfile", "TxDefaultProfile", "ChargingStationMaxProfile"
EXTERNAL, PRIORITY, GENERATION = "ChargingStationExternalConstraints", "PriorityCharging", "LocalGeneration"
VOLTS = 230


# --- what a document says, in the words of 2.1 -------------------------------------------------------------------


@dataclass(frozen=True)
class Facts:
    """One EVSE, or with number 0 the station."""

    number: int
    transaction: str | None = None
    energy_since: Fraction | None = None
    phases: int = 3
    most_a: Fraction | None = None
    soc: float | None = None
    priority: bool = False
    offline_since: Fraction | None = None
    zone: str = "UTC"
    shares: tuple[float, ...] = ()
    chosen: int | None = None


@dataclass(frozen=True)
class Says:
    """What is said at an instant: rates are one for all phases, or three; None is nothing said.

    per_phase: in watts, what limits in amperes leave any one phase.
    """

    limit: tuple[Fraction, ...] | None
    phases: int
    setpoint: tuple[Fraction, ...] | None = None
    discharge: tuple[Fraction, ...] | None = None
    phase_to_use: int | None = None
    mode: str = "ChargingOnly"
    per_phase: Fraction | None = None


@cache
def epoch(text: str) -> Fraction:
    return Fraction(int(datetime.fromisoformat(text).timestamp()))


class Oracle:
    """The reading of one document."""

    def __init__(self, document: Json) -> None:
        self.document = document
        self.version = document["version"]
        self.asked = epoch(document["instant"])
        self.unit = document["request"].get("chargingRateUnit", "A")
        name = "connectorId" if self.version == V16 else "evseId"
        self.evse = document["request"][name]
        self.profiles = [self.read(item, name) for item in document["profiles"]]
        station = document.get("station", {})
        offline = station.get("offlineS")
        since = None if offline is None else self.asked - offline
        most = station.get("hardwareMaximumA")
        self.whole = Facts(
            0,
            offline_since=since,
            zone=station.get("timeZone", "UTC"),
            most_a=None if most is None else Fraction(most),
        )
        self.evses = [self.facts(one) for one in document.get("evses", [{"id": 1}])]

    def read(self, item: Json, name: str) -> tuple[int, Json]:
        if self.version != V16:
            return item[name], item["chargingProfile"]
        given = item["csChargingProfiles"]
        purpose = given["chargingProfilePurpose"].replace("ChargePointMax", "ChargingStationMax")
        return item[name], {
            **given,
            "chargingProfilePurpose": purpose,
            "chargingSchedule": [given["chargingSchedule"]],
            "transactionId": None if "transactionId" not in given else str(given["transactionId"]),
        }

    def facts(self, one: Json) -> Facts:
        most = one.get("hardwareMaximumA")
        return replace(
            self.whole,
            number=one["id"],
            transaction=one.get("transactionId"),
            energy_since=epoch(one["energySince"]) if "energySince" in one else None,
            phases=one.get("phases", 3),
            most_a=self.whole.most_a if most is None else Fraction(most),
            soc=one.get("socPercent"),
            priority=one.get("priorityCharging", False),
            shares=tuple(one.get("delayShares", ())),
            chosen=one.get("chosenSchedule"),
        )

    # --- one profile at one instant

    def counts(self, profile: Json, facts: Facts, t: Fraction) -> bool:
        """Validity: half-open (K01.FR.36/.37), offline (K01.FR.101), updates (K28.FR.13), the right transaction."""
        if "validFrom" in profile and t < epoch(profile["validFrom"]):
            return False
        if "validTo" in profile and t >= epoch(profile["validTo"]):
            return False
        longest = profile.get("maxOfflineDuration")
        if facts.offline_since is not None and longest is not None and t - facts.offline_since > longest:
            return False
        if profile["chargingProfilePurpose"] == TX:
            return facts.transaction is not None and profile.get("transactionId") in {None, facts.transaction}
        return True

    def period(self, profile: Json, schedule: Json, facts: Facts, t: Fraction) -> Json | None:
        """The running period; none before the origin, from the duration on, or before the first period."""
        duration, kind = schedule.get("duration"), profile["chargingProfileKind"]
        if kind == "Dynamic":
            age = t - epoch(profile["dynUpdateTime"])
            if duration is not None and age > duration:
                return None
            second = Fraction(0)
        elif kind == "Relative":
            second = t - (self.asked if facts.energy_since is None else facts.energy_since)
        elif schedule.get("useLocalTime"):
            wall = datetime.fromtimestamp(math.floor(t), ZoneInfo(facts.zone)).replace(tzinfo=None)
            start = datetime.fromisoformat(schedule["startSchedule"]).replace(tzinfo=None)
            second = int((wall - start).total_seconds()) + t - math.floor(t)
        else:
            second = t - epoch(schedule["startSchedule"])
        if second < 0:
            return None
        if kind == "Recurring":
            second %= 86400 if profile["recurrencyKind"] == "Daily" else 604800
        if duration is not None and second >= duration:
            return None
        running = None
        for start_s, period in self.delayed(schedule, facts):
            if start_s <= second:
                running = period
        return running

    def delayed(self, schedule: Json, facts: Facts) -> list[tuple[int, Json]]:
        """Periods in order, late by their random delays; a later one that comes earlier cancels those before it."""
        result: list[tuple[int, Json]] = []
        for index, period in enumerate(schedule["chargingSchedulePeriod"]):
            start = period["startPeriod"]
            if index and facts.shares and schedule.get("randomizedDelay") and facts.transaction is not None:
                start += int(facts.shares[(index - 1) % len(facts.shares)] * schedule["randomizedDelay"])
            if "duration" in schedule and start >= schedule["duration"]:
                continue
            result = [(s, p) for s, p in result if s < start]
            result.append((start, period))
        return result

    def says(self, profile: Json, schedule: Json, period: Json, facts: Facts) -> Says:
        phases = period.get("numberPhases", facts.phases)
        of_all = Fraction(1)
        if schedule["chargingRateUnit"] != self.unit:
            of_all = Fraction(VOLTS * phases) if self.unit == "W" else Fraction(1, VOLTS * phases)
        of_one = Fraction(1) if of_all == 1 else (Fraction(VOLTS) if self.unit == "W" else Fraction(1, VOLTS))

        def raw(name: str) -> tuple[Fraction, ...] | None:
            if f"{name}_L2" in period:
                return tuple(Fraction(period[f"{name}{s}"]) for s in ("", "_L2", "_L3"))
            return (Fraction(period[name]),) if name in period else None

        def rate(said: tuple[Fraction, ...] | None) -> tuple[Fraction, ...] | None:
            return None if said is None else tuple(x * (of_all if len(said) == 1 else of_one) for x in said)

        mode = period.get("operationMode", "ChargingOnly")
        given = (Fraction(0),) if mode == "Idle" else raw("limit")
        at_soc = schedule.get("limitAtSoC")
        is_amps = schedule["chargingRateUnit"] == "A"
        if at_soc is not None and facts.soc is not None and facts.soc >= at_soc["soc"]:
            given = self.lower(given, (Fraction(at_soc["limit"]),), schedule["chargingRateUnit"])
        limit = rate(given)
        per_phase = (
            limit[0] / phases if is_amps and self.unit == "W" and limit is not None and len(limit) == 1 else None
        )
        setpoint, discharge = rate(raw("setpoint")), rate(raw("dischargeLimit"))
        return Says(limit, phases, setpoint, discharge, period.get("phaseToUse"), mode, per_phase)

    # --- several

    def lead(self, purpose: str, facts: Facts, t: Fraction, choice: int) -> Says | None:
        best: tuple[int, int] = (-1, -1)
        said = None
        for evse, profile in self.profiles:
            rank = (profile["stackLevel"], 1 if evse else 0)
            fits = profile["chargingProfilePurpose"] == purpose and evse in {0, facts.number}
            if rank < best or not fits or not self.counts(profile, facts, t):
                continue
            schedules = profile["chargingSchedule"]
            schedule = schedules[min(choice, len(schedules) - 1)]
            period = self.period(profile, schedule, facts, t)
            if period is not None:
                best, said = rank, self.says(profile, schedule, period, facts)
        return said

    def transaction(self, facts: Facts, t: Fraction, choice: int) -> Says | None:
        said = self.lead(PRIORITY, facts, t, choice) if facts.priority else None
        return said or self.lead(TX, facts, t, choice) or self.lead(DEFAULT, facts, t, choice)

    def lower(
        self, a: tuple[Fraction, ...] | None, b: tuple[Fraction, ...] | None, unit: str | None = None
    ) -> tuple[Fraction, ...] | None:
        """The lower of two limits on each phase; of watts for all and watts of each, the highest phases give way."""
        if a is None or b is None:
            return b if a is None else a
        if len(a) == len(b):
            return tuple(map(min, a, b))
        each, alike = (a, b[0]) if len(a) == 3 else (b, a[0])
        if (unit or self.unit) == "A":
            return tuple(min(x, alike) for x in each)
        return each if sum(each) <= alike else tuple(min(x, self.level(sorted(each), alike)) for x in each)

    def level(self, each: list[Fraction], together: Fraction) -> Fraction:
        """The level to which the highest of ascending rates are cut, so that they are so much together."""
        for below in range(3):
            level = (together - sum(each[:below])) / (3 - below)
            if level <= each[below] and (not below or each[below - 1] <= level):
                return level
        raise AssertionError((each, together))

    def more(self, a: tuple[Fraction, ...], b: tuple[Fraction, ...]) -> tuple[Fraction, ...]:
        if len(a) != len(b):
            a, b = (x if len(x) == 3 else (x[0] if self.unit == "A" else x[0] / 3,) * 3 for x in (a, b))
        return tuple(x + y for x, y in zip(a, b, strict=True))

    def merged(self, *heard: Says | None) -> Says | None:
        """The minimum of what is heard; the first says how the car is operated."""
        result: Says | None = None
        for one in heard:
            if result is None or one is None:
                result = result or one
                continue
            result = replace(
                result,
                limit=self.lower(result.limit, one.limit),
                phases=min(result.phases, one.phases),
                per_phase=self.least(result.per_phase, one.per_phase),
                phase_to_use=result.phase_to_use or one.phase_to_use,
            )
        return result

    def with_sun(self, said: Says | None, sun: Says | None) -> Says | None:
        if said is None or said.limit is None or sun is None or sun.limit is None:
            return said
        if len(sun.limit) == 3:
            return replace(said, limit=self.more(self.limits(said) or (), sun.limit), per_phase=None)
        shone = self.alike(sun.limit) / 3 if sun.per_phase is None else sun.per_phase
        per_phase = None if said.per_phase is None else said.per_phase + shone
        return replace(said, limit=self.more(said.limit, sun.limit), per_phase=per_phase)

    def least(self, a: Fraction | None, b: Fraction | None) -> Fraction | None:
        return min((x for x in (a, b) if x is not None), default=None)

    def limits(self, said: Says) -> tuple[Fraction, ...] | None:
        """Limits of single phases, none above what amperes leave one."""
        if said.limit is None or len(said.limit) == 1 or said.per_phase is None:
            return said.limit
        return tuple(min(x, said.per_phase) for x in said.limit)

    def drawn(self, said: Says | None) -> tuple[Fraction, ...] | None:
        if said is None:
            return None
        wanted = None if said.setpoint is None else tuple(max(x, Fraction(0)) for x in said.setpoint)
        return self.lower(self.limits(said), wanted)

    def alike(self, rates: tuple[Fraction, ...] | None) -> Fraction | None:
        """One number: in A what each phase may carry, in W the total."""
        return None if rates is None else min(rates) if self.unit == "A" else sum(rates, Fraction(0))

    def at_evse(self, facts: Facts, t: Fraction, *, is_share: bool = False) -> Says | None:
        """The lowest that any of the alternatives in question gives."""
        found: list[Says | None] = []
        for choice in range(3) if facts.chosen is None else (facts.chosen - 1,):
            said = self.merged(self.transaction(facts, t, choice), self.lead(EXTERNAL, facts, t, choice))
            if not is_share:
                said = self.merged(said, self.lead(MAX, facts, t, choice))
                said = self.with_sun(said, self.lead(GENERATION, facts, t, choice))
            found.append(said)
        limited = [(self.alike(self.drawn(one)), one) for one in found if one is not None]
        if not limited:
            return None
        _, lowest = min(limited, key=lambda pair: (pair[0] is None, pair[0] or 0))
        return replace(lowest, phases=min(one.phases for _, one in limited))

    def at_station(self, t: Fraction) -> Says | None:
        total: Says | None = None
        for facts in self.evses:
            said = self.at_evse(facts, t, is_share=True)
            phases = facts.phases if said is None else said.phases
            limit = self.drawn(said)
            if limit is None and facts.most_a is not None:
                limit = (facts.most_a * (VOLTS * phases if self.unit == "W" else 1),)
            per_phase = None if said is None else said.per_phase
            if (said is None or self.drawn(said) is None) and limit is not None and self.unit == "W":
                per_phase = limit[0] / phases
            one = Says(limit, phases, per_phase=per_phase)
            if total is None:
                total = one
                continue
            both = None if total.limit is None or one.limit is None else self.more(total.limit, one.limit)
            each = None if total.per_phase is None or per_phase is None else total.per_phase + per_phase
            total = Says(both, max(total.phases, one.phases), per_phase=None if both is None else each)
        wide = (self.lead(MAX, self.whole, t, 0), self.lead(EXTERNAL, self.whole, t, 0))
        return self.with_sun(self.merged(total, *wide), self.lead(GENERATION, self.whole, t, 0))

    def at(self, t: Fraction) -> Says | None:
        if self.evse == 0:
            return self.at_station(t)
        return self.at_evse(next(facts for facts in self.evses if facts.number == self.evse), t)

    @property
    def has_late_edges(self) -> bool:
        """Whether anything may end just after a whole second: what lasts so long, inclusive."""
        return any("maxOfflineDuration" in profile or "dynUpdateTime" in profile for _, profile in self.profiles)

    # --- as an answer

    def answer(self, t: Fraction) -> Json:
        """The fields of the period that an answer must show at `t`, without its start."""
        facts = next((one for one in self.evses if one.number == self.evse), self.whole)
        said = self.at(t) or Says(None, facts.phases)
        limit = self.limits(said)
        if limit is None and facts.most_a is not None:
            limit = (facts.most_a * (VOLTS * said.phases if self.unit == "W" else 1),)
        fields: Json = {"numberPhases": said.phases}
        fields |= self.named("limit", limit)
        if said.setpoint is not None:
            fields |= self.named("setpoint", self.cut(said.setpoint, limit, said.discharge))
        fields |= self.named("dischargeLimit", said.discharge)
        if said.phase_to_use is not None:
            fields["phaseToUse"] = said.phase_to_use
        if said.mode != "ChargingOnly":
            fields["operationMode"] = said.mode
        return fields

    def cut(
        self, wanted: tuple[Fraction, ...], limit: tuple[Fraction, ...] | None, least: tuple[Fraction, ...] | None
    ) -> tuple[Fraction, ...]:
        """K08.FR.08: positive ones at the limit, negative ones at the discharge limit."""
        up = self.lower(tuple(max(x, Fraction(0)) for x in wanted), limit) or ()
        down = self.lower(
            tuple(max(-x, Fraction(0)) for x in wanted), None if least is None else tuple(-x for x in least)
        )
        return self.more(up, tuple(-x for x in down or ()))

    def named(self, name: str, rates: tuple[Fraction, ...] | None) -> Json:
        step = STEP[self.version]
        rounded = (
            float(math.floor((abs(x) + Fraction(1, 10**9)) / step) * step) * (1 if x >= 0 else -1) for x in rates or ()
        )
        return {f"{name}{suffix}": rate for suffix, rate in zip(("", "_L2", "_L3"), rounded, strict=False)}


# --- random documents --------------------------------------------------------------------------------------------

PURPOSES = {
    V16: (DEFAULT, DEFAULT, TX, TX, MAX),
    V201: (DEFAULT, DEFAULT, TX, TX, MAX, EXTERNAL),
    V21: (DEFAULT, DEFAULT, TX, TX, MAX, EXTERNAL, PRIORITY, GENERATION),
}
MOMENTS = (
    datetime(2026, 6, 10, 8, 0, tzinfo=UTC),
    datetime(2026, 3, 29, 1, 0, tzinfo=UTC),
    datetime(2026, 10, 25, 1, 0, tzinfo=UTC),
)
"""An ordinary one, and the clock changes of Berlin."""


def stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


class Maker:
    """Makes the document of one number."""

    def __init__(self, version: str, number: int) -> None:
        self.rnd = Random(f"{version} {number}")
        self.version = version
        self.is_new = version == V21
        self.long = self.rnd.random() < 0.25
        self.duration = self.rnd.choice((3600, 90_000)) if self.long else NEAR_S
        self.t0 = self.rnd.choice(MOMENTS) + timedelta(seconds=self.rnd.randint(-NEAR_S, 30))

    def maybe(self, chance: float) -> bool:
        return self.rnd.random() < chance

    def near(self) -> str:
        last = self.duration + 30 if self.maybe(0.5) else NEAR_S
        return stamp(self.t0 + timedelta(seconds=self.rnd.randint(-60, last)))

    def document(self) -> Json:
        evses = [self.evse(1), self.evse(2)]
        name = "connectorId" if self.version == V16 else "evseId"
        station: Json = {"timeZone": "Europe/Berlin"}
        if not self.is_new or self.maybe(0.5):
            station["hardwareMaximumA"] = 32
        if self.maybe(0.5):
            station["offlineS"] = self.rnd.randint(-60, NEAR_S)
        profiles, ranks = [], set()
        for number in range(1, self.rnd.randint(1, 7)):
            evse, profile = self.profile(number)
            rank = (evse, profile["chargingProfilePurpose"], profile["stackLevel"])
            if rank not in ranks:
                ranks.add(rank)
                profiles.append(self.worded(name, evse, profile))
        request = {
            name: self.rnd.choice((1, 1, 0)),
            "duration": self.duration,
            "chargingRateUnit": self.rnd.choice("AW"),
        }
        return {
            "version": self.version,
            "instant": stamp(self.t0),
            "judged": False,
            "request": request,
            "station": station,
            "evses": evses,
            "profiles": profiles,
        }

    def evse(self, number: int) -> Json:
        told: Json = {"id": number, "phases": self.rnd.choice((3, 3, 1))}
        if self.maybe(0.7):
            told["transactionId"] = self.rnd.choice(("17", "18"))
        if self.maybe(0.5):
            told["energySince"] = self.near()
        if self.is_new:
            told["priorityCharging"] = self.maybe(0.5)
            told["delayShares"] = self.rnd.choice(([], [0.3], [0.9, 0.1, 0.5]))
            if self.maybe(0.6):
                told["socPercent"] = self.rnd.choice((79, 80))
        if self.version != V16 and self.maybe(0.3):
            told["chosenSchedule"] = self.rnd.randint(1, 3)
        return told

    def worded(self, name: str, evse: int, profile: Json) -> Json:
        if self.version != V16:
            return {name: evse, "chargingProfile": profile}
        purpose = profile["chargingProfilePurpose"].replace("ChargingStationMax", "ChargePointMax")
        told = {**profile, "chargingProfilePurpose": purpose, "chargingProfileId": profile["id"]}
        (schedule,) = profile["chargingSchedule"]
        told["chargingSchedule"] = {key: value for key, value in schedule.items() if key != "id"}
        if "transactionId" in told:
            told["transactionId"] = int(told["transactionId"])
        del told["id"]
        return {name: evse, "csChargingProfiles": told}

    def profile(self, number: int) -> tuple[int, Json]:
        purpose = self.rnd.choice(PURPOSES[self.version])
        evse = 0 if purpose in {MAX, GENERATION} else self.rnd.choice((1, 1, 2) if purpose == TX else (0, 1, 1, 2))
        kind = self.rnd.choice(("Absolute", "Recurring", "Relative", *(["Dynamic"] if self.is_new else [])))
        profile: Json = {
            "id": number,
            "stackLevel": self.rnd.randint(0, 2),
            "chargingProfilePurpose": purpose,
            "chargingProfileKind": kind,
        }
        if kind == "Recurring":
            profile["recurrencyKind"] = self.rnd.choice(("Daily", "Weekly"))
        if kind == "Dynamic":
            profile["dynUpdateTime"] = self.near()
        if purpose == TX and (self.version != V16 or self.maybe(0.7)):
            profile["transactionId"] = self.rnd.choice(("17", "17", "18"))
        for name, chance in (("validFrom", 0.3), ("validTo", 0.3)):
            if self.maybe(chance):
                profile[name] = self.near()
        if self.is_new and self.maybe(0.4):
            profile["maxOfflineDuration"] = self.rnd.choice((0, 30))
        count = self.rnd.choice((1, 1, 2, 3)) if purpose == TX and self.version != V16 and kind != "Dynamic" else 1
        profile["chargingSchedule"] = [self.schedule(number * 10 + n, kind, purpose, count == 1) for n in range(count)]
        return evse, profile

    def schedule(self, number: int, kind: str, purpose: str, is_alone: bool) -> Json:
        unit = self.rnd.choice("AW")
        factor = 1 if unit == "A" else 690
        most = 0 if kind == "Dynamic" else self.rnd.choice((0, 1, 4))
        span = self.duration if self.maybe(0.5) else NEAR_S
        starts = sorted({0, *(self.rnd.randint(1, span + 10) for _ in range(most))})
        schedule: Json = {"id": number, "chargingRateUnit": unit}
        is_local = self.is_new and kind in {"Absolute", "Recurring"} and self.maybe(0.5)
        if kind in {"Absolute", "Recurring"}:
            zone = ZoneInfo("Europe/Berlin") if is_local else UTC
            first = self.t0.astimezone(zone).replace(tzinfo=None) - timedelta(days=self.rnd.choice((0, 1, 7, 8)))
            first += timedelta(seconds=self.rnd.randint(-60, NEAR_S + 30), hours=self.rnd.choice((0, -1, 1)))
            schedule["startSchedule"] = stamp(first)
        if is_local:
            schedule["useLocalTime"] = True
        if self.maybe(0.5):
            schedule["duration"] = self.rnd.randint(0, span + 30)
        if self.is_new and purpose in {TX, DEFAULT} and self.maybe(0.4):
            schedule["randomizedDelay"] = self.rnd.choice((0, 30))
        if self.is_new and self.maybe(0.3):
            schedule["limitAtSoC"] = {"soc": 80, "limit": 5 * factor}
        is_rich = self.is_new and is_alone and self.maybe(0.35)
        schedule["chargingSchedulePeriod"] = [self.period(start, factor, purpose, is_rich) for start in starts]
        return schedule

    def rate(self, factor: int, least: int = 0) -> float:
        value = self.rnd.randint(least, 40) * factor
        return value + (0.5 if value and self.maybe(0.2) else 0)

    def period(self, start: int, factor: int, purpose: str, is_rich: bool) -> Json:
        period: Json = {"startPeriod": start, "limit": self.rate(factor)}
        if self.maybe(0.6):
            period["numberPhases"] = self.rnd.choice((1, 2, 3))
        if not is_rich:
            return period
        if self.maybe(0.4):
            period |= {"limit_L2": self.rate(factor), "limit_L3": self.rate(factor)}
        elif self.maybe(0.3):
            period |= {"numberPhases": 1, "phaseToUse": 2}
        return self.operated(period, factor) if purpose in {TX, DEFAULT} and self.maybe(0.6) else period

    def operated(self, period: Json, factor: int) -> Json:
        """The period in another operation mode."""
        mode = self.rnd.choice(("CentralSetpoint", "CentralSetpoint", "Idle", "ExternalLimits"))
        period["operationMode"] = mode
        if mode == "CentralSetpoint":
            period["setpoint"] = self.rate(factor, -40)
            period["dischargeLimit"] = -abs(self.rate(factor))
            if self.maybe(0.3):
                period |= {"setpoint_L2": self.rate(factor, -40), "setpoint_L3": self.rate(factor, -40)}
            return period
        limits = {"limit", "limit_L2", "limit_L3"} if self.maybe(0.7) else set()
        return {name: value for name, value in period.items() if name not in limits}


# --- the judgement -----------------------------------------------------------------------------------------------


def differences(document: Json) -> list[str]:
    """Where the engine disagrees with the evaluator, and how."""
    oracle = Oracle(document)
    question = composite_file.read(document)
    try:
        answer = question.answer()
    except composite_file.CompositeFileError as error:
        return [f"no answer: {error}"]
    told = answer["chargingSchedule"] if oracle.version == V16 else answer["schedule"]
    periods = told["chargingSchedulePeriod"]
    found = [] if is_well_made(told, document["request"]["duration"]) else [f"badly made: {told}"]
    horizon_s, start = question.request.duration_s, question.instant
    if oracle.evse == 0:
        limit = composite_station(question.installed, question.station, start, horizon_s)
    else:
        (context,) = (one for one in question.station.evses if one.evse == oracle.evse)
        limit = composite(question.installed, context, start, horizon_s)
    in_amps = Oracle({**document, "request": {**document["request"], "chargingRateUnit": "A"}})
    is_whole = not oracle.has_late_edges
    for second in seconds(document, periods):
        t = oracle.asked + second
        running = [period for period in periods if period["startPeriod"] <= second][-1]
        shown = {name: value for name, value in running.items() if name != "startPeriod"}
        wanted = oracle.answer(t)
        soon = wanted if is_whole else oracle.answer(t + Fraction(1, 2))
        if wanted == soon and not alike(shown, wanted):
            found.append(f"second {second}: answer {shown} instead of {wanted}")
        if wanted != soon and not at_most(shown, wanted, soon):
            found.append(f"second {second}: answer {shown} above {wanted} or {soon}")
        may = in_amps.alike(in_amps.drawn(in_amps.at(t)))
        is_a = limit.at(start + timedelta(seconds=second))
        if (may is None) != (is_a is None) or (may is not None and abs(float(may) - (is_a or 0.0)) > 1e-6):
            found.append(f"second {second}: limit {is_a} A instead of {None if may is None else float(may)} A")
    return found


def is_well_made(told: Json, duration: int) -> bool:
    """Whether a schedule has the right length, begins at 0, ascends, and has no period that changes nothing."""
    starts = [period["startPeriod"] for period in told["chargingSchedulePeriod"]]
    said = [{**period, "startPeriod": 0} for period in told["chargingSchedulePeriod"]]
    ascends = all(a < b for a, b in pairwise([*starts, duration]))
    return told["duration"] == duration and starts[0] == 0 and ascends and all(a != b for a, b in pairwise(said))


def seconds(document: Json, periods: list[Json]) -> Iterator[int]:
    """Every second of a short case; of a long one those around the engine's steps, and some at random."""
    duration = document["request"]["duration"]
    if duration <= NEAR_S:
        yield from range(duration)
        return
    rnd = Random(duration)
    around = {period["startPeriod"] + n for period in periods for n in (-1, 0, 1)}
    yield from sorted({s for s in around if 0 <= s < duration} | {rnd.randrange(duration) for _ in range(40)})


def alike(shown: Json, wanted: Json) -> bool:
    """Equal but for the noise of binary numbers."""
    if shown.keys() != wanted.keys():
        return False
    return all(x == wanted[n] or (isinstance(x, float) and abs(x - wanted[n]) < 1e-5) for n, x in shown.items())


def at_most(shown: Json, *wanted: Json) -> bool:
    """Within a second in which the limit changes the lower one is shown."""
    limits = [sum(x for n, x in one.items() if n.startswith("limit")) for one in wanted if "limit" in one]
    return not limits or sum(x for n, x in shown.items() if n.startswith("limit")) <= min(limits) + 1e-5


def smallest(document: Json) -> Json:
    """A disagreeing document with as few profiles as still disagree."""
    for index in range(len(document["profiles"])):
        fewer = {**document, "profiles": document["profiles"][:index] + document["profiles"][index + 1 :]}
        if differences(fewer):
            return smallest(fewer)
    return document


def tried(version: str, first: int, count: int, *, stops: bool = False) -> Json:
    """The result of so many cases from a number on."""
    started_s, wrong, example, cases = time.perf_counter(), 0, None, 0
    for number in range(first, first + count):
        document = Maker(version, number).document()
        cases += 1
        if differences(document):
            wrong += 1
            example = example or {"number": number, "document": smallest(document)}
            if stops:
                break
    took_s = round(time.perf_counter() - started_s, 1)
    result: Json = {"version": version, "first": first, "cases": cases, "disagreements": wrong, "took_s": took_s}
    if example is not None:
        result |= {"example": example, "differences": differences(example["document"])[:3]}
    return result


def main() -> int:
    """Prints one line per version; ends with 1 if there is any disagreement."""
    parser = argparse.ArgumentParser(description="Holds the composite engine against an evaluator written apart.")
    parser.add_argument("--examples", type=int, default=1000, help="cases per version")
    parser.add_argument("--first", type=int, default=0, help="number of the first case; others give other cases")
    parser.add_argument("--versions", nargs="+", choices=VERSIONS, default=VERSIONS)
    parser.add_argument("--stop", action="store_true", help="end a version at its first disagreement")
    given = parser.parse_args()
    results = []
    for version in given.versions:
        results.append(tried(version, given.first, given.examples, stops=given.stop))
        sys.stdout.write(f"{json.dumps(results[-1])}\n")
        sys.stdout.flush()
    return 1 if any(result["disagreements"] for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
