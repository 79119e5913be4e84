"""Every product of the quirk table on a small site: controlled, or counted with what it may draw, and the fuse holds.

Without its record too: what the gateway finds out by itself, or does not, stands in docs/quirk_results.yaml.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from local_controller.station.dialects.base import BootCall
from local_controller.station.quirks import quirk_of, shipped_quirks
from tests.scenarios.quirky_stations import (
    MANNERS,
    MAX_A,
    STATIONS,
    V16,
    VARIANTS,
    Manner,
    Outcome,
    Variant,
    outcome,
    runs,
)

RESULTS = Path(__file__).parents[2] / "docs" / "quirk_results.yaml"
KNOWN = MANNERS[0]

UNCONTROLLABLE = {
    "FoxESS A-series (OCPP 2.0.1)",
    "MicroOcpp (OCPP 2.0.1)",
    "SAP simulator (OCPP 2.0.1)",
    "Zaptec, over its cloud",
    "ocpp-go examples",
    "solidstudio virtual charge point",
}
"""These can be told nothing at all."""

LESS: dict[str, str] = {
    "ABB Terra AC up to 1.8.21": "controlled, cannot be paused",  # it does not take 0 A
    "SAP simulator": "held at 6 A",  # its meter values are random
    "shiv3 simulator (OCPP 2.0.1)": "controlled, at times held at 6 A",  # its current is always 0, as that of a full car
    "SyncEV": "controlled, at times held at 6 A",  # it measures only when asked to
    "Timxon": "held at 6 A",  # its one profile is limit and floor, and cannot say from when on
}

OF_ANOTHER_VERSION = sorted(name for name in UNCONTROLLABLE if "OCPP" in name)
FORGETFUL = ["go-e Charger Gemini", "go-e Charger Gemini, firmware 60"]


def played(name: str, manner: Manner) -> Outcome:
    return outcome(next(one for one in STATIONS if one.name == name), manner)


@cache
def results() -> dict[str, dict[str, str]]:
    read: dict[str, dict[str, str]] = YAML(typ="safe", pure=True).load(RESULTS.read_text("utf-8"))
    return read


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_each_product_is_known_by_what_it_says_at_boot(variant: Variant) -> None:
    found = quirk_of(BootCall(*variant.product, ""), shipped_quirks())
    assert found is not None
    assert found.name == variant.record


def test_every_record_has_its_station() -> None:
    assert {variant.record for variant in VARIANTS} == {quirk.name for quirk in shipped_quirks()}


@pytest.mark.requirement("LC-105", "LC-108")
@pytest.mark.parametrize("name", [one.name for one in STATIONS])
def test_a_known_product_is_controlled_or_counted_with_all_it_may_draw(name: str) -> None:
    done = played(name, KNOWN)
    expected = f"counted with {MAX_A:.0f} A" if name in UNCONTROLLABLE else LESS.get(name, "controlled")
    assert done.verdict == expected, done.steps


@pytest.mark.requirement("LC-107")
@pytest.mark.parametrize(
    ("variant", "manner"), [pytest.param(*run, id=f"{run[0].name}-{run[1].name}") for run in runs()]
)
def test_whatever_a_station_does_the_fuse_bears_it_and_the_site_knows(variant: Variant, manner: Manner) -> None:
    done = played(variant.name, manner)
    assert done.beyond.longest_s <= (0.0 if manner.is_known else 10.0), "more flowed than the fuse bears for an hour"
    assert done.excess.longest_s <= 30.0
    assert done.is_honest, done.steps
    assert done.verdict == results()[variant.name][manner.name], "make quirks writes the results anew"


@pytest.mark.requirement("LC-115")
@pytest.mark.parametrize("name", sorted(UNCONTROLLABLE))
def test_a_facility_manager_reads_why_a_station_cannot_be_controlled(name: str) -> None:
    done = played(name, KNOWN)
    assert all(step.worst_case_a == MAX_A for step in done.steps)
    for step in done.steps:
        assert any("QUIRKY/1" in reason and "counts with up to 32.0 A" in reason for reason in step.reasons)
    assert any("QUIRKY/1" in notice for notice in done.notices)


@pytest.mark.parametrize(
    "name",
    [
        "ocpp-go examples",
        "solidstudio virtual charge point",
        *OF_ANOTHER_VERSION,
    ],
)
def test_what_is_known_to_take_nothing_counts_from_its_boot(name: str) -> None:
    assert played(name, KNOWN).excess.longest_s == 0.0


@pytest.mark.parametrize("name", FORGETFUL)
def test_what_forgets_its_limits_counts_with_all_while_it_is_away(name: str) -> None:
    done = played(name, KNOWN)
    assert done.away.drawn_a == pytest.approx(MAX_A)
    assert done.is_honest_about_a_loss
    for step in (done.back, done.rebooted):
        assert 6.0 <= step.drawn_a <= step.limit_a + 0.5


def test_a_station_that_bears_25_profiles_a_day_is_told_its_limits_otherwise() -> None:
    assert played("Easee", KNOWN).writes <= 5


@pytest.mark.parametrize("variant", [one for one in STATIONS if one.version == V16], ids=lambda one: one.name)
def test_nothing_is_asked_that_a_known_product_does_not_bear(variant: Variant) -> None:
    assert played(variant.name, KNOWN).harmed == ()
