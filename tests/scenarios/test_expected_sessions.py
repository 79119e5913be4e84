"""What does a site make of sessions to come, and of what cars say they will draw? The controller against physics in virtual time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from local_controller.clock import Instant
from local_controller.profiles.schedule import Schedule
from local_controller.site.foresight import Foresight
from local_controller.site.learning import Learning
from local_controller.site.outlook import Kind, Source, Told
from local_controller.site.price_table import PriceTable, PriceWindow
from local_controller.site.snapshot import EvseView, snapshot
from local_controller.site.wishes import ChargingMode, Wish
from local_controller.station import words
from local_controller.station.effects import CsmsLimitChanged
from local_controller.station.words import EvseId, ExpectationOver, Foretold, SessionExpected
from optimizer.habits import Visit
from tests.scenarios.day_site import DaySite, Parked, behind_one_fuse
from tests.site.virtual_site import START, Car, VirtualSite, topology

ONE, TWO = EvseId("CP-1", 1), EvseId("CP-2", 1)
CHEAPEST = {ONE: Wish(ChargingMode.CHEAPEST)}
TABLE = PriceTable(0.32, [PriceWindow(frozenset(range(7)), time(2), time(5), 0.18)], UTC)
HOUR = 3600.0


def night(
    wishes: Mapping[EvseId, Wish] = CHEAPEST,
    *,
    fuse_a: float = 24.0,
    priced: bool = True,
    learning: Learning | None = None,
) -> VirtualSite:
    """Two stations behind a fuse at one o'clock; a kWh costs little from two to five."""

    def foresight() -> Foresight:
        sources = {Kind.ENERGY: Source(Told(Kind.ENERGY, "EUR/kWh", table=TABLE))} if priced else {}
        return Foresight(sources, wishes, learning=learning or Learning())

    site = VirtualSite(topology(fuse_a, 2), foresight=foresight)
    site.now = Instant(START.monotonic_s, datetime(2026, 3, 3, 1, 0, tzinfo=UTC))
    site.connect()
    site.run(15)
    return site


def wants(site: VirtualSite, station: str, energy_wh: float, hour: int) -> None:
    site.tell(station, words.NeedsKnown(1, energy_wh, site.now.utc.replace(hour=hour, minute=0)))


def reserve(
    site: VirtualSite, station: str = "CP-2", hours: float = 2.0, evse: int = 1, key: str = "reservation 7"
) -> None:
    site.tell(station, SessionExpected(evse, key, Foretold.RESERVED, hours * HOUR, "TAG"))


def shown(site: VirtualSite, evse: EvseId = TWO) -> EvseView:
    return next(view for view in snapshot(site.controller, site.now).evses if view.id == str(evse))


def dear_hour(fuse_a: float = 24.0) -> DaySite:
    """The same in coarse steps, with registers: at one o'clock a car waits at CP-1, which leaves at four."""
    sources = {Kind.ENERGY: Source(Told(Kind.ENERGY, "EUR/kWh", table=TABLE))}
    begin = Instant(1000.0, datetime(2026, 3, 3, 1, 0, tzinfo=UTC))
    return DaySite(behind_one_fuse(fuse_a, 2), Foresight(sources, CHEAPEST), begin)


def needs(site: DaySite, station: str, energy_wh: float, hour: int) -> Parked:
    car = site.plug(station, energy_wh)
    site.needs(station, energy_wh, datetime(2026, 3, 3, hour, tzinfo=UTC))
    return car


def served_at_four(*, is_reserved: bool) -> tuple[float, float, float]:
    """What a car has by two and by its departure at four, and what another one has by then that comes at two: kWh."""
    site = dear_hour()
    waiting = needs(site, "CP-1", 21_000.0, 4)
    if is_reserved:
        site.tell("CP-2", SessionExpected(1, "reservation 7", Foretold.RESERVED, 2 * HOUR, "TAG"))
    site.run(HOUR)
    early_wh = waiting.got_wh
    site.tell("CP-2", ExpectationOver(1, "reservation 7"))
    newcomer = needs(site, "CP-2", 15_000.0, 4)
    site.run(2 * HOUR)
    assert site.worst_a <= 23.0
    return early_wh / 1000, waiting.got_wh / 1000, newcomer.got_wh / 1000


