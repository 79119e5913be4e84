"""A station that installs firmware is left alone; then it holds our limits again (LC-141)."""

from __future__ import annotations

from typing import Any

import pytest

from local_controller.station.blocks.own_questions import INSTALLING_S
from local_controller.station.effects import Peer
from local_controller.station.words import LimitOutcome, OcppVersion
from tests.station.conftest import own

ALL = pytest.mark.parametrize("version", list(OcppVersion))


def says(b: Any, status: str) -> None:
    """The station's word about its firmware reaches the CSMS."""
    b.from_station("FirmwareStatusNotification", {"status": status})
    assert b.calls_to(Peer.CSMS, "FirmwareStatusNotification")[-1].payload == {"status": status}


def charging(bench: Any, version: OcppVersion) -> Any:
    b = bench(version)
    b.boot()
    b.start()
    b.wait(30)
    b.set_limit(16.0)
    assert b.in_force_a() == 16.0
    return b


def ours(b: Any) -> int:
    return len([frame for frame in b.sent[Peer.STATION] if frame.action is not None and own(frame)])


@ALL
@pytest.mark.requirement("LC-141")
@pytest.mark.parametrize("busy", ["Installing", "InstallRebooting"])
def test_during_an_installation_nothing_of_ours_is_sent_and_the_site_knows(
    bench: Any, version: OcppVersion, busy: str
) -> None:
    b = charging(bench, version)
    says(b, busy)
    before = ours(b)
    b.set_limit(8.0, urgent=True)
    b.set_fallback(7.0)
    b.wait(600)
    assert ours(b) == before
    assert b.outcomes()[-1] == (LimitOutcome.DROPPED, 8.0)
    b.station["Reset"] = {"status": "Accepted"}
    assert b.from_csms("Reset", {"type": "Hard" if version is OcppVersion.V16 else "Immediate"}) == {
        "status": "Accepted"
    }


@ALL
@pytest.mark.requirement("LC-141")
@pytest.mark.parametrize("end", ["Installed", "InstallationFailed", "boot", "silence"])
def test_after_it_the_station_holds_our_limits_again(bench: Any, version: OcppVersion, end: str) -> None:
    b = charging(bench, version)
    says(b, "Installing")
    b.installed = type(b.installed)()  # the new firmware has forgotten all profiles
    match end:
        case "boot":
            b.boot()
        case "silence":
            b.wait(INSTALLING_S + 60.0)
            b.meter([0.0, 0.0, 0.0])
        case _:
            says(b, end)
    b.wait(10)
    b.set_limit(9.0)
    assert b.in_force_a() == 9.0
    assert b.in_force_a(400.0) == 6.0, "and its fallback below"


@ALL
@pytest.mark.requirement("LC-141")
@pytest.mark.parametrize("quiet", ["Downloading", "Downloaded", "Idle"])
def test_a_station_that_only_downloads_is_limited_as_ever(bench: Any, version: OcppVersion, quiet: str) -> None:
    b = charging(bench, version)
    says(b, quiet)
    b.set_limit(8.0)
    assert b.in_force_a() == 8.0
