"""What a site file says about meters: is a mistake told at its place, with its remedy?"""

from __future__ import annotations

import textwrap

import pytest

from local_controller.config.load import examined, known_devices
from local_controller.config.meter_devices import Point
from local_controller.config.models import SiteConfig

SITE = """\
site: {name: Shop, mode: control}
csms: {url: ws://csms/ocpp/}
grid_connection: {fuse_a: 63, assumed_base_load_a: 4, meter: main}
stations:
  - {id: CP-1}
"""


def examine(text: str) -> tuple[SiteConfig | None, list[str]]:
    """The config, and each mistake with the line of the text in which it stands, counted from 1."""
    config, mistakes = examined(SITE + textwrap.dedent(text), known_devices())
    lines = SITE.count("\n")
    return config, [f"{mistake.place.line - lines}: {mistake.message}" for mistake in mistakes]


def test_devices_behind_one_address_agree_on_how_it_is_spoken_to() -> None:
    config, told = examine(
        """\
        meters:
          - {id: main, device: eastron_sdm630, host: gateway, framing: rtu_over_tcp}
          - {id: wing, device: eastron_sdm630, host: gateway, unit_id: 2}
          - {id: shop, device: eastron_sdm630, host: gateway, unit_id: 3, port: 503}
        """
    )
    assert config is None
    reason = "main says rtu_over_tcp of gateway:502 and this says tcp: both share one connection"
    assert told == [f"3: meters[wing].framing: {reason}, so one of the two is wrong"]


OWN = """\
meters:
  - {id: main, device: basement, host: meter}
devices:
  - id: basement
    function_code: 4
    word_order: big
    not_a_value: {i32: [0x7FFFFFFF], u16: [65535]}
    blocks: [[0, 36], [52, 22]]
    points:
      voltage_v: {type: f32, at: [0, 2, 4]}
      current_a: {type: f32, at: [6, 8, 10]}
      phase_power_w: {type: f32, at: [12, 14, 16], factor: 1000}
      power_w: {type: f32, at: 0x34, factor: 1000}
      energy_import_wh: {type: f32, at: 72}
"""


def test_a_meter_may_be_of_a_kind_that_the_site_file_describes() -> None:
    config, told = examine(OWN)
    assert told == []
    assert config is not None
    (device,) = config.devices
    assert (device.id, device.points.power_w) == ("basement", Point(type="f32", at=52, factor=1000.0))
    assert device.not_a_value == {"i32": {0x7FFFFFFF}, "u16": {0xFFFF}}
    assert config.modbus_meters[0].device == "basement"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "basement, host",
            "basment, host",
            '2: meters[main].device: no known kind of meter: "basment" - did you mean basement?',
        ),
        (
            "basement",
            "eastron_sdm630",
            "4: devices[eastron_sdm630].id: the gateway brings eastron_sdm630 itself: choose another id",
        ),
        ("word_order: big", "word_order: middle", "6: devices[basement].word_order: must be one of big, little"),
        (
            "    word_order: big",
            "    word_order: big\n    wordorder: big",
            "7: devices[basement].wordorder: unknown key - did you mean word_order?",
        ),
        (
            "    function_code: 4\n",
            "",
            "4: devices[basement].function_code: is missing - for example `function_code: 4`",
        ),
        ("function_code: 4", "function_code: 1", "5: devices[basement].function_code: must be one of 3 or 4"),
        (
            "[0, 36], [52",
            "[0, 136], [52",
            "8: devices[basement].blocks[#1]: [0, 136]: a read carries 1 to 125 registers: split it into several blocks",
        ),
        (
            "[52, 22]",
            "[52, 21]",
            "8: devices[basement].blocks: register 72 (f32) lies in no block: a block has to reach from 72 to 73 at least",
        ),
        (
            "at: [0, 2, 4]",
            "at: [0, 2]",
            "10: devices[basement].points.voltage_v.at: must be as many addresses as those of current_a: 3",
        ),
        (
            "at: [0, 2, 4]",
            "at: 0",
            "10: devices[basement].points.voltage_v.at: must be a list of addresses, for L1, L2, L3",
        ),
        (
            "at: [0, 2, 4]",
            "at: [0, 2, 4, 6]",
            "10: devices[basement].points.voltage_v.at: must be a list of addresses, for L1, L2, L3",
        ),
        (
            "at: [0, 2, 4]",
            "at: [0, 2, 70000]",
            "10: devices[basement].points.voltage_v.at[#3]: must be at most 65535, not 70000",
        ),
        (
            "type: f32, at: [6",
            "type: float, at: [6",
            "11: devices[basement].points.current_a.type: must be one of u16, i16, u32, i32, u64, i64, f32, f64",
        ),
        ("at: 0x34", "at: [52]", "13: devices[basement].points.power_w.at: must be a number"),
        (
            "factor: 1000}\n      energy",
            "factor: 0}\n      energy",
            "13: devices[basement].points.power_w.factor: must not be 0",
        ),
        (
            "      current_a: {type: f32, at: [6, 8, 10]}\n",
            "",
            "10: devices[basement].points.current_a: is missing - for example `current_a: {type: f32, at: [6, 8, 10]}`",
        ),
        (
            "i32: [",
            "int32: [",
            "7: devices[basement].not_a_value.int32: must be one of u16, i16, u32, i32, u64, i64, f32, f64 - did you mean i32?",
        ),
    ],
)
def test_a_mistake_in_a_kind_of_meter_is_told_with_line_and_remedy(old: str, new: str, told: str) -> None:
    assert old in OWN
    assert examine(OWN.replace(old, new)) == (None, [told])


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ("unit_id: 1", "host: is missing - for example `host: 192.168.1.20`, or `serial: /dev/ttyUSB0`"),
        (
            "host: meter, serial: /dev/ttyUSB0",
            "serial: a device is reached by its host or over a serial line: delete one of the two",
        ),
        ("host: meter, baud: 9600", "baud: means nothing without `serial`: delete it"),
        ("serial: /dev/ttyUSB0, port: 502", "port: means nothing beside `serial`: delete it"),
        ("serial: /dev/ttyUSB0, parity: E", "parity: must be one of none, even, odd - did you mean even?"),
        ("serial: /dev/ttyUSB0, stop_bits: 3", "stop_bits: must be one of 1 or 2"),
    ],
)
def test_a_meter_is_in_the_network_or_on_a_serial_line(keys: str, told: str) -> None:
    _, mistakes = examine(f"meters:\n  - {{id: main, device: eastron_sdm630, {keys}}}\n")
    assert len(mistakes) == 1
    assert mistakes[0].startswith(f"2: meters[main].{told.split(' - did', maxsplit=1)[0]}")


