"""A whole day of a site in steps of half a minute: honest stations and cars with a wish around the real SiteController.

Stations obey at once and measure every half minute, their registers count. For stories that last for weeks; what happens
within seconds is the business of `tests.site.virtual_site`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from local_controller.clock import Instant
from local_controller.site.control_settings import ControlSettings
from local_controller.site.controller import SiteController
from local_controller.site.effects import ApplyFallback, ApplyLimit, SiteEffect, Solve
from local_controller.site.foresight import Foresight
from local_controller.site.limit_book import LimitBook
from local_controller.site.limits import AppliesTo, Limit
from local_controller.site.plan import PlanPace
from local_controller.site.topology import Evse, FuseType, Node, Station, Topology
from local_controller.station import words
from local_controller.station.words import EvseId, LimitKind, LimitOutcome, MeterSample, Phase
from optimizer.solve import solve

STEP_S = 30.0
VOLTS = 230.0


@dataclass
class Parked:
    """A car on three phases. It takes no more than the limit that its station has."""

    transaction: str
    wish_wh: float
    limit_a: float = 6.0
    got_wh: float = 0.0
    is_full: bool = False

    @property
    def draw_a(self) -> float:
        return self.limit_a if self.limit_a >= 6.0 and self.got_wh < self.wish_wh else 0.0


def behind_one_fuse(fuse_a: float, stations: int) -> Topology:
    """Nothing is measured but by the stations themselves, and nothing else draws; a margin of 1 A."""
    names = [f"CP-{number}" for number in range(1, stations + 1)]
    grid = Node("grid", "Grid", None, (fuse_a,) * 3, FuseType.MCB, margin_a=(1.0,) * 3)
    return Topology((grid,), tuple(Station(name, name, (Evse(EvseId(name, 1), "grid"),)) for name in names))


class DaySite:
    """One EVSE for each station; `cars` by the name of the station."""

    def __init__(self, topology: Topology, foresight: Foresight, start: Instant, objective: str = "even") -> None:
        book = LimitBook(tuple(Limit(n.id, n.limit_a, AppliesTo.TOTAL, f"{n.label} fuse") for n in topology.nodes), {})
        settings = ControlSettings(plan=PlanPace(objective=objective))
        self.controller = SiteController(topology, book, settings, {}, foresight)
        self.now = start
        self.cars: dict[str, Parked] = {}
        self.worst_a = 0.0
        self._registers_wh = {station.id: 5_000.0 for station in topology.stations}
        self._number = 0
        for station in topology.stations:
            self.tell(station.id, words.Connected(words.OcppVersion.V16))
            self.tell(station.id, words.Booted("v", "m", "f", "s", words.RegistrationStatus.ACCEPTED))

    # --- people ---
    def plug(self, station: str, wish_wh: float, token: str | None = None) -> Parked:
        self._number += 1
        car = self.cars[station] = Parked(f"tx-{self._number}", wish_wh)
        self.tell(station, words.TransactionStarted(1, car.transaction, token))
        self._measure(station)
        return car

    def unplug(self, station: str) -> Parked:
        self._measure(station)
        car = self.cars.pop(station)
        self.tell(station, words.TransactionEnded(1, car.transaction))
        return car

    def fill(self, station: str) -> None:
        """The car got what it wants while nobody looked."""
        car = self.cars[station]
        self._registers_wh[station] += car.wish_wh - car.got_wh
        car.got_wh = car.wish_wh
        self._says_full(station)

    def needs(self, station: str, energy_wh: float | None, departure: datetime | None) -> None:
        """The car tells (ISO 15118), or its CSMS."""
        self.tell(station, words.NeedsKnown(1, energy_wh, departure))

    # --- time ---
    def skip(self, seconds: float) -> None:
        """Nothing happens for so long."""
        self.now = self.now.after(seconds)

    def until(self, moment: datetime) -> None:
        """The clock on the wall shows this."""
        self.skip((moment - self.now.utc).total_seconds())

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / STEP_S)):
            self.now = self.now.after(STEP_S)
            self.worst_a = max(self.worst_a, sum(car.draw_a for car in self.cars.values()))
            for station, car in self.cars.items():
                energy_wh = 3 * VOLTS * car.draw_a * STEP_S / 3600
                car.got_wh += energy_wh
                self._registers_wh[station] += energy_wh
                self._measure(station)
                if car.got_wh >= car.wish_wh:
                    self._says_full(station)
            self.carry_out(self.controller.expire(self.now))

    def _says_full(self, station: str) -> None:
        car = self.cars[station]
        if not car.is_full:
            car.is_full = True
            self.tell(station, words.TransactionUpdated(1, car.transaction, words.ChargingState.SUSPENDED_EV))

    def tell(self, station: str, fact: object) -> None:
        self.carry_out(self.controller.station_changed(station, fact, self.now))
        if self.controller.deadline is not None and self.controller.deadline <= self.now.monotonic_s:
            self.carry_out(self.controller.expire(self.now))

    def _measure(self, station: str) -> None:
        current = dict.fromkeys(Phase, self.cars[station].draw_a)
        self.tell(station, words.Measured(1, MeterSample(current, energy_wh=self._registers_wh[station])))

    def carry_out(self, effects: list[SiteEffect]) -> None:
        for effect in effects:
            match effect:
                case ApplyFallback(evse=evse, limit_a=limit_a):
                    self._answer(evse, LimitKind.FALLBACK, limit_a, LimitOutcome.ACCEPTED)
                case ApplyLimit(evse=evse, limit_a=limit_a):
                    if evse.station in self.cars:
                        self.cars[evse.station].limit_a = limit_a
                    self._answer(evse, LimitKind.WORKING, limit_a, LimitOutcome.SENT)
                    self._answer(evse, LimitKind.WORKING, limit_a, LimitOutcome.ACCEPTED)
                case Solve(number=number):
                    question = self.controller.question()
                    allocation = solve(question.problem(), weights=question.weights())
                    self.carry_out(self.controller.planned(number, allocation, self.now))

    def _answer(self, evse: EvseId, kind: LimitKind, limit_a: float, outcome: LimitOutcome) -> None:
        self.tell(evse.station, words.LimitAnswered(evse.evse, kind, outcome, limit_a))
