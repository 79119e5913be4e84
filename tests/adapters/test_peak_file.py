"""Is a peak of this month paid for after a restart, too, and none that is not so?"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from local_controller.adapters.peak_file import NAME, PeakFile
from local_controller.clock import Instant
from local_controller.site.quarter_means import Peak

MARCH = Instant(0.0, datetime(2026, 3, 31, 12, tzinfo=UTC))
APRIL = Instant(0.0, datetime(2026, 4, 1, tzinfo=UTC))


def drawn(power_w: float, peak: Peak) -> Peak:
    """So much over a quarter of an hour."""
    for second in range(0, 901, 10):
        peak.measured(power_w, MARCH.after(second))
    return peak


def found(state: Path) -> Peak:
    """What the next run begins with."""
    peak = Peak()
    PeakFile(peak, state).restore()
    return peak


async def test_it_outlives_a_restart_and_no_month(tmp_path: Path) -> None:
    file = PeakFile(drawn(30_000.0, Peak()), tmp_path)
    await file.start()
    await file.stop()
    assert (tmp_path / NAME).read_text() == '{"month":"2026-03","mean_w":30000.0}'
    peak = found(tmp_path)
    assert peak.highest_w(MARCH) == 30_000.0
    assert drawn(20_000.0, peak).highest_w(MARCH) == 30_000.0
    assert drawn(40_000.0, peak).highest_w(MARCH) == pytest.approx(40_000.0)
    assert peak.highest_w(APRIL) == 0.0
    assert peak.highest_w(Instant(0.0, datetime(2027, 3, 31, tzinfo=UTC))) == 0.0


async def test_before_the_first_whole_quarter_the_file_stays_as_it_is(tmp_path: Path) -> None:
    file = PeakFile(Peak(), tmp_path)
    await file.start()
    await file.stop()
    assert not (tmp_path / NAME).exists()


@pytest.mark.parametrize("mean_w", ["-1", "1e10", "1e999"])
def test_what_nobody_can_have_measured_is_not_paid_for(tmp_path: Path, mean_w: str) -> None:
    """Else all that cars draw would cost nothing."""
    (tmp_path / NAME).write_text(f'{{"month": "2026-03", "mean_w": {mean_w}}}')
    with capture_logs():
        assert found(tmp_path).highest_w(MARCH) == 0.0


@pytest.mark.parametrize("text", [b"", b"{}", b'{"month": "2026-03", "mean_w": "much"}', b"\xe1"])
def test_a_damaged_file_says_nothing_and_people_are_told(tmp_path: Path, text: bytes) -> None:
    (tmp_path / NAME).write_bytes(text)
    with capture_logs() as logs:
        assert found(tmp_path).highest_w(MARCH) == 0.0
    assert [log["event"] for log in logs] == ["peak_forgotten"]