def test_two_meters_are_not_the_same_one() -> None:
    _, told = examine(
        """\
        meters:
          - {id: main, device: eastron_sdm630, host: gateway}
          - {id: wing, device: eastron_sdm630, host: gateway, unit_id: 2}
          - {id: shop, device: eastron_sdm630, host: gateway}
          - {id: sun, device: wago_879, host: gateway}
        """
    )
    reason = "main is unit 1 at the same place already, so both would show the same meter"
    assert told == [f"4: meters[shop].unit_id: {reason}: give each its own unit_id"]


def test_two_modules_do_not_read_the_same_contacts() -> None:
    _, told = examine(
        """\
        io_modules:
          - {id: dso, device: moxa_iologik_e1200, host: one}
          - {id: sun, device: wago_750, host: one}
          - {id: far, device: wago_750, host: two}
        """
    )
    reason = "dso is unit 1 at the same place already, so both would show the same contacts"
    assert f"3: io_modules[sun].unit_id: {reason}: give each its own unit_id" in told
    assert not [one for one in told if "io_modules[far].unit_id" in one]


def test_devices_on_one_bus_are_set_alike() -> None:
    _, told = examine(
        """\
        meters:
          - {id: main, device: eastron_sdm630, serial: /dev/ttyUSB0, baud: 19200}
          - {id: wing, device: eastron_sdm630, serial: /dev/ttyUSB0, unit_id: 2, parity: even}
          - {id: shop, device: eastron_sdm630, serial: /dev/ttyUSB1}
        io_modules:
          - {id: io, device: kmtronic_relay_8, serial: /dev/ttyUSB1, unit_id: 7, stop_bits: 2}
        """
    )
    reason = "of /dev/ttyUSB0 and this says"
    remedy = "all devices of a bus are set alike, so one of the two is wrong"
    assert told == [
        f"3: meters[wing].baud: main says 19200 {reason} 9600: {remedy}",
        f"3: meters[wing].parity: main says none {reason} even: {remedy}",
        f"6: io_modules[io].stop_bits: shop says 1 of /dev/ttyUSB1 and this says 2: {remedy}",
    ]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (
            "sma_home_manager",
            "sma_home_manager cannot be the meter of a fuse: it tells the power of all phases together",
        ),
        (
            "sma_home_manager_2",
            "sma_home_manager cannot be the meter of a fuse: it tells the power of all phases together",
        ),
        (
            "eastron_sdm72_v1",
            "eastron_sdm72v1 cannot be the meter of a fuse: it tells the power of all phases together",
        ),
        ("solaredge", "solaredge cannot be the meter of a fuse: its meter speaks SunSpec: write device: sunspec"),
        ("eastron_sdm63", 'no known kind of meter: "eastron_sdm63" - did you mean eastron_sdm630?'),
        ("sdm630", 'no known kind of meter: "sdm630" - did you mean eastron_sdm630?'),
        ("fritzbox", 'no known kind of meter: "fritzbox" - known here: abb_a43_b23'),
    ],
)
def test_what_cannot_guard_a_fuse_is_refused_with_the_reason(name: str, reason: str) -> None:
    _, told = examine(f"meters:\n  - {{id: main, device: {name}, host: meter}}\n")
    assert len(told) == 1
    assert told[0].startswith(f"2: meters[main].device: {reason}")


