"""The shell around the site's core: order of effects, its one timer, and what becomes of faults."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest
import pytest_asyncio

from local_controller.adapters import site_driver
from local_controller.adapters.site_driver import KEPT_NOTICES, PAUSE_S, SLICE_S, SiteDriver
from local_controller.site import questions
from local_controller.site.control_settings import ControlSettings
from local_controller.site.controller import SiteController
from local_controller.site.effects import ApplyFallback, ApplyLimit, Solve
from local_controller.site.limit_book import LimitBook
from local_controller.site.limit_message import ReceivedLimit
from local_controller.site.limit_source import LimitSource, SourceState
from local_controller.site.limits import AppliesTo, Limit
from local_controller.site.observing import Observation
from local_controller.site.planning import Question
from local_controller.site.readings import MeterReading
from local_controller.site.snapshot import snapshot
from local_controller.station import words
from local_controller.station.words import EvseId, LimitAnswered, LimitKind, LimitOutcome
from optimizer.problem import Allocation
from optimizer.share import share
from tests.patient_time import loop_clock
from tests.site.virtual_site import topology


class Worker:
    """Answers like the planner, at once or never."""

    def __init__(self) -> None:
        self.questions: list[Question] = []
        self.is_asleep = False

    async def solve(self, question: Question) -> Allocation:
        self.questions.append(question)
        if self.is_asleep:
            await asyncio.Event().wait()
        return share(question.problem())


class ObedientStations:
    """Every limit is sent and accepted within the call that orders it, the worst case for the order of effects."""

    def __init__(self, driver: SiteDriver) -> None:
        self.driver = driver
        self.applied: list[ApplyFallback | ApplyLimit] = []
        self.then: Callable[[], None] = lambda: None

    def apply(self, effect: ApplyFallback | ApplyLimit) -> None:
        self.applied.append(effect)
        kind = LimitKind.FALLBACK if isinstance(effect, ApplyFallback) else LimitKind.WORKING
        for outcome in (LimitOutcome.SENT, LimitOutcome.ACCEPTED):
            answer = LimitAnswered(effect.evse.evse, kind, outcome, effect.limit_a)
            self.driver.station_changed(effect.evse.station, answer)
        self.then()


def site() -> SiteController:
    topo = topology(40.0, 3)
    fixed = tuple(Limit(n.id, n.limit_a, AppliesTo.TOTAL, "fuse") for n in topo.nodes)
    source = LimitSource("ems", "EMS", "grid", AppliesTo.TOTAL, (20.0, 20.0, 20.0))
    return SiteController(topo, LimitBook(fixed, {"ems": SourceState(source)}), ControlSettings(), {"m": 1.0})


@pytest_asyncio.fixture
async def driver() -> AsyncIterator[SiteDriver]:
    driver = SiteDriver(site(), Worker(), loop_clock())
    yield driver
    await driver.stop()


def with_a_car(driver: SiteDriver) -> ObedientStations:
    stations = ObedientStations(driver)
    driver.start(stations)
    driver.meter_read(MeterReading("m", driver._clock.now(), (0.0, 0.0, 0.0)))
    for id_ in ("CP-1", "CP-2", "CP-3"):
        driver.station_changed(id_, words.Connected(words.OcppVersion.V201))
        driver.station_changed(id_, words.TransactionStarted(1, f"tx-{id_}"))
    return stations


async def test_answers_within_the_order_do_not_overtake_the_orders_behind_it(driver: SiteDriver) -> None:
    stations = with_a_car(driver)
    await asyncio.sleep(0)
    depth = []
    stations.then = lambda: depth.append(len(driver._first) + len(driver._then))
    driver.limit_received("ems", ReceivedLimit((9.0, 9.0, 9.0), None, driver._clock.now().after(60.0)))
    await asyncio.sleep(0)
    orders = [e.limit_a for e in stations.applied if isinstance(e, ApplyLimit)]
    assert sum(orders[-3:]) <= 9.0
    assert not driver._first
    assert len(depth) >= 2


async def test_the_first_plan_is_asked_for_with_the_first_session_and_taken_when_it_comes(driver: SiteDriver) -> None:
    with_a_car(driver)
    assert driver.site.plan.allocation is None
    await asyncio.sleep(2 * PAUSE_S)
    assert driver.site.plan.allocation is not None
    assert not driver._plans


async def test_an_answer_that_never_comes_ends_with_the_driver(driver: SiteDriver) -> None:
    driver._planner.is_asleep = True
    with_a_car(driver)
    await asyncio.sleep(2 * PAUSE_S)
    (task,) = driver._plans
    await driver.stop()
    assert task.cancelled()


async def test_a_fault_of_ours_is_told_and_stops_neither_the_clock_nor_who_brought_the_input(
    driver: SiteDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_a_car(driver)
    await asyncio.sleep(2 * PAUSE_S)  # the first plan is answered
    ticks: list[object] = []
    ticked = asyncio.Event()

    def broken(now: object) -> list[object]:
        ticks.append(now)
        if len(ticks) == 3:
            ticked.set()
        driver.site.deadline = driver._clock.now().monotonic_s + 0.01
        raise RuntimeError("our fault")

    driver.notices.clear()
    monkeypatch.setattr(driver.site, "expire", broken)
    driver._do(driver.site.expire)
    async with asyncio.timeout(10):
        await ticked.wait()
    assert {notice.code for _, notice in driver.notices} == {"site_fault"}


async def test_only_the_latest_notices_are_kept(driver: SiteDriver) -> None:
    driver.start(ObedientStations(driver))
    for n in range(KEPT_NOTICES + 50):
        driver.meter_failed("m", f"trouble {n}")
    assert len(driver.notices) == KEPT_NOTICES
    assert driver.notices[-1][1].text.endswith(f"trouble {KEPT_NOTICES + 49}")


async def test_a_fault_in_one_fact_costs_that_fact_only(driver: SiteDriver) -> None:
    with_a_car(driver)
    broken = LimitAnswered(1, LimitKind.WORKING, LimitOutcome.ACCEPTED, None)  # type: ignore[arg-type]  # our fault
    driver.station_changed("CP-1", words.TransactionEnded(1, "tx-CP-1"))
    driver.station_changed("CP-2", broken)
    driver.station_changed("CP-3", words.Disconnected("link lost"))
    await asyncio.sleep(0)
    assert [n.code for _, n in driver.notices if n.level != "info"] == ["site_fault", "station_lost"]
    assert [evse.session is not None for evse in driver.site.evses.values()] == [False, True, True]
    assert not driver.site.evses[EvseId("CP-3", 1)].connected


# --- many orders -----------------------------------------------------------------------------------------------------


class SlowStations:
    """Each order takes as long as the site may keep the event loop; `then` is called when the first was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, float]] = []
        self.then: Callable[[], None] = lambda: None

    def apply(self, effect: ApplyFallback | ApplyLimit) -> None:
        self.told.append((effect.evse.station, effect.limit_a))
        end_s = time.perf_counter() + SLICE_S
        while time.perf_counter() < end_s:
            pass
        then, self.then = self.then, lambda: None
        then()


