"""Are the site files of the stories what they are said to be? The stories themselves take longer and are no part of the suite."""

from __future__ import annotations

from pathlib import Path

import pytest

from local_controller.adapters.modbus.device import known_devices, load_device
from local_controller.config.contact_tables import contact_tables
from local_controller.config.load import load
from local_controller.errors import SiteFileError
from site_simulator.clock import SimClock
from tests.e2e.surroundings import meters, site_text, station_row
from tests.stories import dimming, fallbacks, lpc, registers


def loaded(folder: Path, text: str) -> None:
    path = folder / "site.yaml"
    path.write_text(text, encoding="utf-8")
    load(path)


@pytest.mark.parametrize("name", fallbacks.CASES)
def test_only_the_fallbacks_decide_whether_a_file_is_sound(name: str, tmp_path: Path) -> None:
    loaded(tmp_path, fallbacks.site_file(name, fallbacks.FITS_A))
    with pytest.raises(SiteFileError, match=name):
        loaded(tmp_path, fallbacks.site_file(name, fallbacks.TOO_MUCH_A))


def test_a_site_may_have_a_meter_of_each_kind(tmp_path: Path) -> None:
    devices = [load_device(name) for name in known_devices()]
    for lines in registers.SITES:
        alike = [device for device in devices if device.points.lines == lines]
        loaded(tmp_path, registers.site_file(alike, range(9000, 9001 + len(alike))))
    assert {device.points.lines for device in devices} == set(registers.SITES)


@pytest.mark.parametrize("size", dimming.TABLE_W)
def test_dimmed_sites_have_the_limit_that_the_story_judges_by(size: int, tmp_path: Path) -> None:
    setting = dimming.setting(size, tmp_path, 5020)
    rows = [station_row(station, setting.fallback_a) for station in setting.stations]
    more = meters({"grid": 5021}) + setting.more
    text = site_text(
        rows, csms_url="ws://127.0.0.1:9", port=9310, fuse_a=setting.fuse_a, base_a=setting.assumed_a, more=more
    )
    (tmp_path / "site.yaml").write_text(text, encoding="utf-8")
    config = load(tmp_path / "site.yaml")
    assert contact_tables(config)["dso"].lowest.power_w == dimming.TABLE_W[size]


def test_a_site_may_hear_of_a_control_box(tmp_path: Path) -> None:
    setting = lpc.setting(1883, SimClock(lpc.SPEED))
    rows = [station_row(station, setting.fallback_a) for station in setting.stations]
    where = {"csms_url": "ws://127.0.0.1:9", "port": 9310}
    loaded(tmp_path, site_text(rows, **where, fuse_a=setting.fuse_a, base_a=setting.assumed_a, more=setting.more))
