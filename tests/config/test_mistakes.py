"""Every mistake of an installer is told at once, with its place and a remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from local_controller.config.load import examined, load
from local_controller.errors import SiteFileError

GOLDEN = Path(__file__).parent / "golden"
DEVICES = ("eastron_sdm630", "shelly_pro_3em")

SOUND = """\
site: {name: Shop, mode: control}
csms: {url: "ws://csms/ocpp"}
grid_connection:
  fuse_a: 63
  assumed_base_load_a: 10
  meter: main
circuits:
  - {id: garage, fuse_a: 50}
stations:
  - {id: CP-1, circuit: garage}
meters:
  - {id: main, device: eastron_sdm630, host: meter}
brokers:
  - {id: site, host: broker}
limits:
  - {id: ems, broker: site, topic: a/b, fallback_a: 16}
"""


def mistakes(text: str) -> list[str]:
    """All mistakes of a site file as line:column: message."""
    config, found = examined(text, DEVICES)
    assert (config is None) == bool(found)
    return [f"{m.place.line}:{m.place.column}: {m.message}" for m in found]


def after(old: str, new: str) -> list[str]:
    """The mistakes of the sound file after one change."""
    assert SOUND.count(old) == 1, "a change must hit one place"
    return mistakes(SOUND.replace(old, new))


def test_ten_mistakes_are_ten_located_messages() -> None:
    with pytest.raises(SiteFileError) as caught:
        load(GOLDEN / "ten_mistakes.yaml", DEVICES)
    printed = str(caught.value).replace(f"{GOLDEN}/", "")
    assert printed == (GOLDEN / "ten_mistakes.txt").read_text(encoding="utf-8").rstrip("\n")
    assert len(caught.value.problems) == 10


@pytest.mark.parametrize(
    ("capability", "column", "message"),
    [
        ("actuator: [tx_default]", 38, "actuator: unknown key - did you mean actuators?"),
        ("actuators: [tx_magic]", 50, "actuators[#1]: must be one of tx_profile, tx_default, station_max, vendor_key"),
        ("actuators: tx_default", 49, "actuators: must be a list: put it in brackets, [tx_default]"),
        ("forgets: reboot", 47, "forgets: must be a list: put it in brackets, [reboot]"),
        ("stack_level: 8.5", 51, "stack_level: must be a whole number, not 8.5"),
        (f"vendor_key: {{name: {'x' * 51}}}", 57, "vendor_key.name: must have at most 50 characters"),
        ("levels_a: 6", 48, "levels_a: must be a list of amperes, such as [6, 8, 10, 13, 16]"),
        ("levels_a: [8, 6]", 48, "levels_a: write the currents once each, from the lowest to the highest"),
        ("zero: no", 44, "zero: must be one of pauses, refused"),
        ("settle_s: 1 min", 48, "settle_s: must be a number - write 60"),
        ("actuators: [vendor_key]", 37, "vendor_key: actuators names it: say its name and unit"),
        ("vendor_key: {unit: mA}", 50, "vendor_key.name: is missing - for example `name: DynamicChargerCurrent`"),
        *(
            (
                f"vendor_key: {{name: Limit, evse_suffix: '{suffix}'}}",
                50,
                f"vendor_key: evse_suffix '{suffix}' must name the EVSE once, as in .{{evse}}, or be left out",
            )
            for suffix in ("_max", "[{connector}]", "{evse}{", "{evse}/{evse}")
        ),
        ("version: 1.6", 47, "version: must be one of 1.6, 2.0.1, 2.1 - did you mean 1.6?"),
        ("unit: W", 44, "unit: unit of the station is A: keep one of the two"),
    ],
)
def test_what_is_said_about_a_station_is_checked_where_it_stands(capability: str, column: int, message: str) -> None:
    text = f"{{id: CP-1, unit: A, capability: {{{capability}}}}}"
    told = after("{id: CP-1, circuit: garage}", text)
    assert told == [f"10:{column}: stations[CP-1].capability.{message}"]


def test_the_sound_file_is_sound() -> None:
    assert mistakes(SOUND) == []


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        # a word for a word
        ("fuse_a: 63", "fuse_amps: 63", "4:3: grid_connection.fuse_amps: unknown key - did you mean fuse_a?"),
        ("fuse_a: 63", "fuse_kw: 43", "4:3: grid_connection.fuse_kw: unknown key - did you mean fuse_a? Mind the unit."),
        ("{name: Shop, mode: control}", "{name: Shop, mode: control, vat: 5}", "1:35: site.vat: unknown key - known here: country, mode, name, nominal_voltage_v, system, time_zone"),
        ("{name: Shop, mode: control}", "{name: Shop, mode: control, time_zone: CEST}", "1:46: site.time_zone: no time zone: CEST - write one such as Europe/Berlin"),
        ("{name: Shop, mode: control}", "{name: Shop, mode: control, time_zone: Berlin}", "1:46: site.time_zone: no time zone: Berlin - did you mean Europe/Berlin?"),
        ("id: CP-1", "id: [CP-1]", "10:10: stations[#1].id: must be one text, not a list"),
        ("{name: Shop, mode: control}", "{name: Shop, mode: control, time_zone: Europe/Pariss}", "1:46: site.time_zone: no time zone: Europe/Pariss - did you mean Europe/Paris?"),
        ("device: eastron_sdm630", "device: eastron_sdm63", '12:24: meters[main].device: no known kind of meter: "eastron_sdm63" - did you mean eastron_sdm630?'),
        ("circuit: garage}", "circuit: garag}", '10:25: stations[CP-1].circuit: no circuit has the id "garag" - did you mean garage?'),
        ("broker: site", "broker: x", '16:23: limits[ems].broker: no broker has the id "x" - known here: site'),
        ("topic: a/b,", "topic: a/b, node: roof,", '16:47: limits[ems].node: no circuit has the id "roof" - known here: garage, grid'),
        ("topic: a/b,", "topic: a/b, applies_to: totel,", "16:53: limits[ems].applies_to: must be one of total, charging - did you mean total?"),
        ("topic: a/b,", "topic: a/b, payload: {path: p, unit: kW},", "16:66: limits[ems].payload.unit: must be one of A, W - kW? write W, and in a payload factor: 1000 as well"),
        # units and numbers
        ("fuse_a: 63", "fuse_a: 63 A", "4:11: grid_connection.fuse_a: must be one number for all phases or a list of three, for L1, L2, L3 - write 63"),
        ("fuse_a: 63", "fuse_a: 63,5", "4:11: grid_connection.fuse_a: must be one number for all phases or a list of three, for L1, L2, L3 - write 63.5, without quotes"),
        ("fuse_a: 63", "fuse_a: 43 kW", "4:11: grid_connection.fuse_a: must be one number for all phases or a list of three, for L1, L2, L3 - write 62.3, which is that power on three phases at 230 V"),
        ("fuse_a: 63", "fuse_a: 63000", "4:11: grid_connection.fuse_a: must be at most 6300, not 63000 - mA? write 63. W? amperes are meant, per phase"),
        ("fuse_a: 63", "fuse_a: [63, 63]", "4:11: grid_connection.fuse_a: must be one number for all phases or a list of three, for L1, L2, L3"),
        ("fuse_a: 63", "fuse_a: [63, -1, 63]", "4:16: grid_connection.fuse_a[#2]: must be greater than 0, not -1"),
        ("assumed_base_load_a: 10", "assumed_base_load_a: -3", "5:24: grid_connection.assumed_base_load_a: must be greater than or equal to 0, not -3"),
        ("assumed_base_load_a: 10", "assumed_base_load_a:", "5:3: grid_connection.assumed_base_load_a: is empty: write a value, or delete the key"),
        ("assumed_base_load_a: 10", "assumed_base_load_a: .inf", "5:24: grid_connection.assumed_base_load_a: must be a finite number: to have no limit leave the key out"),
        ("  assumed_base_load_a: 10\n", "", "4:3: grid_connection.assumed_base_load_a: is missing - for example `assumed_base_load_a: 10`"),
        ("id: CP-1", "id: 0123", '10:10: stations[0123].id: must be a text: put it in quotes, "0123", or it loses its leading zeros'),
        ("host: meter", "host: meter, port: 70000", "12:59: meters[main].port: must be at most 65535, not 70000"),
        ("host: meter", "host: meter, poll_s: 1 s", "12:61: meters[main].poll_s: must be a number - write 1"),
        ("host: meter", "host: meter, invert: ja", "12:61: meters[main].invert: must be true or false"),
        ("host: meter", "host: '192.168.1.5:1502'", "12:46: meters[main].host: must be the host alone: write host: 192.168.1.5 and port: 1502"),
        ("host: meter", "host: 'meter:x'", "12:46: meters[main].host: must be the host alone: write host: meter"),
        ("host: meter", "host: '[fd00::5]:502'", "12:46: meters[main].host: must be the host alone: write host: fd00::5 and port: 502"),
        ("host: broker", "host: '[fd00::5]'", "14:22: brokers[site].host: must be the host alone: write host: fd00::5"),
        ("host: meter", "host: 'http://meter'", '12:46: meters[main].host: must be a name or an address of a machine, without http:// and path, not "http://meter"'),
        # texts with rules of their own
        ('"ws://csms/ocpp"', '"https://csms/ocpp"', "2:13: csms.url: an OCPP address starts with ws:// or wss:// - write wss://csms/ocpp"),
        ('"ws://csms/ocpp"', "csms", "2:13: csms.url: an OCPP address starts with ws:// or wss:// - write ws://host/path or wss://host/path"),
        ('"ws://csms/ocpp"', '"ws://u:p@csms"', "2:13: csms.url: a host and a path, without user, query or fragment: stations bring their own credentials"),
        ("topic: a/b", "topic: 'a/#'", '16:36: limits[ems].topic: must be one topic, without blanks and wildcards (+ #), not "a/#"'),
        ("id: CP-1", "id: CP/1", "10:10: stations[CP/1].id: the identity of a station has no / ? # and no blanks around it (it is the end of its URL)"),
        ("id: garage", "id: grid", '8:10: circuits[grid].id: "grid" is the grid connection: choose another id'),
        # what belongs together
        ("circuit: garage", "rotation: RRT", "10:26: stations[CP-1].rotation: RRT is not one of RST, RTS, SRT, STR, TRS, TSR, as a 3-phase station needs"),
        ("circuit: garage", "phases: 1", "10:5: stations[CP-1].rotation: a single-phase station must say where it is connected, e.g. rotation: L1"),
        ("circuit: garage", "evses: [{rotation: L1}]", "10:35: stations[CP-1].evses[#1].rotation: L1 is not one of RST, RTS, SRT, STR, TRS, TSR, as a 3-phase station needs"),
        ("fuse_a: 63", "fuse_a: 63\n  asymmetry_a: 4.6", "5:16: grid_connection.asymmetry_a: 4.6 A is less than the 6 A that a car needs - kVA? write 20"),
        ("fuse_a: 63", "fuse_a: 63\n  asymmetry_a: 0.5", "5:16: grid_connection.asymmetry_a: 0.5 A is less than the 6 A that a car needs"),
        ("circuit: garage", "evses: 0", "10:23: stations[CP-1].evses: a station has 1 to 100 EVSEs"),
        ("circuit: garage", "fallback_a: 4", "10:28: stations[CP-1].fallback_a: 0 or from min_a (6 A) to max_a (32 A), not 4 A"),
        ("circuit: garage", "evses: [{fallback_a: 40}]", "10:37: stations[CP-1].evses[#1].fallback_a: 0 or from min_a (6 A) to max_a (32 A), not 40 A"),
        ("circuit: garage", "max_a: 5", "10:23: stations[CP-1].max_a: 5 A is below min_a (6 A)"),
        ("circuit: garage", "max_a: 15.95", "10:23: stations[CP-1].max_a: 15.95 A is finer than the tenths that a station can be told: write 16"),
        ("circuit: garage}", "circuit: garage}\n  - {id: CP-1}", "11:10: stations[CP-1].id: CP-1 is the id of another one of the stations: ids are unique"),
        ("fuse_a: 50", "fuse_a: 50, meter: main", "8:37: circuits[garage].meter: meter main measures another circuit already: a meter has one place"),
        ("fuse_a: 50", "fuse_a: 50, parent: garage", "8:38: circuits[garage].parent: circuits feed each other: garage -> garage: let the grid feed one of them"),
        ("host: broker", "host: broker, username: u, password_file: f, password_env: E", "14:75: brokers[site].password_env: password_file is there as well: keep one of the two"),
        ("host: broker", "host: broker, password_env: E", "14:44: brokers[site].password_env: a password needs a username"),
        # shapes
        ("- {id: CP-1, circuit: garage}", "- CP-1", "10:5: stations[#1]: must be a section with keys of its own, indented below"),
        ("stations:\n  - {id: CP-1, circuit: garage}", "stations: {id: CP-1}", "9:11: stations: must be a list: each entry begins with a dash, as in `- id: ...`"),
        ("stations:\n  - {id: CP-1, circuit: garage}", "stations: []", "9:11: stations: must have at least one entry"),
        ("site: {name: Shop, mode: control}", "site: {name: '', mode: control}", "1:14: site.name: is empty: write a value, or delete the key"),
        ("site: {name: Shop, mode: control}\n", "", "1:1: site: is missing: the file needs a section `site:`"),
        ("{name: Shop, mode: control}", "{name: Shop, mode: control, name: Inn}", "1:35: name is here twice, first in line 1: keep one of them"),
        ("{name: Shop, mode: control}", "{name: !secret x, mode: control}", "1:14: the tag !secret means nothing here: leave it out"),
        # the electrical proof points at the node
        ("fuse_a: 50", "fuse_a: 5", "8:5: garage L1, L2, L3: 1 × 6 A fallback + 0 A base = 6 A > 5 A: lower fallback_a, or set it to 0 for CP-1"),  # noqa: RUF001  (as it is printed)
    ],
)  # fmt: skip
def test_a_mistake_is_told_where_it_stands(old: str, new: str, told: str) -> None:
    assert told in after(old, new)


def test_the_same_mistake_on_three_phases_is_told_once() -> None:
    assert after("fuse_a: 63", "fuse_a: 0") == ["4:11: grid_connection.fuse_a: must be greater than 0, not 0"]


def test_one_wrong_station_is_told_once_and_not_as_a_missing_station_too() -> None:
    assert len(after("circuit: garage}", "circuit: garage, max_a: x}")) == 1


def test_circuits_in_a_circle_are_told_once() -> None:
    circle = "parent: roof}\n  - {id: roof, parent: attic, fuse_a: 9}\n  - {id: attic, parent: garage, fuse_a: 9}"
    assert after("fuse_a: 50}", f"fuse_a: 50, {circle}") == [
        "8:38: circuits[garage].parent: circuits feed each other: garage -> roof -> attic -> garage: let the grid feed one of them"
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "1:1: the file is empty: begin with one of the examples in site_configs"),
        ("# nothing yet\n", "1:1: the file is empty: begin with one of the examples in site_configs"),
        ("- a\n", "1:1: a site file has sections, such as `site:` and `stations:`"),
        ("just words\n", "1:1: a site file has sections, such as `site:` and `stations:`"),
        ("site:\n\tname: x\n", "2:1: not YAML: found character '\\t' that cannot start any token - a tab: indent with spaces"),
        ("site: [1\n", "2:1: not YAML: expected ',' or ']', but got '<stream end>' - a comma is missing, or what is opened in line 1 is never closed"),
        ("site:\n  name: x\n  mode control\nlisten:\n  port: 1\n", "3:3: not YAML: a key ends with a colon and a blank: write `mode: control`"),
        ("site:\n  name = x\n  mode: control\n", "2:3: not YAML: a key ends with a colon and a blank: write `name: x`"),
        ("site:\n  name:x\n\n  # how\n  mode: control\n", "2:3: not YAML: a key ends with a colon and a blank: write `name: x`"),
        ("circuits:\n  - id: a\n     name: x\n", "3:6: not YAML: it begins right of line 2, which has its value already: begin the lines of one section in the same column"),
        ("site:\nname: x\n  mode: control\n", "3:3: not YAML: it begins right of line 2, which has its value already: begin the lines of one section in the same column"),
        ("site:\n\u00a0 name: x\n  mode: control\n", "2:1: not YAML: a blank that is no space, as copied from a page: type it anew"),
        ("stations:\n  - {id: A}\n  {id: B}\n  - {id: C}\n", "3:3: not YAML: this is no key: begin each entry of a list with a dash and a blank (- ), and end each key with a colon"),
        ("stations:\n  - {id: A, circuit: b\n  - {id: C}\n", "3:5: not YAML: expected ',' or '}', but got '{' - a comma is missing, or what is opened in line 2 is never closed"),
        ("site: {name: x mode: control}\n", "1:20: not YAML: expected ',' or '}', but got ':' - a comma is missing, or what is opened in line 1 is never closed"),
        ('state_directory: "C:\\qq"\n', "1:22: not YAML: found unknown escape character 'q' - in double quotes \\ begins an escape: write single quotes"),
        ("site:\n  name: @home\n", "2:9: not YAML: found character '@' that cannot start any token - put the text in quotes"),
        ("site: a: b\n", "1:8: not YAML: mapping values are not allowed here - put a text with a colon in quotes, and begin each key on a line of its own"),
        ("a: 1\n---\nb: 1\n", "2:1: not YAML: but found another document - keep one document: delete the line with ---"),
        ("site: *name\n", "1:7: not YAML: found undefined alias 'name' - a text that begins with * needs quotes"),
        ('site: "x\n', "2:1: not YAML: found unexpected end of stream - a quote is opened above and never closed"),
        ("site: &a {name: *a}\n", "1:7: contains itself through an alias (*): write it out"),
        ("x: 1\n<<: {a: 1}\n", "2:1: a key is one plain word; merging (<<) is not supported: write the keys out"),
        ("site: \x01", "1:1: not YAML: unacceptable character #x0001: special characters are not allowed"),
        ("[" * 500, "1:1: not a site file: nested too deeply"),
    ],
    ids=lambda value: repr(value[:20]),
)  # fmt: skip
def test_what_is_no_yaml_is_told_where_it_breaks(text: str, told: str) -> None:
    assert told in mistakes(text)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"site: \xff\xfe", "not UTF-8 at byte 6: save the file as UTF-8 text"),
    ],
)
def test_an_unreadable_file_is_a_problem_like_any_other(tmp_path: Path, content: bytes | None, told: str) -> None:
    file = tmp_path / "site.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SiteFileError) as caught:
        load(file)
    assert str(caught.value) == f"{file}:1:1: {told}"


def test_a_folder_is_no_site_file(tmp_path: Path) -> None:
    with pytest.raises(SiteFileError, match=":1:1: cannot be read: Is a directory"):
        load(tmp_path)