ONE_LEG = "stations:\n  - {id: CP-1}"
LEGS = {
    "single_phase": "stations:\n  - {id: CP-1, phases: 1, rotation: L1}",
    "split_phase": "stations:\n  - {id: CP-1, phases: [L1, L2]}",
    "three_phase_wye": ONE_LEG,
}
TWO_LINES = """\
meters: [{id: main, device: own, host: meter}]
devices:
  - id: own
    function_code: 4
    word_order: big
    blocks: [[0, 20]]
    points:
      voltage_v: {type: f32, at: [0, 2]}
      current_a: {type: f32, at: [6, 8]}
      phase_power_w: {type: f32, at: [12, 14]}
"""


@pytest.mark.parametrize(
    ("system", "meter", "told"),
    [
        ("single_phase", "meters: [{id: main, device: eastron_sdm120, host: meter}]\n", ""),
        ("single_phase", TWO_LINES, ""),
        ("split_phase", TWO_LINES, ""),
        (
            "split_phase",
            "meters: [{id: main, device: eastron_sdm120, host: meter}]\n",
            "meters[main].device: eastron_sdm120 cannot be the meter of a fuse here: it measures one line and the grid has 2: use a meter of 2 lines",
        ),
        (
            "three_phase_wye",
            TWO_LINES,
            "meters[main].device: own cannot be the meter of a fuse here: it measures 2 lines and the grid has 3: use a meter of three phases, such as eastron_sdm630",
        ),
    ],
)
def test_a_meter_has_to_measure_all_lines_that_there_are_and_no_more(system: str, meter: str, told: str) -> None:
    site = SITE.replace("mode: control", f"mode: control, system: {system}").replace(ONE_LEG, LEGS[system])
    _, mistakes = examined(site + meter, known_devices())
    assert [mistake.message for mistake in mistakes] == ([told] if told else [])


PUBLISHED = """\
brokers: [{{id: house, host: 127.0.0.1}}]
meters:
  - {{id: main, source: mqtt, broker: house, {more}}}
"""


def test_a_meter_may_be_published_by_somebody() -> None:
    config, told = examine(
        PUBLISHED.format(more="current: {topic: [a, b, c]}, power: {topic: p, path: w, factor: 1000}")
    )
    assert told == []
    assert config is not None
    (meter,) = config.mqtt_meters
    assert (meter.current.topic, meter.poll_s, config.modbus_meters) == (("a", "b", "c"), 1.0, ())


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ("power: {topic: p}", "meters[main].current: is missing"),
        ("current: {topic: [a, b]}", "meters[main].current.topic: must be one topic, or a list of three"),
        (
            "current: {topic: [a, b, b]}",
            "meters[main].current.topic: b stands for two phases: each has a topic of its own",
        ),
        ("current: {topic: 'a/#'}", "meters[main].current.topic: must be one topic, without blanks and wildcards"),
        ("current: {topic: a, path: 'x('}", "meters[main].current.path: must be a JMESPath expression"),
        ("current: {topic: a, unit: A}", "meters[main].current.unit: unknown key"),
        ("current: {topic: a}, host: b", "meters[main].host: unknown key"),
        ("current: {topic: a}, every_s: 60", "meters[main].every_s: must be at most 10, not 60"),
    ],
)
def test_mistakes_about_published_meters_are_told_with_a_remedy(more: str, reason: str) -> None:
    _, told = examine(PUBLISHED.format(more=more))
    assert [one for one in told if one.startswith(f"3: {reason}")], told


def test_an_unknown_source_of_a_meter_is_told() -> None:
    _, told = examine("meters: [{id: main, source: zigbee}]")
    assert told == ["1: meters[main].source: must be one of modbus, mqtt"]
    _, told = examine("meters: [{id: main, source: mqtt, broker: attic, current: {topic: a}}]")
    assert [one for one in told if 'meters[main].broker: no broker has the id "attic"' in one]
