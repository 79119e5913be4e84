"""Does a car behave as IEC 61851-1 and its battery say?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from site_simulator.vehicle import DelayLine, Vehicle, VehicleSpec


def charge(vehicle: Vehicle, offered_a: float, seconds: float, phases: int = 3, since_s: float = 0.0) -> None:
    for step in range(round(seconds * 5)):
        vehicle.advance(offered_a, phases, since_s + step * 0.2, 0.2)


def test_a_car_reacts_late_and_ramps() -> None:
    car = Vehicle(VehicleSpec(max_a=16, reaction_s=2, ramp_a_per_s=4))
    charge(car, 16, 2)
    assert car.current_a == 0
    charge(car, 16, 1, since_s=2)
    assert 0 < car.current_a < 16
    charge(car, 16, 5, since_s=3)
    assert car.current_a == 16


def test_a_car_pauses_below_six_amperes_and_resumes() -> None:
    car = Vehicle(VehicleSpec(max_a=16))
    charge(car, 10, 10)
    charge(car, 5.9, 10, since_s=10)
    assert car.current_a == 0
    charge(car, 6.0, 10, since_s=20)
    assert car.current_a == 6


def test_a_full_car_draws_nothing() -> None:
    car = Vehicle(VehicleSpec(max_a=16, need_wh=20))
    charge(car, 16, 60)
    assert car.is_full
    assert car.current_a == 0
    assert car.charged_wh < 30


def test_a_car_tapers_towards_the_end() -> None:
    car = Vehicle(VehicleSpec(max_a=16, need_wh=100, taper_wh=90))
    charge(car, 16, 20)
    assert 6 < car.current_a < 16


def test_energy_is_current_times_voltage_times_the_phases_in_use() -> None:
    one, three = Vehicle(VehicleSpec(phases=1)), Vehicle(VehicleSpec(phases=3))
    charge(one, 16, 60)
    charge(three, 16, 60)
    assert three.charged_wh == pytest.approx(3 * one.charged_wh)
    on_one_phase = Vehicle(VehicleSpec(phases=3))
    charge(on_one_phase, 16, 60, phases=1)
    assert on_one_phase.charged_wh == pytest.approx(one.charged_wh)


@given(st.lists(st.floats(0, 80), max_size=30), st.floats(6, 32), st.sampled_from([1, 2, 3]))
def test_a_car_never_draws_more_than_it_can_or_was_offered_lately(
    offers: list[float], max_a: float, phases: int
) -> None:
    car = Vehicle(VehicleSpec(phases=phases, max_a=max_a, reaction_s=0, ramp_a_per_s=1e9))
    for step, offered_a in enumerate(offers):
        car.advance(offered_a, 3, float(step), 1.0)
        assert 0 <= car.current_a <= min(max_a, offered_a)


def test_a_delayed_value_keeps_the_order_of_changes() -> None:
    line = DelayLine(0.0)
    line.set(16.0, due_s=8)
    line.set(6.0, due_s=9)
    assert [line.at(7.9), line.at(8.0), line.at(9.0)] == [0.0, 16.0, 6.0]
