"""What a site file says about connections: to one CSMS or several, from the stations, and with which files."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from local_controller.config.build import topology
from local_controller.config.load import examined, known_devices
from local_controller.config.models import SiteConfig
from local_controller.config.notes import notes
from local_controller.station.words import OcppVersion

SITE = """\
site: {name: Depot, mode: control}
grid_connection: {fuse_a: 63, assumed_base_load_a: 10}
stations: [{id: HALL-1}, {id: YARD-1}]
"""


def mistakes(more: str) -> list[str]:
    """What is wrong with the site and these sections, which begin in line 4."""
    config, found = examined(SITE + more, ())
    assert (config is None) == bool(found)
    return [f"{m.place.line}:{m.place.column}: {m.message}" for m in found]


def sound(more: str, site: str = SITE) -> SiteConfig:
    config, found = examined(site + more, known_devices())
    assert found == []
    assert config is not None
    return config


def told(more: str, site: str = SITE) -> list[str]:
    """The notes of a sound site but those that all of these have."""
    config, all_have = sound(more, site), ("no meter", "a restart forgets")
    return [note for note in notes(config, topology(config)) if not any(words in note for words in all_have)]


# --- which CSMS -------------------------------------------------------------------------------------------------------


def test_one_csms_is_written_as_a_section_or_as_a_list_of_one() -> None:
    one, listed = (
        sound("csms: {url: 'wss://csms.example.com/ocpp'}"),
        sound("csms: [{url: 'wss://csms.example.com/ocpp'}]"),
    )
    assert one == listed
    assert [(csms.label, csms.stations) for csms in one.csms] == [("csms.example.com", None)]
    assert one.csms[0].addresses == dict.fromkeys(OcppVersion, "wss://csms.example.com/ocpp")


def test_two_csmss_share_the_stations_and_one_has_an_address_for_each_version() -> None:
    first, second = sound(
        "csms:\n"
        "  - {id: fleet, url: 'wss://fleet.example.com', stations: ['hall-*']}\n"
        "  - {urls: {ocpp1.6: 'ws://10.0.0.5:8092', ocpp2.0.1: 'ws://10.0.0.5:8081/'}}\n"
    ).csms
    assert (first.label, first.stations) == ("fleet", ("hall-*",))
    assert (second.label, second.stations) == ("10.0.0.5", None)
    assert second.addresses == {OcppVersion.V16: "ws://10.0.0.5:8092", OcppVersion.V201: "ws://10.0.0.5:8081"}


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("csms: ws://a", "4:7: csms: must be a section with `url:` below it, or a list of such sections"),
        ("csms: []", "4:7: csms: must be a section with `url:` below it, or a list of such sections"),
        ("csms: {id: a}", "4:7: csms.url: is missing - for example `url: wss://csms.example.com/ocpp`"),
        ("csms: [{urll: ws://a}]", "4:9: csms[#1].urll: unknown key - did you mean url?"),
        ("csms: {url: ws://a, urls: {ocpp1.6: ws://b}}", "4:27: csms.urls: url is there as well: keep one of the two"),
        ("csms: {urls: {}}", "4:14: csms.urls: must have at least one entry"),
        ("csms: {urls: {ocpp16: ws://a}}", "4:15: csms.urls.ocpp16: must be one of ocpp1.6, ocpp2.0.1, ocpp2.1 - did you mean ocpp1.6?"),
        ("csms: {urls: {ocpp1.6: 'http://a:1'}}", "4:24: csms.urls.ocpp1.6: an OCPP address starts with ws:// or wss:// - write ws://a:1"),
        ("csms: [{url: ws://a, stations: HALL-1}]", "4:32: csms[#1].stations: must be a list: put it in brackets, [HALL-1]"),
        ("csms: [{url: ws://a, stations: []}, {url: ws://b}]", "4:32: csms[#1].stations: must have at least one entry"),
        ("csms: {url: ws://a, stations: [1]}", '4:32: csms.stations[#1]: must be a text: put it in quotes, "1"'),
        ("csms: {url: ws://a, stations: ['*', HALL-2]}", '4:37: csms.stations[#2]: no station has the id "HALL-2" - did you mean HALL-1?'),
        ("csms: [{url: ws://a, stations: ['hall*']}]", "3:31: stations[YARD-1].id: no CSMS has this station: name it in the `stations` of one, or leave `stations` out at one for all others"),
        ("csms: [{url: ws://a}, {url: ws://b}]", "4:23: csms[#2].stations: is missing: only one CSMS can have the stations that no other one names"),
        ("csms: [{url: ws://a, stations: ['H*']}, {url: ws://a/2}]", "4:41: csms[#2].id: another CSMS is called a as well: give each an id of its own"),
        ("csms: [{id: x, url: ws://a, stations: ['H*']}, {id: x, url: ws://b}]", "4:53: csms[x].id: another CSMS is called x as well: give each an id of its own"),
        ("csms: {url: ws://a, compression: maybe}", "4:34: csms.compression: must be true or false"),
        ("csms: {url: ws://a, dial_timeout_s: 8 s}", "4:37: csms.dial_timeout_s: must be a number - write 8"),
        ("csms: {url: ws://a, ping_interval_s: -1}", "4:38: csms.ping_interval_s: must be greater than or equal to 0, not -1"),
        ("csms: {url: ws://a, tls: {}}", "4:26: csms.tls: counts for a wss:// address only: write wss:// if the CSMS has one, or delete the section"),
    ],
)  # fmt: skip
def test_a_mistake_about_a_csms_is_told_once_where_it_stands(section: str, expected: str) -> None:
    assert mistakes(section) == [expected]


def test_two_stations_do_not_differ_in_the_case_of_letters_only() -> None:
    _, found = examined(f"{SITE.replace('YARD-1', 'Hall-1')}csms: {{url: 'ws://a'}}\n", ())
    assert [m.message for m in found] == [
        "stations[Hall-1].id: Hall-1 is the id of another one of the stations: ids are unique"
    ]


def test_an_identity_of_1_6_may_have_blanks_and_colons() -> None:
    """1.6J §3.1.1: any text, percent-encoded in the URL."""
    config = sound("csms: {url: 'ws://a'}", SITE.replace("HALL-1", "'Hall 1: left'"))
    assert config.stations[0].id == "Hall 1: left"


def test_what_is_sound_but_surprises_is_noted() -> None:
    assert told(
        "csms:\n"
        "  - {id: fleet, url: 'ws://a', stations: ['HALL-*', 'ROOF-?', '*-1']}\n"
        "  - {id: other, urls: {ocpp2.0.1: 'ws://b'}}\n"
    ) == [
        "CSMS fleet: ROOF-? fits no station of this file",
        "CSMS other has no station: others have them all",
        "CSMS other has no address for ocpp1.6, ocpp2.1: stations that speak nothing else have no version in common with it",
    ]


# --- the stations' side -----------------------------------------------------------------------------------------------


@pytest.mark.requirement("LC-008")
def test_stations_without_any_security_need_permission_and_are_noted() -> None:
    csms = "csms: {url: 'ws://a'}\n"
    assert sound(csms).unsecured == ()
    assert told(csms) == []
    all_of_them = f"{csms}listen: {{allow_unsecured: true}}\n"
    assert sound(all_of_them).unsecured == ("HALL-1", "YARD-1")
    assert told(all_of_them) == [
        "without password and certificate anybody in their network can pass for all stations (allow_unsecured)"
    ]


@pytest.mark.requirement("LC-007")
def test_who_shall_be_served_without_the_csms_but_has_a_password_that_a_restart_forgets_is_noted() -> None:
    outage = "csms: {url: 'ws://a', outage: {}}\nstate_directory: '.'\n"
    (note,) = told(outage)
    assert note.startswith("csms.outage: after a restart of the gateway stations with a password are let in only once")
    assert note.endswith("name a file for hashes of them in credentials.file")
    assert told(f"{outage}credentials: {{file: passwords.json}}\n") == []
    assert told(f"{outage}listen: {{allow_unsecured: true}}\n")[0].startswith("without password and certificate")
    two = "csms: [{url: 'ws://a', stations: ['HALL-1'], outage: {}}, {id: b, url: 'ws://b'}]\nstate_directory: '.'\n"
    assert len(told(two)) == 1
    assert told(two, SITE.replace("{id: HALL-1", "{allow_unsecured: true, id: HALL-1"))[0].endswith("(allow_unsecured)")


@pytest.mark.parametrize(
    ("listen", "note"),
    [
        ("ping_interval_s: 15, ping_timeout_s: 15", []),
        (
            "ping_interval_s: 20",
            ["is noticed up to 34 s later: keep listen.ping_interval_s and ping_timeout_s below 30 s"],
        ),
        ("ping_interval_s: 5, ping_timeout_s: 20", ["is noticed up to 40 s later"]),
        ("ping_interval_s: 0", ["is not noticed: listen.ping_interval_s is 0"]),
    ],
)
def test_it_is_noted_how_late_a_silent_station_is_noticed(listen: str, note: list[str]) -> None:
    found = told(f"csms: {{url: 'ws://a'}}\nlisten: {{{listen}}}\n")
    assert len(found) == len(note)
    assert all(part in text for part, text in zip(note, found, strict=True))


@pytest.mark.requirement("LC-008")
@pytest.mark.parametrize(("common", "own", "unsecured"), [("true", "false", "HALL-1"), ("false", "true", "YARD-1")])
def test_a_station_may_differ_from_the_others(common: str, own: str, unsecured: str) -> None:
    site = SITE.replace("{id: YARD-1}", f"{{id: YARD-1, allow_unsecured: {own}}}")
    more = f"csms: {{url: 'ws://a'}}\nlisten: {{allow_unsecured: {common}}}\n"
    assert sound(more, site).unsecured == (unsecured,)
    assert told(more, site) == [
        f"without password and certificate anybody in their network can pass for {unsecured} (allow_unsecured)"
    ]


def test_prefixes_of_paths_are_kept_without_a_slash_at_the_end() -> None:
    listen = sound(
        "csms: {url: 'ws://a'}\nlisten: {path_prefixes: [/ocpp/, /steve/websocket/CentralSystemService]}"
    ).listen
    assert listen.path_prefixes == ("/ocpp", "/steve/websocket/CentralSystemService")


@pytest.mark.parametrize(
    ("listen", "expected"),
    [
        ("path_prefixes: [ocpp]", "5:26: listen.path_prefixes[#1]: must be a path that begins with /, such as /ocpp, without the station's identity"),
        ("path_prefixes: ['ws://gateway/ocpp']", "5:26: listen.path_prefixes[#1]: must be a path that begins with /, such as /ocpp, without the station's identity"),
        ("tls: {certificates: []}", "5:30: listen.tls.certificates: must have at least one entry"),
        ("limits: {max_connections: 1}", "5:36: listen.limits.max_connections: 1 is less than the 2 stations of this file"),
        ("limits: {messages_per_second: 5}", "5:19: listen.limits.messages_per_second: unknown key - did you mean messages_per_second_per_station?"),
        ("limits: {max_message_mb: 100}", "5:35: listen.limits.max_message_mb: must be at most 64, not 100"),
    ],
)  # fmt: skip
def test_a_mistake_about_the_door_is_told_where_it_stands(listen: str, expected: str) -> None:
    assert mistakes(f"csms: {{url: 'ws://a'}}\nlisten: {{{listen}}}") == [expected]


@pytest.mark.parametrize(
    ("listen", "web", "expected"),
    [
        ("port: 9000", "port: 9000", ["6:13: web.port: 9000 on 127.0.0.1 is where stations dial in: choose another port"]),
        ("port: 8080", "", ["6:6: web.port: 8080 on 127.0.0.1 is where stations dial in: choose another port"]),
        ("host: 0.0.0.0", "port: 9310", ["6:13: web.port: 9310 on 127.0.0.1 is where stations dial in: choose another port"]),
        ("host: 192.168.1.10, port: 9000", "port: 9000", []),
        ("host: 0.0.0.0", "host: '::1', port: 9310", []),
    ],
)  # fmt: skip
def test_page_and_stations_have_a_door_each(listen: str, web: str, expected: list[str]) -> None:
    assert mistakes(f"csms: {{url: 'ws://a'}}\nlisten: {{{listen}}}\nweb: {{{web}}}") == expected


ROOT = Path(__file__).parents[2]


def test_the_examples_of_the_reference_are_sound(pair: tuple[Path, Path]) -> None:
    """With real files in place of those that it names, and the stations that it speaks of."""
    certificate, key = pair
    text = (ROOT / "docs" / "site-configuration.md").read_text(encoding="utf-8")
    examples = re.findall(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(examples) >= 4
    for example in examples:
        here = re.sub(r"/etc/\S+\.pem", str(certificate), re.sub(r"/etc/\S+\.key", str(key), example))
        assert told(here, SITE.replace("{id: YARD-1}", "{id: YARD-7}, {id: LOBBY-1}")) == []


# --- certificates and keys --------------------------------------------------------------------------------------------


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    return written_pair(tmp_path / "gateway")


def written_pair(stem: Path, passphrase: bytes | None = None) -> tuple[Path, Path]:
    """A certificate that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway")])
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    certificate = builder.not_valid_before(begin).not_valid_after(begin + timedelta(days=1)).sign(key, hashes.SHA256())
    encryption = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    stem.with_suffix(".pem").write_bytes(certificate.public_bytes(pem))
    stem.with_suffix(".key").write_bytes(key.private_bytes(pem, pkcs8, encryption))
    return stem.with_suffix(".pem"), stem.with_suffix(".key")


