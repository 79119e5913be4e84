"""What does the site make of prices, of the sun and of what is wanted of its EVSEs? For its plan, and for this moment.

One object for all of it, so that the controller asks in one place; without prices, forecasts and wishes it says nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from itertools import pairwise
from typing import Final

import numpy as np

from local_controller.clock import Instant
from local_controller.profiles.units import NOMINAL_VOLTAGE_V
from local_controller.site.awaited import Awaited, AwaitedSessions
from local_controller.site.base_load import ANY_SIGN, BaseLoad
from local_controller.site.car_schedules import CarSchedules
from local_controller.site.effects import Notice
from local_controller.site.enforcement import Wait
from local_controller.site.evse import EvseState
from local_controller.site.freshness import METER_LADDER, Ladder
from local_controller.site.learning import Expected, Learning
from local_controller.site.load_history import LoadHistory
from local_controller.site.outlook import Kind, Source
from local_controller.site.places import Columns, Place
from local_controller.site.plan import HELD_S
from local_controller.site.planning import BY_PRICE, Asking
from local_controller.site.quarter_means import Peak
from local_controller.site.readings import MeterReading, drawn_w
from local_controller.site.series import Series
from local_controller.site.standing import DrawBounds, together
from local_controller.site.surplus import Surplus, Taker
from local_controller.site.wishes import AS_USUAL, ChargingMode, Wish
from local_controller.station.words import CarPlans, EvseId, ExpectationOver, SessionExpected
from optimizer.arrays import Array, Flags
from optimizer.problem import DEFAULT_ENERGY_WH, Horizon, Tariff

FLAT_PER_KWH: Final = 0.3
"""The price of each kWh where none is known but surplus: only that it is dearer than the surplus matters then."""

PLANNED_S: Final = 30.0
"""A plan that knows a new session is there by then, or none will be soon: 5 s until one is due, 2 s to make it, and more."""

LOOKED_AHEAD_S: Final = 43_200.0
LOOKED_AT_S: Final = 900.0
"""A lower price is looked for within twelve hours, as far as plans look, by the quarter of an hour."""


Forecast = SessionExpected | ExpectationOver | CarPlans


@dataclass(frozen=True, slots=True)
class Money:
    """What energy costs beside its price. peak_per_kw: for each kW of the highest mean power above `peak_w`."""

    currency: str = "EUR"
    peak_per_kw: float | None = None
    peak_w: float = 0.0


@dataclass(slots=True)
class Foresight:
    """Sources of prices and forecasts, wishes, and what the grid connection would carry without cars.

    zone: of the times of day in wishes. assumed_w: other loads where nothing is known of them. history: what the building draws at
    which time of the week. learning: what earlier visits taught. peak: the highest mean power that was measured.
    awaited: sessions to come. car_schedules: what cars say they will draw.
    known_s: so long a reading of the grid connection tells what flows there (G5). line_v: as of `Grid`.
    """

    sources: Mapping[Kind, Source] = field(default_factory=dict)
    wishes: Mapping[EvseId, Wish] = field(default_factory=dict)
    money: Money = Money()
    zone: tzinfo = UTC
    assumed_w: float = 0.0
    surplus: Surplus = field(default_factory=Surplus)
    history: LoadHistory = field(default_factory=LoadHistory)
    learning: Learning = field(default_factory=Learning)
    peak: Peak = field(default_factory=Peak)
    known_s: float = METER_LADDER.stale_s
    line_v: float = NOMINAL_VOLTAGE_V
    awaited: AwaitedSessions = field(default_factory=AwaitedSessions)
    car_schedules: CarSchedules = field(default_factory=CarSchedules)
    _without_cars: BaseLoad = field(default_factory=lambda: BaseLoad(lowest_a=ANY_SIGN))
    _seen_at: Instant | None = None
    _values: dict[Kind, float | None] = field(default_factory=dict)
    _lower: tuple[int, datetime | None] = (-1, None)

    # --- facts ---------------------------------------------------------------------------------------------------

    def goes_by(self, ladder: Ladder) -> None:
        """How the meter of the grid connection ages: one that is read seldom is believed longer."""
        self.known_s, self.surplus.fresh_s = ladder.stale_s, ladder.suspect_s

    def received(self, kind: Kind, series: Series, now: Instant) -> bool:
        """A message about one of them; whether a new plan should know."""
        return self.sources[kind].received(series, now)

    def failed(self, kind: Kind, text: str) -> None:
        """A message that cannot be read."""
        self.sources[kind].failed(text)

    def foretold(self, station: str, fact: Forecast, states: Mapping[EvseId, EvseState], now: Instant) -> bool:
        """What a station tells of what is to come; whether a new plan should know."""
        id_ = EvseId(station, fact.evse)
        if isinstance(fact, CarPlans):
            return id_ in states and self.car_schedules.told(states[id_], fact.schedule)
        return self.awaited.told(station, fact, self.learning.like_one_to_come, now)

    def measured(self, reading: MeterReading, drawn: DrawBounds, evses: Sequence[EvseState], now: Instant) -> None:
        """A reading of the grid connection; between which bounds all EVSEs behind it draw, and these."""
        if not self.is_used:
            return
        self._without_cars.update(reading.current_a, drawn.least_a, drawn.most_a, now, drawn.measured_at)
        self._seen_at = now
        self.peak.measured(drawn_w(reading, self.line_v), now)
        if (load_w := self._present_load_w(self.net_w(now), now)) is not None:
            self.history.measured(load_w, now)
        if self._takes_surplus:
            takers = [evse.stand(now) for evse in evses if self._is_taker(evse.evse.id)]
            self.surplus.measured(reading.current_a, together([one.bounds for one in takers if one.follows]), now)

    def look(self, now: Instant) -> tuple[bool, list[Notice]]:
        """Time passes: whether a value is another one now, which a new plan should know, and what people must know."""
        values = {kind: source.at(now) for kind, source in self.sources.items()}
        is_new, self._values = values != self._values, values
        is_new |= self.awaited.look(now)
        return is_new, [notice for source in self.sources.values() for notice in source.look(now)]

    @property
    def is_used(self) -> bool:
        """Whether the site file asks for any of this."""
        return bool(self.sources or self.wishes or self.money.peak_per_kw)

    @property
    def _takes_surplus(self) -> bool:
        return any(wish.mode is ChargingMode.SURPLUS for wish in self.wishes.values())

    def wish(self, evse: EvseId) -> Wish:
        """What is wanted of an EVSE."""
        return self.wishes.get(evse, AS_USUAL)

    def _is_taker(self, evse: EvseId) -> bool:
        return self.wish(evse).mode is ChargingMode.SURPLUS

    # --- this moment ---------------------------------------------------------------------------------------------

    def bound(
        self, places: Sequence[Place], columns: Columns, planned_a: Array, most_a: Array, now: Instant
    ) -> tuple[Array, Array]:
        """What the plan gives and the most for each, where wishes bind them beside: the plan first, then the most.

        Those who take surplus only go by that and not by the plan. Those who charge when it is cheapest wait for the first plan
        that knows them: else each of them would start, and stop seconds later.
        """
        if not self.wishes:
            return planned_a, most_a
        modes = [self.wish(place.state.evse.id).mode for place in places]
        takes, waits = (
            np.array([mode is one for mode in modes], dtype=bool)
            for one in (ChargingMode.SURPLUS, ChargingMode.CHEAPEST)
        )
        if self._takes_surplus:  # also where none is there: what holds for the last car must not hold for the next
            caps_a = self.surplus.caps_a(_takers(places, columns, most_a, takes), now, is_blind=self.net_w(now) is None)
            bounds_a = [caps_a.get(place.state.evse.id, 0.0) for place in places]
            most_a = np.where(takes, np.minimum(most_a, bounds_a), most_a)
            planned_a = np.where(takes, most_a, planned_a)
        waits_now = zip(places, (waits & (planned_a <= 0)).tolist(), strict=True)
        is_late = np.array([one and self._can_wait(place.state, now) for place, one in waits_now], dtype=bool)
        is_new = np.array([_is_new(place.state, now) for place in places], dtype=bool)
        return np.where(waits & is_new & np.isinf(planned_a), 0.0, planned_a), np.where(is_late, 0.0, most_a)

    def goes_by_price(self, places: Iterable[Place]) -> Flags:
        """Whose cars charge when it is cheapest: the next plan, seconds later, is soon enough for them."""
        return np.array([self.wish(place.state.evse.id).mode is ChargingMode.CHEAPEST for place in places], dtype=bool)

    def reasons(self) -> Mapping[EvseId, Wait]:
        """Why those get no more who take surplus only; why others wait is told by the plan."""
        return self.surplus.reasons()

    def waiting(self, states: Iterable[EvseState], now: Instant) -> set[str]:
        """The EVSEs, by name, whose cars charge by prices and have time for that: their energy by departure goes above it."""
        return {str(one.evse.id) for one in states if self._is_early(one, now)}

    def _is_early(self, state: EvseState, now: Instant) -> bool:
        """Whether a car that charges by prices has twice the time that it needs, beside that for which a plan is held."""
        if self.wish(state.evse.id).mode is not ChargingMode.CHEAPEST:
            return False
        departure, left_wh = self._departure(state, now), state.energy_left_wh()
        if departure is None:
            return True
        most_w = state.most_a * state.evse.line_v * len(state.phases())
        needs_s = 3600 * (DEFAULT_ENERGY_WH if left_wh is None else left_wh) / most_w if most_w > 0 else math.inf
        return (departure - now.utc).total_seconds() >= HELD_S + 2 * needs_s

    def _can_wait(self, state: EvseState, now: Instant) -> bool:
        """Whether a lower price comes before the car leaves. Then it takes no turns where not all minimums fit."""
        lower_at, departure = self._lower_price_lately(now), self._departure(state, now)
        return lower_at is not None and (departure is None or lower_at < departure)

    def _lower_price_lately(self, now: Instant) -> datetime | None:
        """When a kWh becomes cheaper than now; None where nobody knows of that. Looked for once a minute: there are many blocks."""
        minute = int(now.utc.timestamp() // 60)
        if self._lower[0] != minute:
            self._lower = minute, self._lower_price(now)
        return self._lower[1]

    def _lower_price(self, now: Instant) -> datetime | None:
        source, now_s = self.sources.get(Kind.ENERGY), now.utc.timestamp()
        if source is None or (price := source.at(now)) is None:
            return None
        starts_s = [now_s + number * LOOKED_AT_S for number in range(round(LOOKED_AHEAD_S / LOOKED_AT_S) + 1)]
        later = zip(source.means(starts_s, now), starts_s, strict=False)
        lower_s = (at_s for value, at_s in later if value is not None and value < price)
        return None if (first_s := next(lower_s, None)) is None else datetime.fromtimestamp(first_s, UTC)

    def net_w(self, now: Instant) -> float | None:
        """What the grid connection would carry without cars, negative where it would feed in; None where nobody knows."""
        load_a = self._without_cars.current_a
        if load_a is None or self._seen_at is None or now.since(self._seen_at) > self.known_s:
            return None
        return sum(load_a) * self.line_v

    # --- the hours ahead -----------------------------------------------------------------------------------------

    def ahead(
        self, horizon: Horizon, modes: Sequence[ChargingMode], usual: str, now: Instant
    ) -> tuple[str, Tariff | None]:
        """The objective of a plan for cars of these modes, and what energy costs and is left over in each of its blocks.

        usual: the objective where prices play no part, because no car charges by them or none is known.
        """
        by_price, has_peak = ChargingMode.CHEAPEST in modes, self.money.peak_per_kw is not None
        if not by_price and not has_peak and ChargingMode.SURPLUS not in modes:
            return usual, None
        at_s = now.utc.timestamp()
        edges_s = [at_s + edge_s for edge_s in horizon.edges_s]
        net_w = list(self._net_w(edges_s, now))
        prices = self._known(Kind.ENERGY, edges_s, now) if by_price else ()
        tariff = Tariff(
            import_per_kwh=prices or (FLAT_PER_KWH,) * horizon.blocks,
            surplus_w=tuple(max(0.0, -(watts or 0.0)) for watts in net_w),
            export_per_kwh=self._known(Kind.FEED_IN, edges_s, now),
            peak_per_kw=self.money.peak_per_kw,
            peak_w=max(self.money.peak_w, self.peak.highest_w(now)),
            background_w=tuple(max(0.0, self.assumed_w if watts is None else watts) for watts in net_w),
            currency=self.money.currency,
        )
        is_priced = has_peak or (by_price and (bool(prices) or any(tariff.surplus_w)))
        return BY_PRICE if is_priced else usual, tariff

    def _known(self, kind: Kind, edges_s: Sequence[float], now: Instant) -> tuple[float, ...]:
        """The mean in each block; empty where nothing is known.

        What is not known yet counts as the highest that is: nobody waits for a price that may not come.
        """
        means = self.sources[kind].means(edges_s, now) if kind in self.sources else []
        known = [value for value in means if value is not None]
        return tuple(max(known) if value is None else value for value in means) if known else ()

    def _net_w(self, edges_s: Sequence[float], now: Instant) -> Iterator[float | None]:
        """What the grid connection would carry without cars: now as it is measured, later as it is foreseen."""
        now_w = self.net_w(now)
        yield now_w
        base_w, sun_w = self._forecast(Kind.BASE_LOAD, edges_s, now), self._forecast(Kind.PV, edges_s, now)
        if Kind.BASE_LOAD not in self.sources:
            base_w = [self.history.expected_w(*block) for block in pairwise(edges_s)]
        present_w = self._present_load_w(now_w, now)
        for base, sun in list(zip(base_w, sun_w, strict=True))[1:]:
            load = present_w if base is None else base
            yield None if load is None else load - max(0.0, sun or 0.0)

    def _present_load_w(self, net_w: float | None, now: Instant) -> float | None:
        """What the building draws now without the sun; None where nobody knows what the sun brings.

        Where the site file names no forecast of the sun, that is what the grid connection carries, and never less than nothing: the
        sun may have gone later.
        """
        pv = self.sources.get(Kind.PV)
        sun_w = 0.0 if pv is None else pv.at(now)
        return None if net_w is None or sun_w is None else max(0.0, net_w + max(0.0, sun_w))

    def _forecast(self, kind: Kind, edges_s: Sequence[float], now: Instant) -> list[float | None]:
        if kind not in self.sources:
            return [None] * (len(edges_s) - 1)
        return self.sources[kind].means(edges_s, now)

    def asked(self, one: Asking, state: EvseState, now: Instant) -> Asking:
        """What a session asks for, with the wishes for its EVSE."""
        mode, departure = self.wish(state.evse.id).mode, self._departure(state, now)
        departure_s = None if departure is None else (departure - now.utc).total_seconds()
        return one._replace(departure_s=departure_s, mode=mode, draws=self.car_schedules.draws(state))

    def to_come(self, places: Sequence[Place], horizon: Horizon, now: Instant) -> tuple[Asking, ...]:
        """What cars will ask for that are to come. Who takes surplus only takes what others leave."""
        at = self.awaited.at((place.state for place in places), now)
        who = ((place, at[place.state.evse.id]) for place in places if at and place.state.evse.id in at)
        asked = (
            self._to_come(place, one, horizon, now) for place, one in who if not self._is_taker(place.state.evse.id)
        )
        return tuple(one for one in asked if (one.arrival_s or 0.0) < horizon.edges_s[-1])

    def _to_come(self, place: Place, one: Awaited, horizon: Horizon, now: Instant) -> Asking:
        """As it will be asked when it is here, on top of what is reserved for its EVSE anyhow."""
        state, evse = place.state, place.state.evse
        standing, wish, arrives_in_s = state.stand(now), self.wish(evse.id), one.arrives_in_s(now)
        free_a = max(0.0, state.most_a - max(standing.exposure))
        part = free_a / state.most_a if state.most_a > 0 else 0.0
        ready = wish.departure(now.after(arrives_in_s).utc, self.zone)
        presence, expected_wh = one.presence(arrives_in_s, horizon)
        return Asking(
            key=f"{place.key} to come",
            path=place.path,
            phases=standing.phases,
            min_a=0.0,
            cap_a=free_a,
            evse_max_a=evse.max_a,
            present_a=0.0,
            energy_wh=None,
            departure_s=None if ready is None else (ready - now.utc).total_seconds(),
            served_wh=0.0,
            csms=state.csms_steps,
            line_v=evse.line_v,
            expected_wh=part * (DEFAULT_ENERGY_WH if expected_wh is None else expected_wh),
            presence=presence if ready is None else None,
            mode=wish.mode,
            arrival_s=arrives_in_s,
        )

    def expected(self, state: EvseState, now: Instant) -> Expected | None:
        """What visits let expect of the running session, as far as neither driver, CSMS nor site file says it."""
        found = self.learning.expected(state)
        if found is None or not found.departure or self._departure(state, now) is None:
            return found
        return replace(found, departure=False) if found.energy else None

    def _departure(self, state: EvseState, now: Instant) -> datetime | None:
        """When the car at an EVSE has to be ready: as somebody said, else as the site file says."""
        session = state.session
        if session is None or session.departure is not None:
            return None if session is None else session.departure
        started = now.utc.timestamp() - now.since(session.started_at)
        return self.wish(state.evse.id).departure(datetime.fromtimestamp(started, UTC), self.zone)


def _takers(places: Sequence[Place], columns: Columns, most_a: Array, takes: Flags) -> list[Taker]:
    """Those who take surplus only and still want something: no more than they take, where others take what they leave."""
    numbers = (takes & (columns.wanted_wh > 0)).nonzero()[0].tolist()
    who = ((places[number].state, float(columns.min_a[number]), float(most_a[number])) for number in numbers)
    is_shared = len(numbers) > 1
    return [
        Taker(
            state.evse.id,
            len(state.phases()),
            min_a,
            min(max_a, state.useful_a) if is_shared else max_a,
            state.takes_nothing,
        )
        for state, min_a, max_a in who
    ]


def _is_new(state: EvseState, now: Instant) -> bool:
    return state.session is not None and now.since(state.session.started_at) < PLANNED_S