@pytest.mark.requirement("LC-140")
def test_a_car_that_waits_for_cheap_hours_charges_before_the_one_comes_that_has_reserved() -> None:
    """Without a word of it both share the cheap hours, which are too short for what they want."""
    early_kwh, waiting_kwh, newcomer_kwh = served_at_four(is_reserved=True)
    assert 4.0 < early_kwh < 12.0
    assert waiting_kwh >= 21.0
    assert newcomer_kwh >= 15.0
    early_kwh, waiting_kwh, newcomer_kwh = served_at_four(is_reserved=False)
    assert early_kwh < 0.1
    assert waiting_kwh + newcomer_kwh < 32.5


@pytest.mark.requirement("LC-140")
@pytest.mark.parametrize("is_cancelled", [True, False])
def test_who_does_not_come_lets_the_other_wait_again(is_cancelled: bool) -> None:
    """The cheap hours are just long enough for one of them."""
    site = dear_hour()
    waiting = needs(site, "CP-1", 34_000.0, 5)
    site.tell("CP-2", SessionExpected(1, "reservation 7", Foretold.RESERVED, 0.8 * HOUR, "TAG"))
    site.run(0.3 * HOUR)
    if is_cancelled:
        site.tell("CP-2", ExpectationOver(1, "reservation 7"))
    else:
        site.run(0.5 * HOUR)
    assert waiting.got_wh > 2000.0
    site.run(60)
    before_wh = waiting.got_wh
    site.run(0.15 * HOUR)
    assert waiting.got_wh == before_wh
    site.run((datetime(2026, 3, 3, 5, tzinfo=UTC) - site.now.utc).total_seconds())
    assert waiting.is_full


@pytest.mark.requirement("LC-078", "LC-140")
def test_where_no_price_counts_all_is_as_without_it_to_the_ampere() -> None:
    """The cars that are here have all that there is, whoever is to come."""
    orders = []
    for is_told in (False, True):
        site = night({}, priced=False)
        site.plug("CP-1")
        wants(site, "CP-1", 21_000.0, 4)
        if is_told:
            reserve(site)
            site.tell("CP-2", SessionExpected(0, "start 3", Foretold.REMOTE_START, 600.0, "TAG"))
        site.run(360)
        orders.append(site.orders)
        assert len(site.controller.question().awaited) == is_told, "the plan is told of one car: there is one place"
    assert orders[0] == orders[1]


@pytest.mark.requirement("LC-078", "LC-140")
def test_a_car_that_does_not_wait_keeps_what_it_has_whoever_is_to_come() -> None:
    """And no room is kept, either: each limit is as without it."""
    orders = []
    for is_told in (False, True):
        site = night({ONE: Wish(ChargingMode.CHEAPEST, time(6))})
        site.plug("CP-2", Car(max_a=16.0))
        site.run(60)
        if is_told:
            site.tell("CP-1", SessionExpected(1, "start 3", Foretold.REMOTE_START, 600.0, "TAG"))
        site.run(360)
        orders.append(site.orders)
    assert orders[0] == orders[1]


@pytest.mark.requirement("LC-078", "LC-140")
def test_people_see_who_is_to_come_and_where() -> None:
    site = night()
    site.controller.foresight.zone = ZoneInfo("Europe/Berlin")
    reserve(site)
    assert (shown(site).awaited, shown(site).charging) == ("reserved until 04:00", "no session")
    assert shown(site).reasons == ("reserved until 04:00",)
    reserve(site, hours=30.0)
    assert shown(site).awaited == "reserved until 2026-03-04 08:00"
    site.tell("CP-1", SessionExpected(0, "start 3", Foretold.REMOTE_START, 600.0, "TAG"))
    assert shown(site, ONE).awaited == "awaits a car after a remote start"
    site.plug("CP-1")
    assert shown(site, ONE).awaited == "", "its only place is taken"


