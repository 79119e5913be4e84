"""What a site file says about contacts of a grid operator, and how its mistakes are told."""

from __future__ import annotations

import pytest

from local_controller.adapters.contact_inputs import contact_sources
from local_controller.adapters.inputs import limit_source
from local_controller.adapters.lpc_bridge import control_boxes
from local_controller.config.contact_tables import contact_tables
from local_controller.config.load import examined
from local_controller.errors import SourceError
from local_controller.site.contacts import Contact
from local_controller.site.limit_message import LimitMessageSettings, LimitUnit, parse_limit
from local_controller.site.limits import Bound
from tests.config.test_connections import SITE, mistakes, sound, told
from tests.site.virtual_site import START

CSMS = "csms: {url: ws://csms.example.com}\n"
MODULE = "{id: io, device: openwb_dimm_kit, host: io}"
W4 = "contacts: [{id: W4, channel: 1}]"
DIM = "patterns: [{given: [W4], section_14a: true}, {given: [], unlimited: true}]"


def limit(*keys: str, module: str = MODULE) -> str:
    """A limit by contacts, alone in its line: the seventh of the file."""
    return (
        f"{CSMS}io_modules: [{module}]\nlimits:\n  - {{id: dso, source: contact, io_module: io, {', '.join(keys)}}}\n"
    )


def test_patterns_become_a_table_with_channels_from_zero() -> None:
    rows = "patterns: [{given: [W4], max_a: [6, 8, 10]}, {given: [K], percent: 30}, {given: [], unlimited: true}]"
    contacts = "contacts: [{id: W4, channel: 1}, {id: K, channel: 8, given_when: closed}]"
    table = contact_tables(sound(limit(contacts, rows, "rated_w: 11000")))["dso"]
    assert table.contacts == (Contact("W4", 0), Contact("K", 7, given_when_open=False))
    assert table.meanings == {
        frozenset({"W4"}): Bound((6.0, 8.0, 10.0)),
        frozenset({"K"}): Bound(power_w=3300.0),
        frozenset(): Bound(),
    }


@pytest.mark.parametrize(("keys", "power_w"), [("node: grid", 7560.0), ("devices: 5", 15_120.0)])
def test_the_devices_of_section_14a_are_counted_or_given(keys: str, power_w: float) -> None:
    assert contact_tables(sound(limit(W4, DIM, keys)))["dso"].lowest == Bound(power_w=power_w)


def test_stations_that_cannot_be_told_a_limit_are_none_of_them() -> None:
    site = "site: {name: Depot, mode: control}\ngrid_connection: {fuse_a: 63, assumed_base_load_a: 10}\n"
    stations = "stations: [{id: A, capability: {actuators: []}}, {id: B}]\n"
    assert contact_tables(sound(limit(W4, DIM), site + stations))["dso"].lowest == Bound(power_w=4200.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            limit(W4, DIM, module="{id: io, device: openwb_dim, host: io}"),
            'no known kind of I/O module: "openwb_dim" - did',
        ),
        (limit(W4, DIM).replace("io_module: io", "io_module: oi"), 'no io_module has the id "oi" - known here: io'),
        (limit("contacts: [{id: W4, channel: 0}]", DIM), "contacts[W4].channel: io has channels 1 to 8, not 0"),
        (limit("contacts: [{id: W4, channel: 1}, {id: W4, channel: 2}]", DIM), "W4 is the id of another contact"),
        (
            limit("contacts: [{id: W4, channel: 1}, {id: K, channel: 1}]", DIM),
            "contacts[K].channel: 1 is the channel of",
        ),
        (limit(W4, "patterns: [{given: [W5], max_w: 0}]"), "W5 is no contact of this limit: W4"),
        (limit(W4, "patterns: [{given: [], max_w: 0}, {given: [], max_w: 9}]"), "another row has the same contacts"),
        (limit(W4, "patterns: [{given: [W4], percent: 30}]"), "rated_w: is missing: what are 100 per cent?"),
        (limit(W4, "patterns: [{given: [W4]}]"), "nothing says what counts then: write one of max_a, max_w, percent"),
        (
            limit(W4, "patterns: [{given: [W4], max_w: 1, unlimited: true}]"),
            "max_w and unlimited says what counts then",
        ),
        (limit(W4, "patterns: [{given: [W4], unlimited: true}]"), "no row limits anything"),
        (limit(W4, "patterns: [{given: [W4], unlimited: false}]"), "unlimited: must be"),
        (limit(W4, DIM.replace("true", "false", 1)), "patterns[#1].section_14a: must be one of true"),
        (limit(W4, DIM, "add_surplus: true"), "add_surplus: for `applies_to: charging` only"),
        (limit(W4, DIM, "add_surplus: true, applies_to: charging"), "add_surplus: needs grid_connection.meter"),
        (limit(W4, DIM, "fallback_a: 6"), "fallback_a: unknown key"),
    ],
)
def test_mistakes_are_told_with_place_and_remedy(text: str, message: str) -> None:
    (found,) = mistakes(text)
    assert message in found


def test_a_surplus_may_be_added_to_limits_of_all_senders() -> None:
    """And a payload that only says whether it dims is read by a path; what says neither is no number."""
    path = "dimmed == `true` && `15120` || dimmed == `false` && `1000000`"
    text = f"""\
csms: {{url: ws://csms.example.com}}
meters: [{{id: m, device: eastron_sdm630, host: m}}]
brokers: [{{id: mq, host: 127.0.0.1}}]
io_modules: [{MODULE}]
limits:
  - {{id: dso, source: contact, io_module: io, {W4}, {DIM}, add_surplus: true, applies_to: charging}}
  - id: mqtt
    broker: mq
    topic: t
    fallback_w: 15120
    applies_to: charging
    add_surplus: true
    payload: {{path: "{path}", unit: W}}
  - {{id: box, source: lpc, broker: mq, limit: {{topic: l}}, heartbeat: {{topic: h}}, add_surplus: true}}
"""
    site = SITE.replace("assumed", "meter: m, assumed")
    config, found = examined(site + text, ("eastron_sdm630",))
    assert config is not None, found
    (box,) = control_boxes(config.control_boxes)
    assert limit_source(config.mqtt_limits[0]).adds_surplus
    (dso,) = contact_sources(config)
    assert box.source.adds_surplus
    assert dso.adds_surplus
    settings = LimitMessageSettings(path=path, unit=LimitUnit.WATTS)
    watts = [
        parse_limit(payload, False, START, settings).power_w for payload in (b'{"dimmed":true}', b'{"dimmed":false}')
    ]
    assert watts == [15_120.0, 1_000_000.0]
    with pytest.raises(SourceError):
        parse_limit(b'{"dimmed": null}', False, START, settings)


def test_what_the_stations_take_by_themselves_above_a_limit_is_remarked() -> None:
    remark = "limit dso: its max_w of 7560 W holds while the gateway runs; without it Grid connection takes up to"
    assert [note for note in told(limit(W4, DIM, "applies_to: charging")) if note.startswith(remark)]
    assert "nothing is recorded of when limit dso holds: name a folder in state_directory" in told(limit(W4, DIM))
    unused = f"{CSMS}io_modules: [{MODULE}]\n"
    assert "I/O module io has no contact that limits anything" in told(unused)
