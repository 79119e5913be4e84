"""Does the benchmark bill what its contract says, and does nobody earn more than perfect foresight?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from backtest.engine import run
from backtest.network import Network, Wiring
from backtest.sessions import DAY_STEPS, HOUR_STEPS, Session, weekdays
from benchmarks.optimizer.contract import POWERS_W, Bill, Contract, Unhinted
from benchmarks.optimizer.optimum import best_profit, optimum
from benchmarks.optimizer.profit import Case
from benchmarks.optimizer.sites import caltech
from optimizer.acn import Sale, make
from optimizer.problem import Horizon, Tariff

SATURDAY = 5


def pair() -> Network:
    wiring = Wiring({"A": (0, 1), "B": (0, 1)})
    wiring.breaker("breaker", ("A", "B"), 80.0)
    return wiring.network()


@pytest.mark.parametrize(
    ("hour", "price"),
    [(0, 0.05623), (7.9, 0.05623), (8, 0.0925), (12, 0.26668), (17.9, 0.26668), (18, 0.0925), (23, 0.05623)],
)
def test_prices_change_with_the_hour_on_days_of_work_only(hour: float, price: float) -> None:
    step = round(hour * HOUR_STEPS)
    assert Contract(first_weekday=0).price(step) == price
    assert Contract(first_weekday=SATURDAY).price(step) == 0.05623
    assert Contract(first_weekday=SATURDAY).price(step + 2 * DAY_STEPS) == price


def test_a_bill_has_energy_by_the_hour_and_the_highest_power_of_all_steps() -> None:
    noon = 12 * HOUR_STEPS
    bill = Contract(peak_per_kw=10.0).bill({0: 0.5, noon: 1.0})
    assert bill.energy == pytest.approx(0.5 * 0.05623 + 0.26668)
    assert bill.demand == pytest.approx(120.0)
    assert bill.profit == pytest.approx(0.45 - bill.energy - 120.0)
    assert Contract().bill({}) == Bill(0.0, 0.0, 0.0)


def test_a_tariff_has_the_price_at_the_start_of_each_block() -> None:
    horizon = Horizon((0.0, 300.0, 3600.0, 7200.0))
    tariff = Contract(peak_per_kw=9.0).tariff(11 * HOUR_STEPS, horizon, 5_000.0, peak_per_kw=9.0)
    expected = Tariff((0.0925, 0.0925, 0.26668), peak_per_kw=9.0, peak_w=5_000.0, currency="USD")
    assert tariff == expected


def test_foresight_pays_for_the_peak_that_is_worth_it() -> None:
    """An hour before noon and one after: 5 kWh in one hour save 0.17 a kWh and cost 2.5 kW of peak more."""
    session = Session("one", 0, 11 * HOUR_STEPS, 13 * HOUR_STEPS, energy_kwh=5.0)
    cheap, dear = (best_profit(pair(), [session], Contract(peak_per_kw=per_kw)) for per_kw in (0.1, 0.22))
    assert (cheap.peak_kw, dear.peak_kw) == (pytest.approx(5.0), pytest.approx(2.5))
    assert cheap.profit == pytest.approx(5 * (0.30 - 0.0925) - 0.5)
    assert dear.profit == pytest.approx(2.5 * (0.60 - 0.0925 - 0.26668) - 0.55)
    assert cheap.delivered_kwh == pytest.approx(5.0)
    assert optimum(pair(), [session]).delivered_kwh == pytest.approx(5.0)


def test_what_was_drawn_is_what_the_cars_got_step_by_step() -> None:
    network = caltech(150.0)
    result = run(network, weekdays(network, 1, seed=3)[:12], make(network))
    assert sum(result.drawn_kwh.values()) == pytest.approx(result.delivered_kwh)


def test_with_and_without_a_hint_a_day_earns_less_than_with_foresight_and_more_than_a_rule() -> None:
    network = caltech(150.0)
    hinted, alone = Case("a day", 150.0, network, weekdays(network, 1, seed=3)[:20], days=1).lines()
    assert (hinted["figure"], alone["figure"]) == ("G6_hint_150kW", "G6_alone_150kW")
    for one in (hinted, alone):
        assert isinstance(one["value"], float)
        assert isinstance(one["optimum"], float)
        assert isinstance(one["least_laxity"], float)
        assert one["least_laxity"] < one["value"] <= one["optimum"]
        assert one["violation_a"] == 0


def planned_with_w(days: int) -> list[float]:
    """The peak that each plan of the first two days of a period is made with; one car a day, from eight to four."""
    network = pair()
    prices, used = Unhinted(Contract(), network, days), []

    def noted(seen: Mapping[str, Any], horizon: Horizon, peak_w: float) -> Tariff:
        tariff = prices(seen, horizon, peak_w)
        used.append(tariff.peak_w)
        return tariff

    sessions = [Session(f"s{day}", 0, day * DAY_STEPS + 96, day * DAY_STEPS + 192, 20.0) for day in range(2)]
    run(network, sessions, make(network, "cost", sale=Sale(noted, 0.30)))
    return used


def test_who_has_no_hint_pays_for_a_peak_where_enough_days_are_left() -> None:
    long, weekend = planned_with_w(42), planned_with_w(2)
    assert long[0] == POWERS_W[1]
    assert weekend[0] == 0.0
    assert long == sorted(long)
