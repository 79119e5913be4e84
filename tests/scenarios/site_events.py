"""What happens on a site in virtual time, one event after another, and how much room its cars have had."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from local_controller.profiles.schedule import Schedule
from local_controller.site.limits import AppliesTo
from local_controller.site.per_phase import ZERO, PerPhase, lower, minus
from local_controller.station import words
from local_controller.station.effects import CsmsLimitChanged
from tests.site.virtual_site import STEP_S, Car, Manner, VirtualSite, VirtualStation

TROUBLES = tuple(manner.name for manner in Manner)

SUNS_W = (1_000.0, 2_000.0, 3_000.0, 4_500.0, 7_000.0, 12_000.0)
"""What a roof may leave to cars."""

REACTION_S = 1.0 + 7.5 + 7.5 + 8.0 + 1.0
"""Meter, an answer under way, the own answer, the slowest car, rounding of times."""

SWAP_S = REACTION_S
"""From one car to the next in the same socket, so that the slowest neighbours have made room for its fallback again. Whoever comes
sooner is swapped at once."""


def perform(site: VirtualSite, step: tuple[str, int, Car, int]) -> None:
    action, index, car, seconds = step
    name = list(site.stations)[index % len(site.stations)]
    station = site.stations[name]
    id_ = station.evse.id.station
    if action == "sun":
        site.announce("ems", None, seconds + 60.0, power_w=SUNS_W[index % len(SUNS_W)])
    elif act := _actions(site, name, id_, station, car, seconds).get(action):
        act()
    site.run(seconds)


def _actions(
    site: VirtualSite, name: str, id_: str, station: VirtualStation, car: Car, seconds: int
) -> dict[str, Callable[[], object]]:
    running, online = station.transaction is not None, station.connected
    at_work = {
        "unplug": lambda: site.unplug(name),
        "swap": lambda: _swap(site, name, replace(car), SWAP_S),
        "swap_at_once": lambda: _swap(site, name, replace(car), 0.0),
        "rest": lambda: setattr(station.car, "paused", True),
        "resume": lambda: setattr(station.car, "paused", False),
        "flicker": lambda: _flickers(site, name, seconds),
        "need": lambda: _needs(site, station, seconds),
        "favour": lambda: _favours(site, station, seconds % 3 - 1),
    }
    while_online = {
        "lose": lambda: site.disconnect(id_),
        "reboot": lambda: site.reboot(id_),
        "hush": lambda: site.tell(id_, words.FellSilent(14.0)),
        "speak": lambda: site.tell(id_, words.SpokeAgain()),
    }
    if station.silent_meter:  # whose yes is all that is known of it
        at_work |= {"forget": station.forget}
    result: dict[str, Callable[[], object]] = {
        "limit": lambda: site.announce("ems", float(seconds), 30.0),
        "power": lambda: site.announce("ems", None, 30.0, power_w=700.0 * seconds),
        "lift": lambda: site.announce("ems", None, 60.0),
        "pause": lambda: csms_allows(site, station, 0.0),
        "free": lambda: csms_allows(site, station, None),
        "book": lambda: _csms_books(site, station, seconds),
        "least": lambda: csms_allows(site, station, 16.0, least_a=10.0),
        "blind": lambda: site.go_blind(seconds),
        "restart": site.restart,
    }
    if online:
        result |= while_online | (at_work if running else {"plug": lambda: site.plug(name, replace(car))})
    elif site.now.monotonic_s >= station.off_until_s:
        result |= {"back": lambda: site.connect(id_, boot=seconds % 2 == 0)}
    if station.fallback_a is not None and not station.forgetful:  # forgetful and deaf are two faults at once
        result |= {manner.name: lambda m=manner: setattr(station, "manner", m) for manner in Manner}
    return result


def _swap(site: VirtualSite, name: str, car: Car, wait_s: float) -> None:
    """One leaves and then another one comes."""
    station = site.stations[name]
    site.unplug(name)
    if not wait_s:
        site.plug(name, car)
        return
    site.after(wait_s, lambda: site.plug(name, car) if station.connected and station.transaction is None else None)


def csms_allows(site: VirtualSite, station: VirtualStation, limit_a: float | None, least_a: float = 0.0) -> None:
    """The CSMS's profiles pause one car, so that its neighbours may take what it leaves, or free it."""
    schedule = Schedule() if limit_a is None else Schedule.constant(limit_a, site.now.utc - timedelta(hours=1))
    evse = station.evse.id
    site.tell(evse.station, CsmsLimitChanged(evse.evse, schedule, least_a))


