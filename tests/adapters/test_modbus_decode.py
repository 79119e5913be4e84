"""Is the data about meters sound, and do registers become the right values?"""

from __future__ import annotations

import math
import re
import struct
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_controller.adapters.modbus.decode import decode_reading, decode_value
from local_controller.adapters.modbus.device import known_devices, load_device, parse_device
from local_controller.clock import Instant
from local_controller.config.meter_devices import Device, Point
from local_controller.config.refused_meters import ONE_LINE, REFUSED
from local_controller.errors import SourceError
from local_controller.site.readings import Doubt, implausible

NOW = Instant(0.0, datetime(2026, 11, 22, tzinfo=UTC))
SDM630 = load_device("eastron_sdm630")
EM340 = load_device("carlo_gavazzi_em3x0_em5x0")
SDM630_TEXT = (
    resources.files("local_controller.adapters.modbus").joinpath("devices/eastron_sdm630.yaml").read_text("utf-8")
)


def f32(**values: float) -> dict[int, int]:
    """Registers of big-endian floats: f32(a0=230.0) fills registers 0 and 1."""
    return {
        int(name[1:]) + offset: word
        for name, value in values.items()
        for offset, word in enumerate(struct.unpack(">HH", struct.pack(">f", value)))
    }


def sdm630(**changes: float) -> dict[int, int]:
    """A plausible image of an SDM630: 10 A on each phase, L2 exports."""
    volts = {"a0": 230.0, "a2": 230.0, "a4": 230.0}
    amperes = {"a6": 10.0, "a8": 10.0, "a10": 10.0}
    watts = {"a12": 2300.0, "a14": -2300.0, "a16": 2300.0, "a52": 2300.0}
    return f32(**(volts | amperes | watts | {"a70": 50.0, "a72": 12.5} | changes))


def test_at_least_eight_meters_are_known_and_every_file_loads() -> None:
    devices = [load_device(name) for name in known_devices()]
    assert len(devices) >= 8
    assert all(device.sources for device in devices)  # where its addresses were read
    assert {"eastron_sdm630", "shelly_pro_3em", "siemens_pac"} <= {device.id for device in devices}


def test_the_known_meters_stand_in_the_documentation_with_all_their_models() -> None:
    text = (Path(__file__).parents[2] / "docs" / "inputs.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\| `(\w+)` \| (.+) \|$", text.split("### Known meters")[1].split("###")[0], re.MULTILINE)
    devices = [load_device(name) for name in known_devices()]
    assert documented[1:] == [(device.id, f"{device.vendor}: {', '.join(device.models)}") for device in devices]


def test_what_is_refused_as_a_meter_stands_in_the_documentation_with_its_reason() -> None:
    text = (Path(__file__).parents[2] / "docs" / "inputs.md").read_text(encoding="utf-8")
    section = text.split("### Devices that cannot guard a fuse")[1].split("###")[0]
    assert dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", section, re.MULTILINE)[1:]) == REFUSED
    assert not set(REFUSED) & set(known_devices())


def test_an_unknown_device_is_answered_with_the_known_ones() -> None:
    with pytest.raises(SourceError, match=r"no meter data for 'sdm'; known are: .*eastron_sdm630"):
        load_device("sdm")


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("word_order: big", "word_order: middle", "word_order: Input should be 'big' or 'little'"),
        ("function_code: 4", "function_code: 4\ncolour: red", "colour: Extra inputs are not permitted"),
        ("[[0, 36], [52, 22]]", "[[0, 126], [52, 22]]", "a read carries 1 to 125 registers"),
        ("[[0, 36], [52, 22]]", "[[0, 36], [52, 21]]", r"register 72 \(f32\) lies in no block"),
        ("at: [0, 2, 4]", "at: [0, 2]", r"must be as many addresses as those of current_a: 3"),
        ("at: [0, 2, 4]", "at: []", r"points\.voltage_v\.at"),
        ("type: f32", "type: f33", r"points\.voltage_v\.type"),
        ("word_order: big", "word_order: big\nword_order: big", "duplicate key"),
        ("vendor: Eastron", "\tvendor: Eastron", "cannot start any token"),
    ],
)
def test_a_mistake_in_device_data_is_named(old: str, new: str, text: str) -> None:
    assert old in SDM630_TEXT
    with pytest.raises(SourceError, match=rf"(?s)meter data x: .*{text}"):
        parse_device("x", SDM630_TEXT.replace(old, new, 1))


