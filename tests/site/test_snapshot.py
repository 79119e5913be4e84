"""What does the site look like just now? One picture for API, page and terminal."""

from __future__ import annotations

import io
import json

from rich.console import Console

from local_controller.cli.picture import picture
from local_controller.site.limit_source import LimitSource
from local_controller.site.limits import AppliesTo
from local_controller.site.snapshot import snapshot
from tests.site.virtual_site import VirtualSite, topology


def lively() -> VirtualSite:
    """One car charges, one station is lost while charging, one was never seen."""
    source = LimitSource("ems", "limit [/ems]", "grid", AppliesTo.TOTAL, (30.0, 30.0, 30.0))
    site = VirtualSite(topology(40.0, 3, circuits={"west": 30.0, "east": 30.0}), (source,))
    site.connect("CP-1", "CP-2")
    site.run(15)
    site.plug("CP-1")
    site.plug("CP-2")
    site.run(60)
    site.disconnect("CP-2")
    site.run(2)
    return site


def test_planned_ordered_acknowledged_and_measured_stay_apart() -> None:
    site = lively()
    charging, lost, unseen = snapshot(site.controller, site.now).evses
    assert charging.limit_a == charging.acknowledged_a
    assert charging.measured_a is not None
    assert charging.measured_a[0] == site.drawn()[0]
    assert charging.energy_kwh is None  # the station has no energy register
    assert (lost.connected, lost.charging) == (False, "lost while charging")
    assert lost.worst_case_a >= site.drawn()[1]
    assert "no connection" in lost.reasons[0]
    assert (unseen.connected, unseen.charging, unseen.limit_a, unseen.worst_case_a) == (
        False,
        "not connected",
        None,
        6.0,
    )


def test_nodes_show_what_flows_and_who_set_the_limit() -> None:
    site = lively()
    grid, west, _ = snapshot(site.controller, site.now).nodes
    assert grid.measured_a == site.flow("grid")
    assert grid.limit_source == ("limit [/ems] (silent: fallback)",) * 3
    assert west.measured_a is None
    assert west.parent == "grid"
    assert grid.worst_excess_a == 0.0


def test_the_terminal_shows_limits_in_watts_and_in_amperes() -> None:
    site = lively()
    for limit_a, power_w, text in ((None, 4200.0, "4200 W"), (16.0, 4200.0, "16/16/16 A and 4200 W")):
        site.announce("ems", limit_a, power_w=power_w)
        view = json.loads(json.dumps({"notices": [], **snapshot(site.controller, site.now).as_json()}))
        console = Console(markup=False, width=160, record=True, file=io.StringIO())
        console.print(picture(view, "Site"))
        assert f"limit [/ems]: {text} (fresh)" in console.export_text()


def test_the_terminal_shows_every_reason_of_a_limit() -> None:
    site = lively()
    view = json.loads(json.dumps({"notices": [], **snapshot(site.controller, site.now).as_json()}))
    view["evses"][0]["reasons"] = ["the first reason", "the second one"]
    console = Console(markup=False, width=160, record=True, file=io.StringIO())
    console.print(picture(view, "Site"))
    shown = console.export_text()
    assert "the first reason" in shown
    assert "the second one" in shown


def test_the_terminal_says_which_csms_is_away_and_for_whom() -> None:
    site = lively()
    view = json.loads(json.dumps({"notices": [], **snapshot(site.controller, site.now).as_json()}))
    sentences = [
        {"level": "warning", "text": "The CSMS has been away since 12:03"},
        {"level": "error", "text": "put aside"},
    ]
    view["uplinks"] = {"csms": [{"sentences": sentences}], "stations": {"CP-1": {"sentence": "its CSMS is away"}}}
    console = Console(markup=False, width=160, record=True, file=io.StringIO())
    console.print(picture(view, "Site"))
    shown = console.export_text()
    assert [line.strip() for line in shown.splitlines()[1:3]] == ["The CSMS has been away since 12:03", "put aside"]
    assert shown.count("session; its CSMS is") == 1


def test_the_picture_before_anything_happened_and_later_is_json_and_can_be_drawn() -> None:
    new = VirtualSite(topology(40.0, 2, circuits={"a [b]": 30.0}))
    for site in (new, lively()):
        view = json.loads(json.dumps({"notices": [], **snapshot(site.controller, site.now).as_json()}))
        console = Console(markup=False, width=160, record=True, file=io.StringIO())
        console.print(picture(view, "title [/x]"))
        assert "title [/x]" in console.export_text()