def sections(certificate: Path, key: Path, *, authorities: Path, more: str = "") -> str:
    return (
        f"csms: {{url: 'wss://a', tls: {{authorities: '{authorities}', certificate: '{certificate}', key: '{key}'}}}}\n"
        f"listen:\n  tls:\n    certificates: [{{certificate: '{certificate}', key: '{key}'}}]\n"
        f"    station_authorities: '{authorities}'\n{more}"
    )


def test_certificates_that_are_there_and_fit_their_keys_are_sound(pair: tuple[Path, Path]) -> None:
    certificate, key = pair
    tls = sound(sections(*pair, authorities=certificate)).listen.tls
    assert tls is not None
    assert [(one.certificate, one.key) for one in tls.certificates] == [(str(certificate), str(key))]


def test_a_file_that_is_not_there_is_told_at_each_key_that_names_it(pair: tuple[Path, Path]) -> None:
    certificate, key = pair
    gone = certificate.with_name("gone.pem")
    why = f"{gone} cannot be read: No such file or directory"
    assert {one.split(": ", 1)[1] for one in mistakes(sections(gone, key, authorities=gone))} == {
        f"csms.tls.authorities: {why}",
        f"csms.tls.certificate: {why}",
        f"listen.tls.certificates[#1].certificate: {why}",
        f"listen.tls.station_authorities: {why}",
    }
    place, _ = mistakes(f"csms: {{url: 'wss://a', tls: {{authorities: '{gone}'}}}}")[0].split(": ", 1)
    assert place == "4:43"