def test_an_empty_device_file_is_named() -> None:
    with pytest.raises(SourceError, match="meter data x: expected keys and values, found None"):
        parse_device("x", "")


def test_a_magnitude_gets_the_sign_of_its_phase_power() -> None:
    reading = decode_reading(SDM630, sdm630(), meter="grid", asked_at=NOW)
    assert reading.current_a == (10.0, -10.0, 10.0)
    assert (reading.power_w, reading.energy_import_wh) == (2300.0, 12_500.0)
    assert implausible(reading) == []


def test_inverted_transformers_turn_power_and_current_and_hide_the_import_register() -> None:
    reading = decode_reading(SDM630, sdm630(), meter="grid", asked_at=NOW, invert=True)
    assert reading.current_a == (-10.0, 10.0, -10.0)
    assert reading.phase_power_w == (-2300.0, 2300.0, -2300.0)
    assert (reading.power_w, reading.energy_import_wh) == (-2300.0, None)


EM300 = load_device("tq_em300")
EM300_TEXT = resources.files("local_controller.adapters.modbus").joinpath("devices/tq_em300.yaml").read_text("utf-8")


def em300(**watts: float) -> dict[int, int]:
    """L1, L2, L3 at 230 V and 10 A; powers by the address of their register: em300(a42=2300.0)."""
    values = {60: 10e3, 100: 10e3, 140: 10e3, 62: 230e3, 102: 230e3, 142: 230e3}
    values |= {int(name[1:]): power_w * 10 for name, power_w in watts.items()}
    image = {first + offset: 0 for first, count in EM300.blocks for offset in range(count)}
    for at, value in values.items():
        image[at], image[at + 1] = divmod(int(value), 0x10000)
    return image


def test_import_and_export_that_count_apart_become_one_power_with_a_sign() -> None:
    reading = decode_reading(EM300, em300(a40=2300.0, a82=2300.0, a120=2000.0, a0=2000.0), meter="grid", asked_at=NOW)
    assert reading.phase_power_w == (2300.0, -2300.0, 2000.0)
    assert (reading.power_w, reading.current_a) == (2000.0, (10.0, -10.0, 10.0))
    assert implausible(reading) == []


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("[[0, 28], [40, 104]", "[[0, 28], [40, 2], [42, 102]", r"import \(register 40\) and export \(42\) must share"),
        ("  power_w: {type: u32, at: 0, factor: 0.1}\n", "", "export_w needs power_w"),
    ],
)
def test_directions_of_different_reads_are_refused(old: str, new: str, text: str) -> None:
    assert old in EM300_TEXT
    with pytest.raises(SourceError, match=text):
        parse_device("x", EM300_TEXT.replace(old, new, 1))


def test_without_a_total_the_phases_add_up_and_a_power_at_its_end_is_no_value() -> None:
    victron = load_device("victron_gx_grid")
    image = {2600: 2000, 2601: 0x10000 - 1000, 2602: 500, 2617: 90, 2619: 50, 2621: 30}
    image |= dict.fromkeys((2616, 2618, 2620), 2300)
    reading = decode_reading(victron, image, meter="grid", asked_at=NOW)
    assert (reading.power_w, reading.current_a) == (1500.0, (9.0, -5.0, 3.0))
    at_the_end = decode_reading(victron, image | {2601: 0x8000}, meter="grid", asked_at=NOW)
    assert (at_the_end.power_w, at_the_end.phase_power_w) == (None, None)
    assert at_the_end.current_a == (9.0, 5.0, 3.0)


