"""What a sound site file becomes, and laws: sound configs survive a round trip, and no text breaks the loader."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_controller.config.build import margin_a, topology
from local_controller.config.country import RULES, random_delay_s
from local_controller.config.load import examined, known_devices
from local_controller.config.models import ControlSection, SiteConfig, SiteSection
from local_controller.config.notes import notes
from local_controller.site.topology import FuseType
from local_controller.station.words import EvseId

DEVICES = ("eastron_sdm630",)
FORGETS = (
    "a restart forgets the CSMS's charging profiles, what was learnt of stations and visits, and limits that people set: "
    "name a folder in state_directory"
)


def sound(text: str) -> SiteConfig:
    config, mistakes = examined(text, DEVICES)
    assert mistakes == []
    assert config is not None
    return config


SITE = """
site: {name: Shop, mode: control}
csms: {url: ws://csms/ocpp/}
control: {margin_a: 1.5, margin_percent: 3}
grid_connection: {fuse_a: [63, 63, 50], contract_a: 55, assumed_base_load_a: 4, meter: main}
circuits:
  - {id: wing, name: East wing, parent: garage, fuse_a: 20, fuse_type: gg}
  - {id: garage, fuse_a: 40, assumed_base_load_a: [0, 0, 3]}
meters: [{id: main, device: eastron_sdm630, host: meter}]
stations:
  - {id: CP-1, circuit: wing, evses: 2, max_a: 16, rotation: STR, unit: W}
  - {id: CP-2, name: Door, phases: 1, rotation: L2, fallback_a: 0}
  - {id: CP-3, circuit: garage, fallback_a: 8, evses: [{fallback_a: 0}, {rotation: TRS, max_a: 10}]}
"""


def test_a_site_file_becomes_a_tree() -> None:
    tree = topology(sound(SITE))
    root, wing = tree.root, tree.node("wing")
    assert (root.rating_a, root.limit_a, root.base_a) == ((63, 63, 50), (55, 55, 50), (4, 4, 4))
    assert (root.label, root.fuse_type, root.meter) == ("Grid connection", FuseType.SLS_E, "main")
    assert (wing.label, wing.parent, wing.fuse_type, wing.meter) == ("East wing", "garage", FuseType.GG, None)
    assert [(str(e.id), e.node, e.grid_phases, e.max_a, e.fallback_a) for e in tree.evses] == [
        ("CP-1/1", "wing", (1, 2, 0), 16, 6),
        ("CP-1/2", "wing", (1, 2, 0), 16, 6),
        ("CP-2/1", "grid", (1,), 32, 0),
        ("CP-3/1", "garage", (0, 1, 2), 32, 0),
        ("CP-3/2", "garage", (2, 0, 1), 10, 8),
    ]
    assert [(s.label, s.unit) for s in tree.stations] == [("CP-1", "W"), ("Door", None), ("CP-3", None)]
    assert tree.path(EvseId("CP-1", 2)) == ("wing", "garage", "grid")


def test_the_stations_identity_is_appended_to_an_address_without_a_slash_at_its_end() -> None:
    assert [csms.url for csms in sound(SITE).csms] == ["ws://csms/ocpp"]


def test_the_margin_is_the_larger_one_of_amperes_and_per_cent() -> None:
    assert margin_a((20.0, 50.0, 200.0), ControlSection()) == (1.0, 1.0, 4.0)  # goal G16: max(1 A, 2 %)
    assert topology(sound(SITE)).root.margin_a == (1.89, 1.89, 1.5)


def test_notes_tell_what_cannot_happen_at_the_same_time() -> None:
    text = """
    site: {name: Shop, mode: control}
    csms: {url: ws://csms}
    grid_connection: {fuse_a: [25, 63, 63], assumed_base_load_a: 4}
    stations: [{id: CP-1, evses: 5, fallback_a: 0}]
    meters: [{id: spare, device: eastron_sdm630, host: meter}]
    brokers: [{id: site, host: broker}]
    """
    config = sound(text)
    crowded, *others = notes(config, topology(config))
    assert crowded == (
        "Grid connection L1: only 3 of 5 EVSEs can charge at once under the assumed base load"
        " (20 A left below the margin); the others wait their turn"
    )
    assert others == [
        "the grid connection has no meter: the assumed base load counts all the time",
        "meter spare measures no circuit",
        "broker site sends no limit, no meter, no price and no forecast",
        FORGETS,
    ]


def test_notes_tell_where_a_limit_asks_for_less_than_uncontrolled_stations_take() -> None:
    limit = "{id: ems, broker: b, topic: t, node: garage, fallback_a: [20, 20, 22]}"
    config = sound(f"{SITE}\nlimits: [{limit}]\nbrokers: [{{id: b, host: h}}]")
    # 2 x 6 A in the east wing and 8 A in the garage, and the garage's own 3 A on L3
    assert notes(config, topology(config)) == (
        "limit ems L3: its fallback_a of 22 A holds while the gateway runs; without it garage takes up to 23 A",
        FORGETS,
    )


def test_what_holds_alike_on_several_phases_is_noted_once() -> None:
    config = sound(
        f"{SITE}\nlimits: [{{id: ems, broker: b, topic: t, node: garage, fallback_a: 19}}]\nbrokers: [{{id: b, host: h}}]"
    )
    assert notes(config, topology(config)) == (
        "limit ems L1, L2: its fallback_a of 19 A holds while the gateway runs; without it garage takes up to 20 A",
        "limit ems L3: its fallback_a of 19 A holds while the gateway runs; without it garage takes up to 23 A",
        FORGETS,
    )


def test_notes_tell_what_an_asymmetry_limit_does_not_promise() -> None:
    text = """
    site: {name: Shop, mode: control}
    csms: {url: ws://csms}
    grid_connection: {fuse_a: 63, assumed_base_load_a: 4, asymmetry_a: 20}
    stations: [{id: CP-1, evses: 4, fallback_a: 6}]
    """
    config = sound(text)
    tree = topology(config)
    assert (tree.root.asymmetry_a, tree.root.asymmetry_margin_a) == (20.0, 1.0)
    assert notes(config, tree)[1:3] == (
        "Grid connection: asymmetry_a of 20 A counts charging alone, because no meter shows how uneven other loads are",
        (
            "Grid connection: asymmetry_a of 20 A holds while the gateway runs, and a car that comes may exceed it until"
            " others were lowered: the fallbacks of all EVSEs together are 24 A on one phase. With a fallback_a of 0 A it"
            " always holds"
        ),
    )


COUNTRY = """
site: {name: Shop, mode: control, country: DE}
csms: {url: ws://csms}
grid_connection: {fuse_a: 63, assumed_base_load_a: 4}
circuits: [{id: west, fuse_a: 32}]
stations: [{id: CP-1}]
"""


@pytest.mark.parametrize(
    ("country", "said", "asymmetry_a", "delay_s"),
    [
        ("DE", "", 20.0, 0),
        ("AT", "", 16.0, 0),
        ("CH", "", 16.0, 0),
        ("GB", "", None, 600),
        ("DE", ", asymmetry_a: 10", 10.0, 0),
        ("DE", ", asymmetry_a: null", None, 0),
        ("GB", "}\ncontrol: {random_delay_s: 0", None, 0),
        ("GB", "}\ncontrol: {random_delay_s: 1800", None, 1800),
    ],
)
def test_what_the_file_leaves_out_is_as_is_usual_in_its_country(
    country: str, said: str, asymmetry_a: float | None, delay_s: int
) -> None:
    text = COUNTRY.replace("DE", country).replace("base_load_a: 4", f"base_load_a: 4{said}")
    config, silent = sound(text), sound(text.replace(f", country: {country}", ""))
    tree = topology(config)
    assert (tree.root.asymmetry_a, random_delay_s(config)) == (asymmetry_a, delay_s)
    assert [node.asymmetry_a for node in tree.nodes[1:]] == [None], "a circuit is not the grid connection"
    told = [one for one in notes(config, tree) if one.startswith(f"site.country {country}: ")]
    assert len(told) == (said == "")
    assert topology(silent).root.asymmetry_a == (asymmetry_a if "asymmetry_a: 10" in said else None)


def test_a_country_gives_no_asymmetry_limit_where_there_is_nothing_to_be_uneven() -> None:
    single = COUNTRY.replace("country: DE", "country: DE, system: single_phase").replace(
        "CP-1", "CP-1, phases: 1, rotation: L1"
    )
    assert topology(sound(single)).root.asymmetry_a is None


def test_each_country_that_may_be_named_has_its_rules() -> None:
    annotation = SiteSection.model_fields["country"].annotation
    (literal, _) = get_args(annotation)
    assert set(get_args(literal)) == set(RULES)


def test_a_note_tells_that_the_margin_leaves_nothing_of_an_asymmetry_limit() -> None:
    text = """
    site: {name: Shop, mode: control}
    csms: {url: ws://csms}
    control: {margin_a: 3}
    grid_connection: {fuse_a: 63, assumed_base_load_a: 4, asymmetry_a: 8}
    stations: [{id: CP-1, fallback_a: 6}]
    """
    config = sound(text)
    told = "Grid connection: asymmetry_a of 8 A leaves 5 A below the margin, and a car needs 6 A: nobody can charge"
    assert told in notes(config, topology(config))


def test_the_shipped_meters_are_known() -> None:
    assert "eastron_sdm630" in known_devices()


amps = st.integers(60, 400).map(lambda tenths: tenths / 10)
names = st.from_regex(r"\A[A-Za-z][A-Za-z0-9_-]{0,8}\Z").filter(lambda name: name != "grid")


def sections(min_size: int = 0) -> st.SearchStrategy[list[str]]:
    return st.lists(names, unique_by=str.casefold, min_size=min_size, max_size=4)


@st.composite
def files(draw: st.DrawFn) -> dict[str, Any]:
    """Plain data of sound and safe sites."""
    circuits: list[dict[str, Any]] = []
    for name in draw(sections()):
        above = draw(st.sampled_from(["grid", *(circuit["id"] for circuit in circuits)]))
        circuits.append({"id": name, "parent": above, "fuse_a": draw(st.one_of(amps, st.tuples(amps, amps, amps)))})
    stations: list[dict[str, Any]] = []
    for name in draw(sections(min_size=1)):
        station: dict[str, Any] = {"id": name, "fallback_a": 0, "max_a": draw(amps)}
        station["circuit"] = draw(st.sampled_from(["grid", *(circuit["id"] for circuit in circuits)]))
        station["phases"] = draw(st.sampled_from([1, 3]))
        station["rotation"] = draw(st.sampled_from(["R", "L2", "T"] if station["phases"] == 1 else ["RST", "TRS"]))
        station["evses"] = draw(st.one_of(st.integers(1, 3), st.lists(st.just({"max_a": 6.0}), min_size=1, max_size=2)))
        stations.append(station)
    name = draw(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1))
    return {
        "site": {"name": name, "mode": draw(st.sampled_from(["observe", "control"]))},
        "csms": {"url": "wss://csms.example.com/ocpp"},
        "grid_connection": {"fuse_a": draw(amps), "assumed_base_load_a": draw(st.sampled_from([0, 2.5, [1, 2, 3]]))},
        "circuits": circuits,
        "stations": stations,
    }


def written(data: dict[str, Any]) -> str:
    """The data as YAML text; JSON is YAML."""
    return json.dumps(data, ensure_ascii=False)


@settings(deadline=None, max_examples=30)
@given(files())
def test_law_a_sound_site_survives_the_round_trip_through_its_own_text(data: dict[str, Any]) -> None:
    config = sound(written(data))
    assert [station.id for station in config.stations] == [station["id"] for station in data["stations"]]
    assert sound(written(config.model_dump(mode="json"))) == config


@settings(deadline=None)
@given(st.one_of(st.text(), st.text("ab:-[]{}&*!|>'\"#%@ \n\t0.<~,?")))
def test_law_no_text_breaks_the_loader(text: str) -> None:
    config, mistakes = examined(text, DEVICES)
    assert config is None
    assert all(mistake.place.line >= 1 and mistake.message for mistake in mistakes)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None)
@given(st.data())
def test_law_any_value_in_any_section_is_either_sound_or_told(data: st.DataObject) -> None:
    site = data.draw(files())
    section = data.draw(st.sampled_from(sorted(SiteConfig.model_fields)))
    keys = ["id", "rotation", "evses", "fallback_a", "fuse_a", "parent", "node", "payload", "meter"]
    if data.draw(st.booleans()):
        site[section] = data.draw(json_values)
    elif section in {"stations", "limits", "meters", "circuits", "brokers"}:
        site[section] = [data.draw(st.dictionaries(st.sampled_from(keys), json_values))]
    config, mistakes = examined(json.dumps(site), DEVICES)
    assert (config is None) == bool(mistakes)


def test_a_station_that_cannot_be_told_counts_with_its_maximum_and_one_with_a_setting_is_noted() -> None:
    text = """
    site: {name: Shop, mode: control}
    csms: {url: ws://csms}
    grid_connection: {fuse_a: 63, assumed_base_load_a: 4}
    stations:
      - {id: A, max_a: 32, capability: {actuators: []}}
      - {id: B, capability: {actuators: [tx_default, vendor_key], vendor_key: {name: Amps}}}
    """
    config = sound(text)
    tree = topology(config)
    assert [evse.fallback_a for evse in tree.evses] == [32.0, 6.0]
    noted = notes(config, tree)
    assert "A cannot be told a limit (actuators: []): it counts with its max_a at all times" in noted
    assert any(note.startswith("B may be limited by a setting of its maker, which holds for ever") for note in noted)


def test_a_name_of_nothing_is_told_once_however_often_it_stands_there() -> None:
    """The slip may as well be in the one circuit as in all that name it."""
    text = """
    site: {name: Shop, mode: control}
    csms: {url: ws://csms}
    grid_connection: {fuse_a: 63, assumed_base_load_a: 4}
    circuits: [{id: garrage, fuse_a: 40}]
    stations: [{id: CP-1, circuit: garage}, {id: CP-2, circuit: garage}, {id: CP-3, circuit: garage}, {id: CP-4, circuit: attic}]
    """
    told = [mistake.message for mistake in examined(text, known_devices())[1]]
    assert told == [
        'stations[CP-1].circuit: no circuit has the id "garage" - did you mean garrage?; so at 2 more places',
        'stations[CP-4].circuit: no circuit has the id "attic" - known here: garrage, grid',
    ]


@pytest.mark.parametrize(("contract_a", "is_odd"), [("60", True), ("[63, 63, 60]", False), ("40", False)])
def test_a_contract_above_the_fuse_is_remarked_upon(contract_a: str, is_odd: bool) -> None:
    text = f"""
    site: {{name: Shop, mode: control}}
    csms: {{url: ws://csms}}
    grid_connection: {{fuse_a: [63, 50, 50], contract_a: {contract_a}, assumed_base_load_a: 4}}
    stations: [{{id: CP-1}}]
    """
    config = sound(text.replace("[63, 50, 50]", "50") if is_odd else text)
    remark = (
        "Grid connection: contract_a of 60 A is above fuse_a of 50 A and counts for nothing: is one of them mistyped?"
    )
    assert (remark in notes(config, topology(config))) == is_odd


@pytest.mark.parametrize(
    ("fallback", "is_odd"), [("fallback_a: 80", True), ("fallback_a: 63", False), ("fallback_w: 99000", False)]
)
def test_a_fallback_above_the_fuse_is_remarked_upon(fallback: str, is_odd: bool) -> None:
    text = f"""
    site: {{name: Shop, mode: control}}
    csms: {{url: ws://csms}}
    grid_connection: {{fuse_a: 63, assumed_base_load_a: 4}}
    brokers: [{{id: site, host: broker}}]
    limits: [{{id: ems, broker: site, topic: ems/limit, {fallback}}}]
    stations: [{{id: CP-1}}]
    """
    config = sound(text)
    remark = (
        "limit ems: fallback_a of 80 A is above the 63 A that Grid connection bears: while its source is silent it limits"
        " nothing; is it mistyped?"
    )
    assert (remark in notes(config, topology(config))) == is_odd


def test_what_a_restart_forgets_is_told_unless_there_is_a_folder_for_it() -> None:
    assert any("a restart forgets" in note for note in notes(sound(SITE), topology(sound(SITE))))
    kept = sound(f"{SITE}\nstate_directory: /tmp\n")
    assert not any("a restart forgets" in note for note in notes(kept, topology(kept)))
