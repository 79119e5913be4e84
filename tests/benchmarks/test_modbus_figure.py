"""The benchmark of Modbus: does it read what it counts?"""

from __future__ import annotations

from benchmarks.modbus import POINTS, measured


def test_every_meter_is_read_once_a_second_and_without_failures() -> None:
    line = measured(meters=2, seconds=2.0)
    assert line["failures"] == []
    assert 0.5 * 2 * POINTS <= float(str(line["points_per_s"])) <= 1.5 * 2 * POINTS
