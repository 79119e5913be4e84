"""The messages of a meter that somebody publishes: which of them are a reading, and which are none?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_controller.errors import SourceError
from local_controller.site.meter_message import MeterMessages, Place, Quantity
from local_controller.site.readings import MeterReading
from tests.site.virtual_site import START

TOPIC = "shelly/status/em:0"
SHELLY = {
    Quantity.CURRENT: Place((TOPIC,), "[a_current, b_current, c_current]"),
    Quantity.POWER: Place((TOPIC,), "[a_act_power, b_act_power, c_act_power]"),
    Quantity.VOLTAGE: Place((TOPIC,), "[a_voltage, b_voltage, c_voltage]"),
}
SAID = {
    "a_current": 10.1, "b_current": 4.0, "c_current": 0.0,
    "a_act_power": 2300.0, "b_act_power": -910.0, "c_act_power": 0.0,
    "a_voltage": 230.1, "b_voltage": 229.9, "c_voltage": 231.0,
}  # fmt: skip
BARE = {Quantity.CURRENT: Place(("a", "b", "c"))}


def told(
    meter: MeterMessages, topic: str, payload: Any, at_s: float = 0.0, *, retained: bool = False
) -> MeterReading | None:
    text = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return meter.heard(topic, text, retained, START.after(at_s))


def shelly(changes: Mapping[str, Any] | None = None, **more: Any) -> MeterReading | None:
    return told(MeterMessages("main", SHELLY, **more), TOPIC, SAID | (changes or {}))


def test_magnitudes_get_the_direction_of_their_power() -> None:
    reading = shelly()
    assert reading is not None
    assert reading.current_a == (10.1, -4.0, 0.0)
    assert reading.phase_power_w == (2300.0, -910.0, 0.0)
    assert (reading.power_w, reading.voltage_v, reading.asked_at) == (1390.0, (230.1, 229.9, 231.0), START)


def test_a_meter_the_other_way_round_is_turned() -> None:
    reading = shelly(invert=True)
    assert reading is not None
    assert reading.current_a == (-10.1, 4.0, 0.0)
    assert reading.power_w == -1390.0


def test_without_powers_a_current_keeps_its_sign_and_factor() -> None:
    meter = MeterMessages("main", {Quantity.CURRENT: Place(("t",), None, 0.001)})
    reading = told(meter, "t", [1500, -2500, 0])
    assert reading is not None
    assert reading.current_a == (1.5, -2.5, 0.0)
    assert (reading.power_w, reading.voltage_v) == (None, None)


def test_three_topics_make_a_reading_as_old_as_the_oldest_of_them() -> None:
    meter = MeterMessages("main", BARE, every_s=2.0)
    assert told(meter, "a", 10.0, 0.0) is None
    assert told(meter, "b", 11.0, 0.5) is None
    reading = told(meter, "c", 12.0, 1.0)
    assert reading is not None
    assert (reading.current_a, reading.asked_at) == ((10.0, 11.0, 12.0), START)
    assert told(meter, "c", 12.5, 3.1) is None  # L1 has not been told for more than 1.5 intervals


def test_a_quantity_that_is_too_old_is_left_out_and_not_guessed() -> None:
    places = {Quantity.CURRENT: Place(("i",)), Quantity.POWER: Place(("p",))}
    meter = MeterMessages("main", places)
    told(meter, "p", [-1000, -1000, -1000])
    fresh, later = told(meter, "i", [5, 5, 5], 0.5), told(meter, "i", [5, 5, 5], 2.5)
    assert fresh is not None
    assert later is not None
    assert (fresh.current_a, later.current_a) == ((-5.0, -5.0, -5.0), (5.0, 5.0, 5.0))


@pytest.mark.parametrize("invert", [False, True])
def test_a_current_whose_direction_nobody_tells_just_now_counts_as_drawn(invert: bool) -> None:
    places = {Quantity.CURRENT: Place(("i",)), Quantity.POWER: Place(("p",))}
    reading = told(MeterMessages("main", places, invert=invert), "i", [5, -5, 0])
    assert reading is not None
    assert reading.current_a == (5.0, 5.0, 0.0)


def test_what_is_retained_has_no_age_and_is_no_reading() -> None:
    assert told(MeterMessages("main", SHELLY), TOPIC, SAID, retained=True) is None


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"a_current": None}, "current must be a number"),
        ({"a_current": "10.1"}, "current must be a number"),
        ({"a_current": True}, "current must be a number"),
        ({"a_current": 1e9}, "current must be a number"),
        ({"b_act_power": None}, "power must be a number"),
        ({"a_voltage": 23.0}, "voltage implausible: L1 has 23 V"),
        ({"a_act_power": 23000.0}, "apparent power implausible"),
    ],
)
def test_a_value_that_is_none_or_cannot_be_makes_no_reading(changes: Mapping[str, Any], why: str) -> None:
    with pytest.raises(SourceError, match=why):
        shelly(changes)


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"", "is no JSON"),
        (b"unavailable", "is no JSON"),
        (b"NaN", "is no JSON"),
        (b'{"room": "K\xfcche"}', "is no JSON"),
        (b"[" * 100_000, "bytes, more than"),
        (b"[1,2]", "current must be 3 numbers"),
        (b"[1,2,3,4]", "current must be 3 numbers"),
        (b"7", "current must be 3 numbers"),
        (b"{}", "current must be 3 numbers"),
    ],
)
def test_a_payload_that_is_none_is_told_in_words(payload: bytes, why: str) -> None:
    with pytest.raises(SourceError, match=why):
        told(MeterMessages("main", {Quantity.CURRENT: Place(("t",))}), "t", payload)


def test_one_of_three_topics_has_one_number() -> None:
    with pytest.raises(SourceError, match="current must be 1 number"):
        told(MeterMessages("main", BARE), "a", [1, 2, 3])


def test_a_reading_says_for_how_long_it_may_be_an_old_one() -> None:
    """Before it is found out nothing rises by it, as by any meter that may repeat old data."""
    meter, bare = MeterMessages("main", SHELLY), MeterMessages("main", {Quantity.CURRENT: Place(("t",))})
    unchanged_s = []
    for at_s, volts_v in ((0.0, 230.1), (1.0, 230.1), (5.0, 230.1), (6.0, 230.2), (8.0, 230.2)):
        reading = told(meter, TOPIC, SAID | {"a_voltage": volts_v}, at_s)
        assert reading is not None
        unchanged_s.append(reading.unchanged_s)
        alone = told(bare, "t", [5, 5, 5], at_s)
        assert alone is not None
        assert alone.unchanged_s == 0.0, "currents alone may well stand still"
    assert unchanged_s == [0.0, 1.0, 5.0, 0.0, 2.0]


def test_old_data_that_is_repeated_is_found_out_where_voltages_are_told() -> None:
    meter = MeterMessages("main", SHELLY)
    for second in range(30):
        assert told(meter, TOPIC, SAID, second) is not None
    with pytest.raises(SourceError, match="no value has changed for 30 s"):
        told(meter, TOPIC, SAID, 30)
    assert told(meter, TOPIC, SAID | {"a_voltage": 230.2}, 31) is not None
    quiet = MeterMessages("main", {Quantity.CURRENT: Place(("t",))})
    assert all(told(quiet, "t", [0, 0, 0], second) is not None for second in range(100))


numbers = st.one_of(st.floats(-100, 100), st.none(), st.booleans(), st.text(max_size=3), st.just(1e308))


@given(st.lists(st.tuples(st.sampled_from("abc"), numbers, st.floats(0, 3), st.booleans()), max_size=30))
def test_whatever_is_said_a_reading_has_three_fresh_numbers_that_were_said(
    messages: list[tuple[str, Any, float, bool]],
) -> None:
    meter, now_s = MeterMessages("main", BARE), 0.0
    latest: dict[str, tuple[float, float]] = {}
    for topic, value, pause_s, retained in messages:
        now_s += pause_s
        sound = isinstance(value, float) and abs(value) <= 1e7
        if sound and not retained:
            latest[topic] = value, now_s
        try:
            reading = told(meter, topic, value, now_s, retained=retained)
        except SourceError:
            assert not sound
            continue
        if reading is not None:
            assert reading.current_a == tuple(latest[name][0] for name in "abc")
            oldest_s = min(latest[name][1] for name in "abc")
            assert reading.asked_at == START.after(oldest_s)
            assert now_s - oldest_s <= 1.5 + 1e-9
