"""What a site file says about limits from outside, and about the brokers that bring them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from local_controller.adapters.inputs import limit_source
from local_controller.adapters.lpc_bridge import control_boxes, lpc_words
from local_controller.config.brokers import BrokerSection
from local_controller.config.build import own_limits
from local_controller.config.limits import PayloadSection
from local_controller.site.limits import Bound
from local_controller.site.lpc import LpcFailsafe, LpcHeartbeat, LpcLimit, LpcSettings
from local_controller.site.own_limits import ScheduledLimit
from tests.config.test_connections import mistakes, sound, told

CSMS = "csms: {url: ws://csms.example.com}\n"


def limits(payload: str) -> str:
    """A limit whose messages look so; the line begins with 71 characters."""
    rest = "limits: [{id: ems, broker: mq, topic: t, fallback_a: 20, payload: "
    return f"{CSMS}brokers: [{{id: mq, host: 127.0.0.1}}]\n{rest}{payload}}}]"


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ("{path: a, time_path: 'no such('}", "payload.time_path: must be a JMESPath expression, such as power.limit"),
        ("{path: a, time_format: unix_s}", "payload.time_format: counts with time_path only: say there where"),
        ("{path: a, time_zone: UTC}", "payload.time_zone: counts with time_path only"),
        ("{path: a, time_path: t, time_format: ms}", "time_format: must be one of rfc3339, unix_s, unix_ms"),
        (
            "{path: a, time_path: t, time_format: unix_s, time_zone: UTC}",
            "payload.time_zone: unix_s has no time zone: delete the key",
        ),
        (
            "{path: a, time_path: t, time_zone: Europe/Berln}",
            "payload.time_zone: no time zone: Europe/Berln - did you mean Europe/Berlin?",
        ),
        ("{path: a, time_pth: t}", "payload.time_pth: unknown key - did you mean time_path?"),
    ],
)
def test_mistakes_about_time_stamps_are_told_with_a_remedy(payload: str, message: str) -> None:
    (found,) = mistakes(limits(payload))
    assert found.startswith("6:"), found
    assert message in found


def test_a_payload_may_say_where_its_time_stamp_is() -> None:
    config = sound(limits("{path: a, time_path: head.t, time_format: unix_ms}"))
    (limit,) = config.mqtt_limits
    payload = limit.payload
    assert isinstance(payload, PayloadSection)
    assert (payload.time_path, payload.time_format, payload.time_zone) == ("head.t", "unix_ms", None)


def test_a_payload_without_time_stamp_is_remarked() -> None:
    remark = "limit ems: its payload names no time stamp (payload.time_path), so each message counts as new"
    assert [note for note in told(limits("{path: a}")) if note.startswith(remark)]
    assert not [note for note in told(limits("{path: a, time_path: t}")) if "time stamp" in note]


@pytest.mark.parametrize(
    ("availability", "message"),
    [
        ("{}", "availability.topic: is missing - for example `topic: zigbee2mqtt/bridge/state`"),
        ("a/b", "availability: must be a section with keys of its own, indented below"),
        ("{topic: 'a/#'}", 'availability.topic: must be one topic, without blanks and wildcards (+ #), not "a/#"'),
        ("{topic: a, online: true}", 'availability.online: must be a text: put it in quotes, "true"'),
        ("{topic: a, online: offline}", "availability.offline: online is offline as well: write the word for each"),
        ("{topic: a, path: 'x('}", "availability.path: must be a JMESPath expression"),
        ("{topic: a, payload_offline: gone}", "availability.payload_offline: unknown key"),
    ],
)
def test_mistakes_about_availability_are_told_with_a_remedy(availability: str, message: str) -> None:
    (found,) = mistakes(limits(f"{{path: a}}, availability: {availability}"))
    assert message in found


# --- fallbacks ---------------------------------------------------------------------------------------------------------


def fallback(keys: str) -> str:
    return limits("{path: a, time_path: t}").replace("fallback_a: 20, ", keys)


def test_a_limit_may_fall_back_to_amperes_to_watts_or_to_both_but_not_to_nothing() -> None:
    for keys, bound in (
        ("fallback_w: 4200, ", Bound(None, 4200.0)),
        ("fallback_a: 20, fallback_w: 4200, ", Bound((20.0,) * 3, 4200.0)),
    ):
        (limit,) = sound(fallback(keys)).mqtt_limits
        assert limit_source(limit).fallback == bound
    (found,) = mistakes(fallback(""))
    assert (
        "limits[ems].fallback_a: is missing: what counts while nobody speaks? fallback_a: 16, or fallback_w: 4200"
        in found
    )


def test_a_fallback_in_watts_below_what_stations_take_by_themselves_is_remarked() -> None:
    remark = "limit ems: its fallback_w of 4100 W holds while the gateway runs; without it Grid connection takes up to"
    (note,) = [note for note in told(fallback("fallback_w: 4100, ")) if note.startswith(remark)]
    assert note.endswith("is kept free of it: with `fallback_a: 0` the others may have that")
    assert not [note for note in told(fallback("fallback_w: 90000, ")) if "fallback_w" in note]


# --- limits by the clock ----------------------------------------------------------------------------------------------


def evening(more: str = "", window: str = 'start: "17:00", end: "21:00", max_a: 10') -> str:
    return f"{CSMS}limits:\n  - {{id: evening, source: schedule, windows: [{{{window}}}]{more}}}"


def test_a_limit_of_the_timetable_counts_at_its_node() -> None:
    (limit,) = own_limits(sound(evening(", applies_to: charging")))
    assert (limit.id, limit.node, limit.applies_to) == ("evening", "grid", "charging")
    assert isinstance(limit, ScheduledLimit)
    assert limit.timetable.at(datetime(2026, 3, 6, 18, tzinfo=UTC)).bound == Bound((10.0, 10.0, 10.0), None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (evening(", topic: t"), "limits[evening].topic: unknown key"),
        (evening(", nod: grid"), "limits[evening].nod: unknown key - did you mean node?"),
        (evening(", node: attic"), 'limits[evening].node: no circuit has the id "attic"'),
        (evening(window="start: 5, end: '21:00', max_a: 10"), 'start: must be a text: put it in quotes, "5"'),
        (evening(window="start: '7:00', end: '21:00', max_a: 1"), 'must be a time of day from "00:00" to "23:59"'),
        (evening(window="start: '17:00', end: '24:00', max_a: 1"), 'to "23:59"; midnight is "00:00"'),
        (evening(window="start: '0700Z', end: '21:00', max_a: 1"), 'must be a time of day from "00:00" to "23:59"'),
        (evening(window="start: '17:00', end: '21:00', max_w: '11 kW'"), "max_w: must be a number - write 11000"),
        (evening(window="start: '17:00', max_a: 10"), 'end: is missing - for example `end: "21:00"`'),
        (evening(window="start: '17:00', end: '21:00', days: [monday], max_a: 1"), "must be one of mon, tue, wed"),
        (evening(window="start: '17:00', end: '21:00', days: [], max_a: 10"), "days: must have at least one entry"),
        (evening(window="start: '17:00', end: '21:00', max_kw: 10"), "max_kw: unknown key"),
        (evening(window="start: '17:00', end: '21:00'"), "max_a: is missing: what counts meanwhile? max_a: 16"),
        (
            evening().replace("schedule", "scedule"),
            "source: must be one of mqtt, schedule, quarter_hour, contact, person, lpc, lpc_modbus - did you mean schedule?",
        ),
        (evening().replace("schedule", "dice"), "limits[evening].source: must be one of mqtt, schedule, quarter_hour"),
    ],
)
def test_mistakes_about_the_timetable_are_told_with_a_remedy(text: str, message: str) -> None:
    assert [found for found in mistakes(text) if message in found], mistakes(text)


def test_a_window_may_be_in_watts() -> None:
    (limit,) = own_limits(sound(evening(window='start: "17:00", end: "21:00", max_w: 9000')))
    assert isinstance(limit, ScheduledLimit)
    assert limit.bounds_power
    assert limit.timetable.at(datetime(2026, 3, 6, 18, tzinfo=UTC)).bound == Bound(None, 9000.0)


def quarter(more: str = "mean_w: 17000", meter: str = "") -> str:
    return f"{CSMS}limits:\n  - {{id: peak, source: quarter_hour, {more}}}\n{meter}"


def test_a_quarter_hour_needs_a_meter_that_counts_it() -> None:
    (found,) = mistakes(quarter())
    assert "limits[peak].node: grid has no meter that counts a quarter-hour: give it one" in found
    (found,) = mistakes(quarter("mean_w: 17000, node: attic"))
    assert 'no circuit has the id "attic"' in found


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("mean_w: 0", "mean_w: must be"),
        ("mean_kw: 17", "mean_kw: unknown key - did you mean mean_w? Mind the unit."),
        ("mean_w: 17000, applies_to: charging", "applies_to: must be"),
    ],
)
def test_mistakes_about_a_quarter_hour_are_told_with_a_remedy(more: str, message: str) -> None:
    assert [found for found in mistakes(quarter(more)) if message in found], mistakes(quarter(more))


def test_what_a_person_may_replace_arrives_over_mqtt() -> None:
    person = "limits: [{id: manual, source: person, replaces: [ems]}, {id: ems, broker: mq, topic: t, fallback_a: 20}]"
    (limit,) = own_limits(sound(f"{CSMS}brokers: [{{id: mq, host: 127.0.0.1}}]\n{person}"))
    assert limit.replaces == {"ems"}
    (found,) = mistakes(f"{CSMS}limits: [{{id: manual, source: person, replaces: [fuse]}}]")
    assert "limits[manual].replaces[#1]: fuse is no limit over MQTT: there is none" in found


def test_fallbacks_above_a_limit_of_the_timetable_are_remarked() -> None:
    remark = "limit evening L1, L2, L3: its max_a of 1 A holds while the gateway runs; without it"
    assert [note for note in told(evening(window="start: '17:00', end: '21:00', max_a: 1")) if note.startswith(remark)]


# --- control boxes ----------------------------------------------------------------------------------------------------


def box(more: str = "", limit: str = "{topic: lpc/limit}") -> str:
    rest = f"{{id: box, source: lpc, broker: mq, limit: {limit}, heartbeat: {{topic: lpc/beat}}{more}}}"
    return f"{CSMS}brokers: [{{id: mq, host: 127.0.0.1}}]\nlimits:\n  - {rest}"


def test_a_control_box_limits_the_cars_to_what_it_says_and_to_4200_watts_without_it() -> None:
    config = sound(box())
    (built,) = control_boxes(config.control_boxes)
    assert (built.source.node, built.source.applies_to, built.settings) == ("grid", "charging", LpcSettings())
    other = sound(box(", failsafe_w: 6000, failsafe_h: 24, failsafe_ends: false, applies_to: total"))
    (built,) = control_boxes(other.control_boxes)
    assert (built.source.applies_to, built.settings) == ("total", LpcSettings(6000.0, 86_400.0, False))
    assert config.recorded_limits == {"box": "lpc"}


def test_each_topic_of_a_control_box_means_something_and_one_may_mean_several() -> None:
    (section,) = sound(box(", failsafe: {topic: lpc/failsafe}")).control_boxes
    assert section.topics == ("lpc/failsafe", "lpc/beat", "lpc/limit")
    assert lpc_words(section, "lpc/beat", b"anything", False) == (LpcHeartbeat(),)
    assert lpc_words(section, "lpc/beat", b"anything", True) == ()
    assert lpc_words(section, "lpc/limit", b'{"active": false}', False) == (LpcLimit(None),)
    assert lpc_words(section, "lpc/failsafe", b'{"failsafe_w": 5000}', False) == (LpcFailsafe(5000.0),)
    (section,) = sound(box(limit="{topic: lpc/beat, power: kw, factor: 1000, active: on}")).control_boxes
    words = lpc_words(section, "lpc/beat", b'{"kw": 4.2, "on": true}', False)
    assert words == (LpcHeartbeat(), LpcLimit(4200.0))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (box(", failsafe_h: 1"), "limits[box].failsafe_h: must be greater than or equal to 2, not 1"),
        (box(", failsafe_h: 25"), "limits[box].failsafe_h: must be at most 24, not 25"),
        (box(", fallback_w: 4200"), "limits[box].fallback_w: unknown key - did you mean failsafe_w?"),
        (box(limit="{topic: a/#}"), "limits[box].limit.topic: must be one topic"),
        (box(limit="{topic: a, active: 'x('}"), "limits[box].limit.active: must be a JMESPath expression"),
        (box().replace("broker: mq", "broker: m"), 'limits[box].broker: no broker has the id "m"'),
        (box().replace("source: lpc", "source: lcp"), "did you mean lpc?"),
    ],
)
def test_mistakes_about_control_boxes_are_told_with_a_remedy(text: str, message: str) -> None:
    assert [found for found in mistakes(text) if message in found], mistakes(text)


BRIDGE = (
    f"{CSMS}limits:\n  - {{id: box, source: lpc_modbus, registers: {{host: 10.0.0.4, limit: {{type: u32, at: 100}}, "
    "active: {type: u16, at: 102}, heartbeat: {type: u16, at: 103}}}"
)


def test_a_control_box_may_be_asked_over_modbus() -> None:
    config = sound(BRIDGE)
    (section,) = config.modbus_control_boxes
    assert (section.registers.block, section.applies_to) == ((100, 4), "charging")
    (built,) = control_boxes(config.control_boxes)
    assert (built.source.id, built.settings, config.recorded_limits) == ("box", LpcSettings(), {"box": "lpc_modbus"})


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("at: 103", "at: 400", "limits[box].registers.limit: all registers must lie within 125"),
        ("host: 10.0.0.4, ", "", "limits[box].registers.host: is missing"),
        (
            ", heartbeat: {type: u16, at: 103}",
            "",
            "limits[box].registers.heartbeat: is missing - for example `heartbeat: ",
        ),
        ("registers:", "broker: b, registers:", "limits[box].broker: unknown key"),
        (
            "limits:",
            "io_modules: [{id: m, device: wago_750, host: 10.0.0.4, port: 502, framing: rtu_over_tcp}]\nlimits:",
            "limits[box].registers.framing: m says rtu_over_tcp of 10.0.0.4:502 and this says tcp",
        ),
    ],
)
def test_mistakes_about_registers_of_a_bridge_are_told_with_a_remedy(old: str, new: str, message: str) -> None:
    text = BRIDGE.replace(old, new)
    assert text != BRIDGE
    assert [found for found in mistakes(text) if message in found], mistakes(text)


# --- brokers ----------------------------------------------------------------------------------------------------------


def broker(more: str) -> str:
    return f"{CSMS}brokers:\n  - {{id: mq, {more}}}"


@pytest.mark.parametrize(
    ("more", "port"),
    [("host: a", 1883), ("host: a, tls: {}", 8883), ("host: a, port: 1884, tls: {}", 1884), ("host: a, port: 1", 1)],
)
def test_the_usual_port_depends_on_encryption(more: str, port: int) -> None:
    assert sound(broker(more)).brokers[0].tcp_port == port


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("host: a, tls: {certificate: c.pem}", "brokers[mq].tls.certificate: needs its key beside it"),
        ("host: a, tls: {key: c.key}", "brokers[mq].tls.key: needs its certificate beside it"),
        ("host: a, tls: {ca_file: c.pem}", "brokers[mq].tls.ca_file: unknown key"),
        ("host: a, tls: true", "brokers[mq].tls: must be a section with keys of its own, indented below"),
        ("host: a..b", "brokers[mq].host: must be a name of parts with 1 to 63 characters between dots, or an address"),
        ("host: http://a", "brokers[mq].host: must be a name or an address of a machine, without http:// and path"),
        ("host: a, password: secret", "brokers[mq].password: unknown key - did you mean password_env?"),
    ],
)
def test_mistakes_about_encryption_are_told_with_a_remedy(more: str, message: str) -> None:
    (found,) = mistakes(broker(more))
    assert message in found


@pytest.mark.parametrize(
    ("host", "warned"),
    [
        ("192.168.1.5", True),
        ("mqtt.example", True),
        ("localhost.example", True),
        ("localhost", False),
        ("127.0.0.1", False),
        ("127.8.8.8", False),
        ("::1", False),
    ],
)
def test_a_password_in_clear_is_remarked_unless_it_stays_on_this_machine(host: str, warned: bool) -> None:
    login = f'host: "{host}", username: u, password_env: P'
    remark = "broker mq: its password goes through the network in clear: give it a section `tls` (`tls: {}`)"
    assert (remark in told(broker(login))) is warned
    assert remark not in told(broker(f"{login}, tls: {{}}"))
    assert not BrokerSection(id="mq", host=host).tells_its_password