@pytest.mark.requirement("LC-078", "LC-140")
def test_a_station_that_was_away_comes_back_with_what_is_still_to_come_and_with_nothing_else() -> None:
    site = night()
    reserve(site, hours=0.1)
    site.disconnect("CP-2")
    assert shown(site).awaited == ""
    site.run(120)
    site.connect("CP-2")
    assert shown(site).awaited.startswith("reserved")
    site.disconnect("CP-2")
    site.run(250)
    site.connect("CP-2")
    assert shown(site).awaited == ""


@pytest.mark.requirement("LC-140")
def test_a_restart_of_the_gateway_forgets_it() -> None:
    site = night()
    reserve(site)
    site.restart()
    assert shown(site).awaited == ""


def test_each_place_has_one_and_those_without_a_place_of_their_own_have_what_is_left() -> None:
    site = VirtualSite(topology(40.0, 1, evses=3))
    site.connect()
    reserve(site, "CP-1", evse=0, key="any")
    reserve(site, "CP-1", evse=1, key="first")
    reserve(site, "CP-1", evse=9, key="no such EVSE")
    reserve(site, "CP-9", key="no such station")
    states = site.controller.evses.values()
    assert {str(id_): one.evse for id_, one in site.controller.foresight.awaited.at(states, site.now).items()} == {
        "CP-1/1": 1,
        "CP-1/2": 0,
    }


def test_a_reservation_for_tomorrow_night_is_no_matter_of_this_plan() -> None:
    site = night()
    site.plug("CP-1")
    reserve(site, hours=30.0)
    site.run(10)
    assert site.controller.question().awaited == ()


def test_one_who_takes_what_others_leave_needs_no_plan() -> None:
    site = night({TWO: Wish(ChargingMode.SURPLUS)})
    site.plug("CP-1")
    reserve(site)
    site.run(10)
    assert site.controller.question().awaited == ()


@pytest.mark.requirement("LC-068")
def test_what_visits_with_its_card_did_is_expected_of_it_and_the_card_is_not_kept() -> None:
    """Thirty visits of an hour with 5 kWh each."""
    learning = Learning(UTC, 400, lambda token: f"digest of {token}")
    learning.recall(Visit("CP-1/1", "digest of TAG", 1, 2.0, HOUR, 5_000.0) for _ in range(30))
    site = night(learning=learning)
    site.plug("CP-1")
    reserve(site)
    site.run(10)
    (one,) = site.controller.question().awaited
    kept_free = 6.0 / 32.0
    assert one.expected_wh == pytest.approx((1 - kept_free) * 5_000.0)
    assert one.cap_a == pytest.approx(26.0)
    assert one.arrival_s is not None
    assert one.arrival_s == pytest.approx(HOUR, abs=60.0)
    assert one.presence is not None
    assert (one.presence[0], one.presence[-1]) == (1.0, pytest.approx(0.07, abs=0.03))
    assert "TAG" not in repr(site.controller.foresight.awaited.__dict__)


# --- what cars say they will draw ----------------------------------------------------------------------------------


def rests(site: VirtualSite | DaySite, station: str, *steps: tuple[float, float | None]) -> None:
    """A car tells its schedule: from so many hours from now on, A per phase."""
    told = tuple((site.now.utc + timedelta(hours=hours), a) for hours, a in steps)
    site.tell(station, words.CarPlans(1, Schedule(told)))