def test_a_key_of_another_certificate_or_with_a_passphrase_is_told(pair: tuple[Path, Path], tmp_path: Path) -> None:
    certificate, _ = pair
    _, foreign = written_pair(tmp_path / "foreign")
    _, locked = written_pair(tmp_path / "locked", b"secret")
    file = "csms: {{url: 'wss://a', tls: {{certificate: '{}', key: '{}'}}}}".format
    assert [one.partition(" ")[2] for one in mistakes(file(certificate, foreign))] == [
        f"csms.tls.key: {foreign} is not the key of {certificate}"
    ]
    assert [one.partition(" ")[2] for one in mistakes(file(certificate, locked))] == [
        f"csms.tls.key: {locked} holds no private key that can be read: PEM, without a passphrase"
    ]


def test_a_file_that_holds_something_else_is_told(pair: tuple[Path, Path], tmp_path: Path) -> None:
    _, key = pair
    words = tmp_path / "words.pem"
    words.write_text("not a certificate\n", encoding="utf-8")
    not_pem = "holds no certificate in PEM: it begins with -----BEGIN CERTIFICATE-----"
    found = mistakes(f"csms: {{url: 'wss://a', tls: {{authorities: '{key}', certificate: '{words}', key: '{key}'}}}}")
    assert [one.partition(" ")[2] for one in found] == [
        f"csms.tls.certificate: {words} {not_pem}",
        f"csms.tls.authorities: {key} {not_pem}",
    ]