def _csms_books(site: VirtualSite, station: VirtualStation, seconds: int) -> None:
    """Profiles that begin and end: nothing, a little, as much as may be, nothing again for a moment."""
    starts = (site.now.utc + timedelta(seconds=part * seconds / 4) for part in range(5))
    schedule = Schedule(tuple(zip(starts, (0.0, 8.0, None, 0.0, None), strict=True)))
    site.tell(station.evse.id.station, CsmsLimitChanged(station.evse.id.evse, schedule))


def _needs(site: VirtualSite, station: VirtualStation, seconds: int) -> None:
    """The car says what it wants, and when it leaves."""
    evse, departure = station.evse.id, site.now.utc + timedelta(seconds=20 * seconds)
    site.tell(evse.station, words.NeedsKnown(evse.evse, 100.0 * seconds, departure))


def _favours(site: VirtualSite, station: VirtualStation, priority: int) -> None:
    """The CSMS gives the transaction another charging priority."""
    id_, transaction = station.evse.id, station.transaction
    assert transaction is not None
    site.tell(id_.station, words.PriorityGiven(id_.evse, transaction, priority))


def _flickers(site: VirtualSite, name: str, seconds: int) -> None:
    """A loose plug: every few seconds the car rests and goes on, as its station says each time, or is gone and comes again."""
    for number in range(1, 7):
        site.after(number * (1.0 + seconds % 4), lambda n=number: _flick(site, name, n))


def _flick(site: VirtualSite, name: str, number: int) -> None:
    station = site.stations[name]
    if station.transaction is None or station.car is None or not station.connected:
        return
    if number == 4:
        car = station.car
        site.unplug(name)
        site.plug(name, car)
        return
    station.car.paused = number % 2 == 1
    state = words.ChargingState.SUSPENDED_EV if station.car.paused else words.ChargingState.CHARGING
    site.tell(
        station.evse.id.station,
        words.TransactionUpdated(station.evse.id.evse, station.transaction, state),
    )


class Room:
    """How much more than the room of the last `reaction_s` the cars took, apart from sessions that have just begun.

    worst_w: the same of limits in watts, as they were announced; infinite room where there is none.
    """

    def __init__(self, site: VirtualSite, reaction_s: float = REACTION_S) -> None:
        self.worst_a = 0.0
        self.worst_w = 0.0
        self._watts: deque[float] = deque(maxlen=round(reaction_s / STEP_S))
        self._reaction_s = reaction_s
        self._rooms: deque[tuple[float, float, float]] = deque(maxlen=round(reaction_s / STEP_S))
        self._begun: dict[str, float] = {}
        self._node = site.topology.root.id

    def look(self, site: VirtualSite) -> None:
        now_s = site.now.monotonic_s
        running = {s.transaction for s in site.stations.values() if s.transaction is not None}
        self._begun = {t: self._begun.get(t, now_s) for t in running}
        young_a = 6.0 * sum(now_s - at < self._reaction_s for at in self._begun.values())
        others = site.building(self._node)
        self._rooms.append(self._room(site, others))
        cars = minus(site.flow(self._node), others)
        most_a = map(max, zip(ZERO, *self._rooms, strict=True))
        over = (c - room_a for c, room_a in zip(cars, most_a, strict=True))
        self.worst_a = max(self.worst_a, max(over) - young_a)
        self._watts.append(self._room_w(site, others))
        over_w = sum(cars) * site.volts_v - max(0.0, *self._watts)
        self.worst_w = max(self.worst_w, over_w - 3 * young_a * site.volts_v)

    def _room_w(self, site: VirtualSite, others: PerPhase) -> float:
        limit_w = site.said_w("ems")
        total_limited = site.source("ems").applies_to is AppliesTo.TOTAL
        return limit_w - (sum(others) * site.volts_v if total_limited else 0.0)

    def _room(self, site: VirtualSite, others: PerPhase) -> PerPhase:
        book = site.controller.book
        limit, cars = (
            book.bounds(self._node, kind, site.now).amperes for kind in (AppliesTo.TOTAL, AppliesTo.CHARGING)
        )
        assert limit is not None
        room = minus(limit.limit_a, others)
        return room if cars is None else lower(room, cars.limit_a)