def ordered(driver: SiteDriver, station: str, limit_a: float, *, urgent: bool) -> ApplyLimit:
    """What a reaction decides about one EVSE, and the effect that it returns."""
    state = driver.site.evses[EvseId(station, 1)]
    state.ordered(limit_a, driver._clock.now())
    return ApplyLimit(state.evse.id, limit_a, 90.0, urgent)


@pytest_asyncio.fixture
async def slow(driver: SiteDriver) -> SlowStations:
    stations = SlowStations()
    with_a_car(driver)
    await asyncio.sleep(2 * PAUSE_S)
    driver._first.clear()
    driver._then.clear()
    driver._stations = stations
    return stations


def carry_out(driver: SiteDriver, *effects: ApplyLimit) -> None:
    driver._do(lambda _: list(effects))


async def test_others_have_their_turn_between_many_orders(driver: SiteDriver, slow: SlowStations) -> None:
    turns: list[int] = []
    names = ("CP-1", "CP-2", "CP-3")
    carry_out(driver, *(ordered(driver, name, 10.0, urgent=True) for name in names))
    while driver._is_busy:
        turns.append(len(slow.told))
        await asyncio.sleep(0)
    assert [name for name, _ in slow.told] == list(names)
    assert turns == [1, 2]


async def test_others_have_their_turn_between_stations_that_are_caught_up_with(
    driver: SiteDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site_driver, "CATCH_UP_S", math.inf)
    with_a_car(driver)
    await asyncio.sleep(2 * PAUSE_S)
    sample = words.Measured(1, words.MeterSample({words.Phase.L1: 6.0}, energy_wh=1000.0))
    for _ in range(2):  # what shows the same again waits
        for state in driver.site.evses.values():
            driver.station_changed(state.evse.id.station, sample)
    waiting = driver.site._facts._waiting
    driver._catch_up()  # as its timer does
    left = [len(waiting)]
    while waiting:
        await asyncio.sleep(0)
        left.append(len(waiting))
    assert left == [2, 1, 0]


async def test_a_decrease_goes_before_the_increases_that_wait_and_replaces_that_of_its_own_evse(
    driver: SiteDriver, slow: SlowStations
) -> None:
    slow.then = lambda: carry_out(driver, ordered(driver, "CP-3", 0.0, urgent=True))
    carry_out(driver, *(ordered(driver, name, 16.0, urgent=False) for name in ("CP-1", "CP-2", "CP-3")))
    for _ in range(5):
        await asyncio.sleep(0)
    assert slow.told == [("CP-1", 16.0), ("CP-3", 0.0), ("CP-2", 16.0)]


async def test_an_order_that_waits_dies_with_its_session(driver: SiteDriver, slow: SlowStations) -> None:
    def another_car() -> None:
        driver.station_changed("CP-2", words.TransactionEnded(1, "tx-CP-2"))
        driver.station_changed("CP-2", words.TransactionStarted(1, "tx-next"))

    slow.then = another_car
    carry_out(driver, *(ordered(driver, name, 16.0, urgent=False) for name in ("CP-1", "CP-2", "CP-3")))
    for _ in range(5):
        await asyncio.sleep(0)
    assert [told for told in slow.told if told[1] == 16.0] == [("CP-1", 16.0), ("CP-3", 16.0)]