@pytest.mark.parametrize("nothing", [math.nan, math.inf, -math.inf])
def test_nan_is_absent_and_never_zero(nothing: float) -> None:
    image = sdm630(a2=nothing, a14=nothing, a52=nothing, a72=nothing)
    reading = decode_reading(SDM630, image, meter="grid", asked_at=NOW)
    assert (reading.voltage_v, reading.power_w, reading.energy_import_wh) == (None, None, None)
    assert reading.phase_power_w is None
    assert reading.current_a == (10.0, 10.0, 10.0)  # L2 without a power: counted as drawn


def test_a_phase_without_current_spoils_the_reading() -> None:
    with pytest.raises(SourceError, match="no current on L1, L3"):
        decode_reading(SDM630, sdm630(a6=math.nan, a10=math.nan), meter="grid", asked_at=NOW)


def test_what_a_meter_has_no_value_for_is_missed_only_where_the_grid_has_a_line() -> None:
    """As of a meter of three phases on two legs, or of one phase: nothing flows on lines that there are not."""
    image = sdm630(a4=math.nan, a10=math.nan, a16=math.nan, a52=0.0)
    with pytest.raises(SourceError, match="no current on L3"):
        decode_reading(SDM630, image, meter="grid", asked_at=NOW)
    reading = decode_reading(SDM630, image, meter="grid", asked_at=NOW, lines=(0, 1))
    assert (reading.current_a, reading.voltage_v) == ((10.0, -10.0, 0.0), (230.0, 230.0, 0.0))
    assert (reading.phase_power_w, implausible(reading)) == ((2300.0, -2300.0, 0.0), [])


def test_a_meter_of_one_phase_tells_that_one() -> None:
    sdm120, image = load_device("eastron_sdm120"), f32(a0=230.0, a6=10.0, a12=-2300.0, a70=50.0, a72=12.5)
    reading = decode_reading(sdm120, image, meter="grid", asked_at=NOW, lines=(0,))
    assert (reading.current_a, reading.power_w) == ((-10.0, 0.0, 0.0), -2300.0)
    assert implausible(reading) == []
    with pytest.raises(SourceError, match="no current on L2, L3"):
        decode_reading(sdm120, image, meter="grid", asked_at=NOW)


def test_who_measures_fewer_lines_is_known_to_the_site_file() -> None:
    fewer = {name: load_device(name).points.lines for name in known_devices() if load_device(name).points.lines < 3}
    assert fewer == dict.fromkeys(ONE_LINE, 1)


def test_the_overflow_code_of_a_meter_is_absent() -> None:
    image = dict.fromkeys(range(60), 0) | {2: 0xFFFF, 3: 0x7FFF}  # low word first: 0x7FFFFFFF
    assert decode_value(EM340, EM340.points.voltage_v.phases()[1], image) is None
    assert decode_value(EM340, EM340.points.voltage_v.phases()[0], image) == 0.0


def test_swapped_words_are_found_out() -> None:
    swapped = parse_device("x", SDM630_TEXT.replace("word_order: big", "word_order: little"))
    reading = decode_reading(swapped, sdm630(), meter="grid", asked_at=NOW)
    assert Doubt.VOLTAGE in [finding.doubt for finding in implausible(reading)]


PACKED = {"u16": "H", "i16": "h", "u32": "I", "i32": "i", "u64": "Q", "i64": "q", "f32": "f", "f64": "d"}


def with_order(word_order: str) -> Device:
    return parse_device("x", SDM630_TEXT.replace("word_order: big", f"word_order: {word_order}"))


ORDERS = {order: with_order(order) for order in ("big", "little")}


@given(
    wire_type=st.sampled_from(sorted(PACKED)),
    order=st.sampled_from(["big", "little"]),
    raw=st.binary(min_size=8, max_size=8),
)
def test_every_type_in_both_word_orders_is_read_as_written(wire_type: str, order: str, raw: bytes) -> None:
    size = struct.calcsize(">" + PACKED[wire_type])
    (number,) = struct.unpack(">" + PACKED[wire_type], raw[:size])
    words = struct.unpack(f">{size // 2}H", raw[:size])
    registers = dict(enumerate(words if order == "big" else words[::-1], start=100))
    value = decode_value(ORDERS[order], Point(type=wire_type, at=100, factor=0.5), registers)
    assert value == (number * 0.5 if math.isfinite(number) else None)