def early_kwh(*, says_so: bool) -> float:
    """What a car buys before the cheap hours, beside one that wants much and may rest in them."""
    site = dear_hour()
    needs(site, "CP-2", 33_000.0, 5)
    site.tell("CP-2", CsmsLimitChanged(1, Schedule(((site.now.utc, 12.0),))))
    site.run(60)
    if says_so:
        rests(site, "CP-2", (0.0, 12.0), (0.97, 0.0), (4.0, None))
    waiting = needs(site, "CP-1", 25_000.0, 5)
    site.run(0.9 * HOUR)
    return waiting.got_wh / 1000


@pytest.mark.requirement("LC-148")
def test_a_car_that_says_it_rests_in_the_cheap_hours_leaves_them_to_the_one_that_waits() -> None:
    assert early_kwh(says_so=False) > 1.0
    assert early_kwh(says_so=True) < 0.1


@pytest.mark.requirement("LC-148")
def test_what_a_car_says_it_draws_bounds_no_limit_of_this_moment_and_counts_at_no_fuse() -> None:
    orders = []
    for is_told in (False, True):
        site = night({}, priced=False)
        site.plug("CP-1")
        site.run(60)
        if is_told:
            rests(site, "CP-1", (0.0, 0.0))
        site.run(360)
        orders.append(site.orders)
        if is_told:
            assert site.controller.question().asking[0].draws
    assert orders[0] == orders[1]
    assert site.controller.evses[ONE].exposure_a(site.now) > 16.0


@pytest.mark.requirement("LC-148")
def test_a_schedule_that_may_only_repeat_what_the_car_was_offered_says_nothing() -> None:
    """It was made within our limits: what is as high as they were, or as the fallback that follows them, is not the car's wish."""
    site = night({}, priced=False)
    site.plug("CP-1")
    site.run(60)
    for offered_a in (6.0, 20.0, 32.0, 4.0):
        rests(site, "CP-1", (0.0, offered_a))
        assert site.controller.foresight.car_schedules.draws(site.controller.evses[ONE]) == ()
    rests(site, "CP-1", (0.0, 6.0), (1.0, 0.0))
    assert [a for _, a in site.controller.foresight.car_schedules.draws(site.controller.evses[ONE])] == [None, 0.0]


@pytest.mark.requirement("LC-148")
def test_a_car_that_was_told_to_wait_does_not_say_so_by_itself() -> None:
    """It has 0 A because of the price, and its schedule repeats that."""
    site = night()
    site.plug("CP-1")
    wants(site, "CP-1", 8_000.0, 5)
    site.run(120)
    assert site.controller.evses[ONE].ordered_a == 0.0
    rests(site, "CP-1", (0.0, 0.0))
    assert site.controller.foresight.car_schedules.draws(site.controller.evses[ONE]) == ()


@pytest.mark.requirement("LC-148")
def test_neither_does_one_whose_csms_allows_nothing() -> None:
    site = night({}, priced=False)
    site.plug("CP-1")
    site.run(60)
    later = site.now.utc + timedelta(hours=1)
    site.tell("CP-1", CsmsLimitChanged(1, Schedule(((later, 0.0),))))
    rests(site, "CP-1", (0.5, 0.0), (1.0, 0.0))
    assert site.controller.foresight.car_schedules.draws(site.controller.evses[ONE]) == ()
    rests(site, "CP-1", (0.5, 0.0), (0.9, None))
    assert len(site.controller.foresight.car_schedules.draws(site.controller.evses[ONE])) == 2


@pytest.mark.requirement("LC-148")
def test_it_ends_with_its_session() -> None:
    site = night({}, priced=False)
    site.plug("CP-1")
    site.run(60)
    rests(site, "CP-1", (0.0, 0.0))
    site.unplug("CP-1")
    site.plug("CP-1")
    assert site.controller.foresight.car_schedules.draws(site.controller.evses[ONE]) == ()
    site.unplug("CP-1")
    rests(site, "CP-1", (0.0, 0.0))
    assert site.controller.foresight.car_schedules.draws(site.controller.evses[ONE]) == ()
