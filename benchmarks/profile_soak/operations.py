"""What happens next? Random operations of the CSMS, of drivers and cars, of the line, of the site and of time.

An operation is data, so that a run can be written down, shortened and repeated.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from benchmarks.profile_soak.evaluator import Json
from benchmarks.profile_soak.station import Station, stamp

ODD = 0.04
"""How often a request breaks a certain rule."""


@dataclass(frozen=True, slots=True)
class Operation:
    """do: "ask" or "plan" (the CSMS), "start", "end", "amps", "charge", "cut", "back", "boot", "limit", "fallback" or "wait"."""

    do: str
    args: Json = field(default_factory=dict)

    @property
    def is_of_csms(self) -> bool:
        """Whether the CSMS asks something."""
        return self.do == "ask"


class Chance:
    """A source of operations that fit a station as it is now."""

    def __init__(self, rnd: random.Random, station: Station, *, floor_a: float, limits_outlive: bool) -> None:
        """`limits_outlive` their transaction: then none begins where nobody can be told, as an old limit would be its own."""
        self._rnd = rnd
        self._limits_outlive = limits_outlive
        self._station = station
        self._version = station.facts.version
        self._is_v16 = station.facts.is_v16
        self._numbers = iter(range(1, 10**9))
        self._floor_a = floor_a
        self._cut = 0
        kinds = _COMMON | (_OF_V16 if self._is_v16 else _OF_V2X) | (_OF_V21 if self._version == "2.1" else {})
        self._names = [*kinds]
        self._weights = [*accumulate(kinds.values())]

    def operations(self) -> Iterator[Operation]:
        """Endless."""
        while True:
            (name,) = self._rnd.choices(self._names, cum_weights=self._weights)
            make: Callable[[], list[Operation]] = getattr(self, f"_{name}")
            yield from make()

    # --- small change --------------------------------------------------------------------------------------------

    def _is(self, chance: float) -> bool:
        return self._rnd.random() < chance

    def _any_evse(self) -> int:
        return self._rnd.randint(1, self._station.facts.evses)

    def _instant(self, earliest_s: float, latest_s: float) -> str:
        offset_s = self._rnd.uniform(earliest_s, latest_s)
        offset_s = round(offset_s, 1) if self._is(0.1) else round(offset_s)
        return stamp(round(self._station.clock() + offset_s, 1))

    def _ask(self, action: str, payload: Json) -> list[Operation]:
        return [Operation("ask", {"action": action, "payload": payload})]

    # --- profiles ------------------------------------------------------------------------------------------------

    def _set(self) -> list[Operation]:
        """A profile of any purpose, mostly one that is right."""
        running = self._station.transactions
        purposes: dict[str, float] = {"TxDefaultProfile": 4, "TxProfile": 6 if running else 1, self._maximum(): 2}
        if self._version == "2.1":
            purposes |= {"PriorityCharging": 1, "LocalGeneration": 1}
        if not self._is_v16:
            purposes |= {"ChargingStationExternalConstraints": 0.2}
        (purpose,) = self._rnd.choices([*purposes], [*purposes.values()])
        evse = self._place(purpose)
        return self._setting(
            evse, self._profile(purpose, self._transaction_of(evse) if purpose == "TxProfile" else None)
        )

    def _setting(self, evse: int, profile: Json) -> list[Operation]:
        if self._is_v16:
            return self._ask("SetChargingProfile", {"connectorId": evse, "csChargingProfiles": profile})
        return self._ask("SetChargingProfile", {"evseId": evse, "chargingProfile": profile})

    def _maximum(self) -> str:
        return "ChargePointMaxProfile" if self._is_v16 else "ChargingStationMaxProfile"

    def _place(self, purpose: str) -> int:
        if self._is(ODD):
            return self._rnd.choice([0, 1, 7])
        if purpose in {self._maximum(), "LocalGeneration", "ChargingStationExternalConstraints"}:
            return 0
        if purpose == "TxProfile":
            running = [*self._station.transactions]
            return self._rnd.choice(running) if running else self._any_evse()
        return 0 if self._is(0.4) else self._any_evse()

    def _transaction_of(self, evse: int) -> Any:
        transaction = self._station.transactions.get(evse)
        if transaction is None or not (transaction.id.isdecimal() or not self._is_v16) or self._is(ODD):
            return 77 if self._is_v16 else "no-such"
        if self._is(0.2 if self._is_v16 else ODD):
            return None
        return int(transaction.id) if self._is_v16 else transaction.id

    def _profile(self, purpose: str, transaction_id: Any, *, kind: str | None = None) -> Json:
        kind = kind if kind is not None else self._kind()
        schedules = [self._schedule(kind, purpose)]
        if not self._is_v16 and self._is(ODD / 2):
            schedules.append(self._schedule(kind, purpose))
        for number, schedule in enumerate(schedules, start=1):
            if purpose == "PriorityCharging" and not self._is(ODD):
                schedule.pop("duration", None)
            if not self._is_v16:
                schedule["id"] = number
        profile: Json = {
            "chargingProfileId" if self._is_v16 else "id": self._id(),
            "stackLevel": self._level(),
            "chargingProfilePurpose": purpose,
            "chargingProfileKind": kind,
            "chargingSchedule": schedules[0] if self._is_v16 else schedules,
        }
        if (kind == "Recurring") != self._is(ODD / 2):
            profile["recurrencyKind"] = self._rnd.choice(["Daily", "Daily", "Weekly"])
        profile |= self._offline()
        if kind == "Dynamic" and self._is(0.5):
            profile["dynUpdateInterval"] = self._rnd.choice([0, 300, 900, 3600])
        if transaction_id is not None:
            profile["transactionId"] = transaction_id
        if self._is(0.12):
            profile["validFrom"] = self._instant(-7200, 7200)
        if self._is(0.15):
            profile["validTo"] = self._instant(7300, 90000)
        return profile

    def _offline(self) -> Json:
        """What becomes of a profile of 2.1 while its CSMS is away, and afterwards."""
        if self._version != "2.1" or not self._is(0.15):
            return {}
        after = {"invalidAfterOfflineDuration": True} if self._is(0.5) else {}
        return {"maxOfflineDuration": self._rnd.choice([0, 30, 300, 3600])} | after

    def _id(self) -> int:
        if self._is(0.01):
            return 2_147_480_000 + self._rnd.randint(0, 8)
        return self._rnd.randint(1, 14)

    def _level(self) -> int:
        if self._is(ODD / 2):
            return self._station.facts.max_level + 1
        return self._rnd.randint(0, 3)

    def _kind(self) -> str:
        kinds: dict[str, float] = {"Absolute": 5, "Recurring": 3, "Relative": 3}
        if self._version == "2.1":
            kinds |= {"Dynamic": 1.5}
        return self._rnd.choices([*kinds], [*kinds.values()])[0]

    def _schedule(self, kind: str, purpose: str) -> Json:
        (units, facts) = (self._station.facts.units, self._station.facts)
        unit = self._rnd.choice(["A", "W"]) if self._is(ODD) else self._rnd.choice(units)
        schedule: Json = {"chargingRateUnit": unit, "chargingSchedulePeriod": self._periods(kind, unit)}
        if (kind in {"Absolute", "Recurring"}) != self._is(ODD / 2):
            schedule["startSchedule"] = self._instant(-170_000, 7200)
            if self._version == "2.1" and self._is(0.15):
                schedule["useLocalTime"] = True
        if self._is(0.5):
            schedule["duration"] = self._rnd.choice([60, 600, 3600, 7200, 14_400, 40_000, 86_400, 100_000])
        if self._is(0.1):
            schedule["minChargingRate"] = 6.0 if unit == "A" else 1400.0
        if self._version == "2.1" and self._is(0.15):
            low = self._rnd.choice([0.0, 6.0, 12.0])
            schedule["limitAtSoC"] = {"soc": self._rnd.choice([50, 80]), "limit": low if unit == "A" else low * 690.0}
        if self._version == "2.1" and self._is(0.2 if purpose in {"TxProfile", "TxDefaultProfile"} else ODD / 4):
            self._delay(schedule)
        if self._is(ODD / 8):
            many = range(facts.max_periods + 1)
            schedule["chargingSchedulePeriod"] = [{"startPeriod": 60 * n, "limit": 6.0} for n in many]
        if self._is(ODD / 4):
            schedule["chargingRateUnit"] = "VA"
        return schedule

    def _delay(self, schedule: Json) -> None:
        """Each period but the first comes late, and soon."""
        schedule["randomizedDelay"] = self._rnd.choice([60, 600, 4000])
        if "startSchedule" in schedule:
            schedule["startSchedule"] = self._instant(-5000, 300)

    def _periods(self, kind: str, unit: str) -> list[Json]:
        number = 1 if kind == "Dynamic" else self._rnd.choice([1, 1, 2, 3, 5])
        starts = [0, *(self._rnd.choice([60, 300, 900, 1800, 3600, 10_000, 30_000]) for _ in range(number - 1))]
        starts = [*accumulate(starts)]
        if self._is(ODD / 2):
            self._rnd.shuffle(starts)
        return [self._period(start_s, unit) for start_s in starts]

    def _period(self, start_s: int, unit: str) -> Json:
        limit = self._rnd.choice([0.0, 3.0, 6.0, 8.5, 10.0, 13.3, 16.0, 20.0, 25.7, 32.0, 40.0])
        period: Json = {"startPeriod": start_s, "limit": limit if unit == "A" else round(limit * 690.0, 1)}
        if self._is(0.15):
            period["numberPhases"] = self._rnd.choice([1, 2, 3])
        return period

    def _clear(self) -> list[Operation]:
        """By id, by criteria, or everything."""
        installed = [one.id for one in self._station.store.profiles]
        if self._is(0.4):
            chosen = self._rnd.choice(installed) if installed and self._is(0.7) else self._id()
            name = "id" if self._is_v16 else "chargingProfileId"
            also = self._criteria() if self._is_v16 and self._is(0.2) else {}
            return self._ask("ClearChargingProfile", {name: chosen} | also)
        criteria = self._criteria()
        return self._ask("ClearChargingProfile", criteria if self._is_v16 else {"chargingProfileCriteria": criteria})

    def _criteria(self) -> Json:
        criteria: Json = {}
        if self._is(0.5):
            purposes = ["TxDefaultProfile", "TxProfile", self._maximum()]
            purposes += ["PriorityCharging", "LocalGeneration"] if self._version == "2.1" else []
            criteria["chargingProfilePurpose"] = self._rnd.choice(purposes)
        if self._is(0.4):
            criteria["stackLevel"] = self._rnd.randint(0, 3)
        if self._is(0.4):
            criteria["connectorId" if self._is_v16 else "evseId"] = self._rnd.randint(0, self._station.facts.evses)
        return criteria

    def _get(self) -> list[Operation]:
        """By ids, or by anything else."""
        wanted: Json = {}
        if self._is(0.25):
            wanted["chargingProfileId"] = sorted({self._id() for _ in range(4)})
        else:
            wanted = self._criteria()
            wanted.pop("evseId", None)
            if self._is(0.2) or not wanted:
                wanted["chargingLimitSource"] = self._rnd.choice([["CSO"], ["CSO", "EMS"], ["EMS"]])
        payload: Json = {"requestId": next(self._numbers), "chargingProfile": wanted}
        if self._is(0.4):
            payload["evseId"] = self._rnd.randint(0, self._station.facts.evses)
        return self._ask("GetChargingProfiles", payload)

    def _composite(self) -> list[Operation]:
        evse = 7 if self._is(ODD) else self._rnd.randint(0, self._station.facts.evses)
        payload: Json = {"connectorId" if self._is_v16 else "evseId": evse}
        payload["duration"] = self._rnd.choice([60, 600, 3600, 7200, 86_400, 100_000])
        units = ["A", "W"]
        if self._is(0.6):
            payload["chargingRateUnit"] = self._rnd.choice(units)
        return self._ask("GetCompositeSchedule", payload)

    # --- 2.1 -----------------------------------------------------------------------------------------------------

    def _priority(self) -> list[Operation]:
        running = [one.id for one in self._station.transactions.values()]
        chosen = self._rnd.choice(running) if running and not self._is(ODD) else "no-such"
        return self._ask("UsePriorityCharging", {"transactionId": chosen, "activate": self._is(0.7)})

    def _update(self) -> list[Operation]:
        dynamic = [one.id for one in self._station.store.profiles if one.kind == "Dynamic"]
        chosen = self._rnd.choice(dynamic) if dynamic and not self._is(ODD) else self._id()
        limit = self._rnd.choice([0.0, 4.0, 7.0, 12.0, 18.0, 30.0])
        return self._ask("UpdateDynamicSchedule", {"chargingProfileId": chosen, "scheduleUpdate": {"limit": limit}})

    def _plan(self) -> list[Operation]:
        """What the CSMS will say when it is asked for the next limit."""
        pulled = [one for one in self._station.store.profiles if one.pulled_each_s]
        if not pulled:
            return []
        chosen = self._rnd.choice(pulled)
        limit = self._rnd.choice([0.0, 4.0, 7.0, 12.0, 18.0, 30.0])
        limit = limit if chosen.plans[0].unit == "A" else round(limit * 690.0, 1)
        return [Operation("plan", {"profile_id": chosen.id, "limit": limit})]

    # --- settings ------------------------------------------------------------------------------------------------

    def _settings(self) -> list[Operation]:
        if self._is_v16:
            keys = [
                "MaxChargingProfilesInstalled",
                "ChargeProfileMaxStackLevel",
                "ChargingScheduleMaxPeriods",
                "Nothing",
            ]
            return self._ask("GetConfiguration", {"key": self._rnd.sample(keys, 2)} if self._is(0.6) else {})
        if self._is(0.3):
            return self._ask("GetBaseReport", {"requestId": next(self._numbers), "reportBase": "FullInventory"})
        variables = [
            {"name": "Entries", "instance": "ChargingProfiles"},
            {"name": "ProfileStackLevel"},
            {"name": "PeriodsPerSchedule"},
            {"name": "RateUnit"},
            {"name": "Nothing"},
        ]
        asked = [
            {"component": {"name": "SmartChargingCtrlr"}, "variable": one} for one in self._rnd.sample(variables, 2)
        ]
        return self._ask("GetVariables", {"getVariableData": asked})

    # --- transactions --------------------------------------------------------------------------------------------

    def _remote_start(self) -> list[Operation]:
        """Mostly the car follows at once."""
        evse, token = self._any_evse(), f"APP{next(self._numbers)}"
        profile = self._profile("TxProfile", None) if self._is(0.7) else None
        payload: Json
        if self._is_v16:
            action, payload = "RemoteStartTransaction", {"idTag": token}
        else:
            action = "RequestStartTransaction"
            payload = {"remoteStartId": next(self._numbers), "idToken": {"idToken": token, "type": "Central"}}
        if self._is(0.7):
            payload["connectorId" if self._is_v16 else "evseId"] = evse
        if profile is not None and self._is_sound(profile):
            payload["chargingProfile"] = profile
        asked = self._ask(action, payload)
        if self._is(0.15):
            return asked
        waits = [Operation("wait", {"seconds": self._rnd.choice([2.0, 30.0, 60.0])})] if self._is(0.5) else []
        return [*asked, *waits, self._starting(evse, by_remote=True)]

    def _is_sound(self, profile: Json) -> bool:
        """What a station does with a profile in a remote start that it would refuse is not in the standard."""
        alike = self._station.store
        at = profile if self._is_v16 else profile | {"transactionId": "probe"}
        before, alike.profiles = alike.profiles, []
        running, alike.transactions = alike.transactions, {1: "probe"}
        try:
            units = {
                s["chargingRateUnit"] for s in ([at["chargingSchedule"]] if self._is_v16 else at["chargingSchedule"])
            }
            return units <= {"A", "W"} and not alike.install(1, at, 0.0)
        finally:
            alike.profiles, alike.transactions = before, running

    def _starting(self, evse: int, *, by_remote: bool) -> Operation:
        named = f"tx-{next(self._numbers)}"
        return Operation("start", {"evse": evse, "id": named, "token": f"CARD{evse}", "by_remote": by_remote})

    def _remote_stop(self) -> list[Operation]:
        running = [one.id for one in self._station.transactions.values() if one.id.isdecimal() or not self._is_v16]
        if not running:
            return []
        chosen = self._rnd.choice(running)
        if self._is_v16:
            return self._ask("RemoteStopTransaction", {"transactionId": int(chosen)})
        return self._ask("RequestStopTransaction", {"transactionId": chosen})

    def _start(self) -> list[Operation]:
        free = [one for one in range(1, self._station.facts.evses + 1) if one not in self._station.transactions]
        return [self._starting(self._rnd.choice(free), by_remote=self._is(0.2))] if free else []

    def _end(self) -> list[Operation]:
        return [Operation("end", {"evse": self._any_evse()})]

    def _amps(self) -> list[Operation]:
        phases = self._rnd.choice([1, 3])
        amps = [8.0 if number < phases else 0.0 for number in range(3)]
        return [Operation("amps", {"evse": self._any_evse(), "amps": amps})]

    def _charge(self) -> list[Operation]:
        """A car tells its state of charge."""
        running = [*self._station.transactions]
        if not running:
            return []
        soc = self._rnd.choice([20, 50, 79, 80, 95])
        return [Operation("charge", {"evse": self._rnd.choice(running), "soc": soc})]

    # --- the site, the line and time -----------------------------------------------------------------------------

    def _limit(self) -> list[Operation]:
        limit_a = round(self._rnd.choice([0.0, 6.0, 32.0, self._rnd.uniform(0.0, 32.0)]), 2)
        valid_s = self._rnd.choice([60.0, 150.0, 300.0, 900.0])
        args = {"evse": self._any_evse(), "limit_a": limit_a, "valid_s": valid_s, "urgent": self._is(0.2)}
        return [Operation("limit", args)]

    def _fallback(self) -> list[Operation]:
        limit_a = self._rnd.choice([0.0, 6.0, self._floor_a, round(self._rnd.uniform(0.0, 32.0), 2)])
        return [Operation("fallback", {"evse": self._any_evse(), "limit_a": limit_a})]

    def _wait(self) -> list[Operation]:
        longest_s = self._rnd.choices([5.0, 120.0, 1800.0, 14_400.0, 200_000.0], [10, 12, 8, 3, 0.6])[0]
        return [Operation("wait", {"seconds": round(self._rnd.uniform(0.1, longest_s), 1)})]

    def _away(self) -> list[Operation]:
        """The line is cut for a while, in which cars come and go."""
        spell: list[Operation] = [Operation("cut")]
        for _ in range(self._rnd.randint(1, 3)):
            some = [self._end, self._fallback, self._wait_away, self._wait_away]
            some += [] if self._limits_outlive else [self._start]
            spell += self._rnd.choice(some)()
        return [*spell, Operation("back")]

    def _wait_away(self) -> list[Operation]:
        """Without its CSMS a station is safe for a day (the gateway's foresight)."""
        return [
            Operation("wait", {"seconds": round(self._rnd.uniform(0.1, self._rnd.choice([60.0, 3600.0, 25_000.0])), 1)})
        ]

    def _boot(self) -> list[Operation]:
        return [Operation("boot", {"keeps": self._is(0.4)})]


_COMMON = {
    "set": 30,
    "clear": 9,
    "composite": 7,
    "settings": 4,
    "remote_start": 6,
    "remote_stop": 2,
    "start": 8,
    "end": 3,
    "amps": 3,
    "limit": 14,
    "fallback": 4,
    "wait": 14,
    "away": 1,
    "boot": 1,
}
_OF_V16: dict[str, float] = {}
_OF_V2X = {"get": 9}
_OF_V21 = {"priority": 3, "update": 3, "plan": 5, "charge": 6, "away": 3}
