"""Are the site files of the stories what they are said to be? The stories themselves take longer and are no part of the suite."""

from __future__ import annotations

from pathlib import Path

import pytest

from local_controller.adapters.modbus.device import known_devices, load_device
from local_controller.config.load import load
from local_controller.errors import SiteFileError
from tests.stories import fallbacks, registers


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
    loaded(tmp_path, registers.site_file(devices, range(9000, 9001 + len(devices))))