def test_a_certificate_needs_its_key_and_nothing_else_needs_to_be_wrong(pair: tuple[Path, Path]) -> None:
    certificate, key = pair
    assert [
        one.partition(" ")[2] for one in mistakes(f"csms: {{url: 'wss://a', tls: {{certificate: '{certificate}'}}}}")
    ] == ["csms.tls.certificate: needs its key beside it"]
    assert [one.partition(" ")[2] for one in mistakes(f"csms: {{url: 'wss://a', tls: {{key: '{key}'}}}}")] == [
        "csms.tls.key: needs its certificate beside it"
    ]


@pytest.mark.requirement("LC-011")
def test_certificates_of_stations_need_authorities_and_a_serial_number(pair: tuple[Path, Path]) -> None:
    """Otherwise the certificate of one station would open the door to every identity."""
    certificate, key = pair
    file = f"csms: {{url: 'ws://a'}}\nlisten:\n  tls:\n    certificates: [{{certificate: '{certificate}', key: '{key}'}}]\n"
    remedy = "name the file of their authorities in station_authorities"
    assert mistakes(f"{file}    require_certificate: true\n") == [
        f"8:26: listen.tls.require_certificate: stations' certificates cannot be verified: {remedy}"
    ]
    required = f"{file}    require_certificate: true\n    station_authorities: '{certificate}'\n"
    assert mistakes(required) == [
        "3:12: stations[HALL-1].serial: is missing: listen.tls.require_certificate compares it with the station's certificate"
    ]
    site = SITE.replace("HALL-1", "HALL-1, serial: S1").replace("YARD-1", "YARD-1, serial: S2")
    assert told(required, site) == []
    assert told(file, site) == ["serial of HALL-1, YARD-1 counts for nothing: listen.tls has no station_authorities"]


def test_doors_that_exclude_each_other_are_told(pair: tuple[Path, Path]) -> None:
    certificate, key = pair
    tls = f"certificates: [{{certificate: '{certificate}', key: '{key}'}}]"
    same_port = f"csms: {{url: 'ws://a'}}\nlisten: {{tls: {{port: 9310, {tls}}}}}"
    assert mistakes(same_port) == [
        "5:22: listen.tls.port: 9310 is the plain door: choose another port, or leave it out to encrypt this one"
    ]
    no_plain_door = f"csms: {{url: 'ws://a'}}\nlisten: {{public_url: 'ws://gateway', tls: {{{tls}}}}}"
    assert mistakes(no_plain_door) == [
        "5:22: listen.public_url: there is no plain door: write wss://, or give tls a port of its own"
    ]
    assert sound(no_plain_door.replace("tls: {", "tls: {port: 9311, ")).listen.tls is not None


def test_a_folder_is_no_certificate(tmp_path: Path) -> None:
    folder = tmp_path / "folder.pem"
    folder.mkdir()
    found = mistakes(f"csms: {{url: 'wss://a', tls: {{authorities: '{folder}'}}}}")
    assert found == [f"4:43: csms.tls.authorities: {folder} cannot be read: Is a directory"]
