"""Are the worked explanations those of the cars and the moments that they name?"""

from __future__ import annotations

from backtest.network import Network, Wiring
from backtest.sessions import Session
from benchmarks.optimizer.explained import crowded, priced


def pod(limit_a: float) -> Network:
    """Three EVSEs between the same two lines behind one breaker."""
    wiring = Wiring(dict.fromkeys("ABC", (0, 1)))
    wiring.breaker("pod", tuple("ABC"), limit_a)
    return wiring.network()


def test_a_reason_names_the_evse_and_the_breaker_as_people_do() -> None:
    sessions = [Session(name, number, 3, 15, energy_kwh=4.0 + number) for number, name in enumerate("abc")]
    moment = crowded(pod(10.0), sessions)["minimum_rate"]
    assert (moment.step, moment.cars, moment.leaves_in_h) == (3, 2, 1.0)
    assert str(moment).splitlines()[0].startswith(f"00:15 {moment.car}, ")
    assert moment.car in "ABC"
    assert moment.reasons[0].text.startswith("Paused: pod: 10.0 A available for charging")


def test_the_moment_is_the_one_at_which_most_cars_have_the_reason() -> None:
    first, *later = [Session(name, number, 2 * (number > 0), 15, energy_kwh=6.0) for number, name in enumerate("abc")]
    moment = crowded(pod(96.0), [first, *later])["vehicle_max"]
    assert (moment.step, moment.cars) == (2, 3)


def test_with_prices_a_car_waits_for_a_cheaper_hour() -> None:
    before_the_evening_ends = 17 * 12
    sessions = [Session("a", 0, before_the_evening_ends, 24 * 12, energy_kwh=2.0)]
    moment = priced(pod(96.0), sessions, weekday=2)["price"]
    assert moment.step == before_the_evening_ends
    assert "waits" in moment.reasons[0].text
