"""Which CSMS is dialled for a station, at which address, with which versions, and which paths stations may dial."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_controller.adapters.routing import Routes, TlsFiles, Upstream, is_open_path, offers, upstreams
from local_controller.config.load import examined
from local_controller.station.words import OcppVersion

V16, V201, V21 = OcppVersion


def upstream(label: str, *stations: str) -> Upstream:
    return Upstream(label, dict.fromkeys(OcppVersion, f"ws://{label}"), stations or None)


def label_of(routes: Routes, identity: str) -> str | None:
    found = routes.of(identity)
    return found.label if found else None


# --- which CSMS -------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("LC-001")
def test_the_first_csms_that_names_a_station_has_it_and_one_has_the_rest() -> None:
    routes = Routes([upstream("rest"), upstream("hall", "HALL-*", "YARD-7"), upstream("yard", "YARD-?", "HALL-1")])
    stations = ["HALL-1", "HALL-99", "YARD-7", "YARD-8", "YARD-10", "X"]
    assert [label_of(routes, one) for one in stations] == ["hall", "hall", "hall", "yard", "rest", "rest"]


def test_without_a_csms_for_the_rest_a_stranger_has_none() -> None:
    routes = Routes([upstream("hall", "HALL-*")])
    assert label_of(routes, "YARD-1") is None
    assert label_of(Routes([]), "HALL-1") is None


@pytest.mark.requirement("LC-001")
@pytest.mark.parametrize("identity", ["hall-1", "HALL-1", "Hall-1"])
def test_an_identity_is_the_same_in_any_case_of_letters(identity: str) -> None:
    """identifierString is case-insensitive in OCPP 2.x; the spelling of the station is what goes upstream."""
    for names in (["HALL-1"], ["hall-*"]):
        assert label_of(Routes([upstream("other", "X"), upstream("hall", *names)]), identity) == "hall"


def test_characters_of_an_identity_that_patterns_use_match_themselves() -> None:
    """identifierString has `*`; and a name ends where it ends."""
    routes = Routes([upstream("a", "EV*1"), upstream("b", "EV.2")])
    assert [label_of(routes, one) for one in ("EV*1", "EV.2", "EVx2", "EV.22")] == ["a", "b", None, None]


names = st.text("ABab-*?", min_size=1, max_size=4)


@given(st.lists(st.lists(names, max_size=3), max_size=4), st.text("ABab-", min_size=1, max_size=4))
def test_law_routes_are_what_looking_through_the_file_finds(lists: list[list[str]], identity: str) -> None:
    routes = Routes([Upstream(str(n), {}, tuple(one)) for n, one in enumerate(lists)])
    expected = next((str(n) for n, one in enumerate(lists) if any(fits(name, identity) for name in one)), None)
    assert label_of(routes, identity) == expected


def fits(name: str, identity: str) -> bool:
    """A pattern by its definition: `*` is any text, `?` is any letter, another letter is itself in any case."""
    if not name:
        return not identity
    if name[0] == "*":
        return any(fits(name[1:], identity[start:]) for start in range(len(identity) + 1))
    return bool(identity) and name[0].lower() in {"?", identity[0].lower()} and fits(name[1:], identity[1:])


# --- which address and versions ---------------------------------------------------------------------------------------


@pytest.mark.requirement("LC-003")
def test_a_csms_with_one_address_is_offered_the_stations_list_in_one_dial() -> None:
    assert offers(upstream("csms"), [V16, V21, V201]) == [("ws://csms", [V16, V21, V201])]


@pytest.mark.requirement("LC-003")
def test_with_an_address_for_each_version_the_stations_order_decides() -> None:
    csms = Upstream("citrine", {V16: "ws://c:8092", V201: "ws://c:8081", V21: "ws://c:8081"})
    assert offers(csms, [V21, V201, V16]) == [("ws://c:8081", [V21, V201]), ("ws://c:8092", [V16])]
    assert offers(csms, [V21, V16, V201]) == [("ws://c:8081", [V21]), ("ws://c:8092", [V16]), ("ws://c:8081", [V201])]


@pytest.mark.requirement("LC-003")
def test_a_version_without_address_is_not_offered() -> None:
    csms = Upstream("csms", {V201: "ws://c"})
    assert offers(csms, [V16, V201, V21]) == [("ws://c", [V201])]
    assert offers(csms, [V16]) == []


urls = st.dictionaries(st.sampled_from(OcppVersion), st.sampled_from(["ws://a", "ws://b"]))


@pytest.mark.requirement("LC-003")
@given(urls, st.lists(st.sampled_from(OcppVersion), unique=True))
def test_law_every_version_with_address_is_offered_once_there_and_in_order(
    addresses: Mapping[OcppVersion, str], versions: list[OcppVersion]
) -> None:
    dials = offers(Upstream("csms", addresses), versions)
    assert [(version, url) for url, offered in dials for version in offered] == [
        (version, addresses[version]) for version in versions if version in addresses
    ]
    assert all(one[0] != next_one[0] for one, next_one in pairwise(dials))


# --- from the site file -----------------------------------------------------------------------------------------------


def test_a_site_file_becomes_upstreams() -> None:
    text = """
    site: {name: Depot, mode: control}
    grid_connection: {fuse_a: 63, assumed_base_load_a: 10}
    stations: [{id: HALL-1}, {id: YARD-1}]
    csms:
      - {url: wss://cpo.example.com/ocpp/, stations: ["HALL-*"], compression: true, dial_timeout_s: 5, tls: {}}
      - id: citrine
        urls: {ocpp1.6: "ws://10.0.0.5:8092", ocpp2.0.1: "ws://10.0.0.5:8081"}
        ping_interval_s: 0
        ping_timeout_s: 5
    """
    config, mistakes = examined(text, ())
    assert (config is not None, mistakes) == (True, [])
    assert config is not None
    cpo, citrine = upstreams(config)
    everywhere = dict.fromkeys(OcppVersion, "wss://cpo.example.com/ocpp")
    assert cpo == Upstream("cpo.example.com", everywhere, ("HALL-*",), compression=True, dial_timeout_s=5)
    by_version = {V16: "ws://10.0.0.5:8092", V201: "ws://10.0.0.5:8081"}
    assert citrine == Upstream("citrine", by_version, ping_interval_s=0, ping_timeout_s=5)


# --- which paths ------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("LC-005")
@pytest.mark.parametrize(
    ("path", "is_open"),
    [
        ("/CP-1", True),
        ("//CP-1", True),
        ("/ocpp/CP-1", True),
        ("/ocpp//CP-1", True),
        ("/ocpp/CP-1?x=/y", True),
        ("/steve/websocket/CentralSystemService/CP%201", True),
        ("/ocpp1.6/CP-1", False),
        ("/ocpp/ocpp/CP-1", False),
        ("/OCPP/CP-1", False),
        ("/steve/CP-1", False),
    ],
)
def test_stations_dial_the_identity_alone_or_behind_a_prefix_of_the_file(path: str, is_open: bool) -> None:
    assert is_open_path(path, ("/ocpp", "/steve/websocket/CentralSystemService")) == is_open
    assert is_open_path(path, None)


def test_without_a_section_the_machines_own_authorities_count() -> None:
    assert upstream("csms").tls == TlsFiles(authorities=None, certificate=None, key=None)