async def test_an_order_that_waits_goes_out_although_the_one_before_it_has_failed(
    driver: SiteDriver, slow: SlowStations
) -> None:
    failed = LimitAnswered(1, LimitKind.WORKING, LimitOutcome.TIMED_OUT, 10.0)
    slow.then = lambda: driver.station_changed("CP-2", failed)
    carry_out(driver, *(ordered(driver, name, 0.0, urgent=True) for name in ("CP-1", "CP-2")))
    for _ in range(5):
        await asyncio.sleep(0)
    assert slow.told[:2] == [("CP-1", 0.0), ("CP-2", 0.0)]


async def test_a_question_is_put_in_turns_and_leaves_out_whose_session_ends_meanwhile(
    driver: SiteDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "ASKING_PER_STEP", 1)
    monkeypatch.setattr(site_driver, "TURN_S", 0.0)
    worker = driver._planner
    assert isinstance(worker, Worker)
    with_a_car(driver)
    await asyncio.sleep(2 * PAUSE_S)
    at_once = driver.site.question()
    assert worker.questions == [at_once]
    asked, turns = asyncio.create_task(driver._solve(Solve(1))), 0
    while len(worker.questions) == 1:
        turns += 1
        await asyncio.sleep(0)
        if turns == 2:
            driver.station_changed("CP-3", words.TransactionEnded(1, "tx-CP-3"))
    await asked
    assert turns >= len(at_once.asking) == 3
    assert worker.questions[1] == replace(at_once, asking=at_once.asking[:2])
    assert driver.site.plan.first_blocks_a(["CP-3/1"]) == [math.inf]
    assert driver.site.plan.first_blocks_a(["CP-1/1"])[0] < math.inf


async def test_the_picture_is_the_same_in_slices(driver: SiteDriver) -> None:
    with_a_car(driver)
    await asyncio.sleep(2 * PAUSE_S)
    in_slices, at_once = await driver.picture(), snapshot(driver.site, driver._clock.now())
    assert in_slices.evses[0].reasons
    assert [evse.reasons for evse in in_slices.evses] == [evse.reasons for evse in at_once.evses]
    assert [node.allowed_to_cars_a for node in in_slices.nodes] == [node.allowed_to_cars_a for node in at_once.nodes]


async def test_a_meter_whose_counter_goes_back_is_told_of_and_its_reading_counts(driver: SiteDriver) -> None:
    with_a_car(driver)
    for counter_wh in (5000.0, 4000.0):
        driver.meter_read(MeterReading("m", driver._clock.now(), (7.0, 0.0, 0.0), energy_import_wh=counter_wh))
    assert "meter_counter_went_back" in [notice.code for _, notice in driver.notices]
    reading = driver.site.meters["m"].reading
    assert reading is not None
    assert reading.energy_import_wh == 4000.0


@pytest_asyncio.fixture
async def onlooker() -> AsyncIterator[SiteDriver]:
    core, clock = site(), loop_clock()
    driver = SiteDriver(core, Worker(), clock, Observation(core.topology, core.book, clock.now()))
    yield driver
    await driver.stop()


async def test_who_observes_tells_no_station_anything_and_shows_both_worlds(onlooker: SiteDriver) -> None:
    stations, (first, *_) = with_a_car(onlooker), onlooker.site.evses
    sample = words.MeterSample(dict.fromkeys(words.Phase, 32.0))
    onlooker.station_changed("CP-1", words.Measured(1, sample))
    for second in range(120):
        onlooker.meter_read(MeterReading("m", onlooker._clock.now().after(second), (64.0, 64.0, 64.0)))
    await asyncio.sleep(0.05)
    assert stations.applied == []
    assert onlooker.site.evses[first].confirmed
    assert onlooker.site.evses[first].drawn_a(onlooker._clock.now()) == 6.0
    picture = await onlooker.picture()
    assert picture.observed_since is not None
    assert picture.evses[0].measured_a == (32.0, 32.0, 32.0)
    assert picture.nodes[0].measured_a == (64.0, 64.0, 64.0)
    assert any("nobody lowers the cars in observe mode" in notice.text for _, notice in onlooker.notices)


async def test_a_fault_of_the_onlooker_costs_that_input_and_not_its_meter_or_station(
    onlooker: SiteDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_a_car(onlooker)

    def fails(*_: object) -> None:
        raise ArithmeticError("our mistake")

    monkeypatch.setattr(Observation, "read", fails)
    monkeypatch.setattr(Observation, "told", fails)
    onlooker.meter_read(MeterReading("m", onlooker._clock.now(), (1.0, 1.0, 1.0)))
    onlooker.station_changed("CP-1", words.Disconnected("gone"))
    assert [notice.code for _, notice in onlooker.notices][-2:] == ["site_fault", "site_fault"]
