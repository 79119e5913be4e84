"""What the building usually draws: learnt by the quarter of an hour, robust against odd days, and kept over a restart."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from local_controller.adapters.load_history_file import NAME, LoadHistoryFile
from local_controller.clock import Instant
from local_controller.site.foresight import Foresight
from local_controller.site.load_history import KEPT, LoadHistory
from local_controller.site.outlook import Kind, Source, Told
from local_controller.site.outlook_view import outlook_views
from local_controller.site.readings import MeterReading
from local_controller.site.series import Series, Step
from local_controller.site.standing import together
from local_controller.site.wishes import ChargingMode
from optimizer.problem import Horizon

BERLIN = ZoneInfo("Europe/Berlin")
MONDAY = datetime(2026, 3, 2, tzinfo=BERLIN)
EVERY_S = 5.0


def learn(history: LoadHistory, start: datetime, hours: float, load_w: Callable[[datetime], float]) -> Instant:
    """Readings every 5 s; the moment after the last."""
    began = Instant(1e6 + start.timestamp(), start.astimezone(UTC))
    now = began
    for number in range(round(hours * 3600 / EVERY_S) + 1):
        now = began.after(number * EVERY_S)
        history.measured(load_w(now.utc.astimezone(BERLIN)), now)
    return now


def expected_w(history: LoadHistory, at: datetime, hours: float = 0.25) -> float | None:
    return history.expected_w(at.timestamp(), at.timestamp() + hours * 3600)


def test_three_mornings_make_a_forecast_for_working_days_and_for_no_other() -> None:
    history = LoadHistory(BERLIN)
    for day in range(3):
        assert expected_w(history, MONDAY + timedelta(days=7, hours=8)) is None
        learn(history, MONDAY + timedelta(days=day, hours=8), 0.5, lambda at: 4000.0 if at.minute < 15 else 6000.0)
    friday = MONDAY + timedelta(days=4, hours=8)
    assert expected_w(history, friday) == pytest.approx(4000.0, rel=0.01)
    assert expected_w(history, friday, 0.5) == pytest.approx(5000.0, rel=0.01)
    assert expected_w(history, friday, 1.0) is None, "a part of it was never seen"
    assert expected_w(history, MONDAY + timedelta(days=5, hours=8)) is None, "nor was any Saturday"


def test_one_odd_day_changes_nothing_and_a_new_habit_does_after_two_weeks() -> None:
    history = LoadHistory(BERLIN)
    loads_w = [2000.0] * 6 + [9000.0] + [2000.0] * 3 + [5000.0] * KEPT
    days = [day for day in range(40) if (MONDAY + timedelta(days=day)).weekday() < 5][: len(loads_w)]
    seen = []
    for day, load_w in zip(days, loads_w, strict=True):
        learn(history, MONDAY + timedelta(days=day), 0.25, lambda _, load_w=load_w: load_w)
        learn(history, MONDAY + timedelta(days=day, hours=1), 0.0, lambda _: 0.0)  # the quarter is over
        seen.append(expected_w(history, MONDAY))
    assert seen[6:10] == [2000.0] * 4
    assert seen[-1] == 5000.0
    assert all(len(means_w) <= KEPT for means_w in history.means_w.values())


def test_a_quarter_of_which_little_was_measured_counts_for_nothing() -> None:
    history = LoadHistory(BERLIN)
    for day in range(4):
        learn(history, MONDAY + timedelta(days=day), 0.1, lambda _: 3000.0)
        learn(history, MONDAY + timedelta(days=day, hours=1), 0.0, lambda _: 0.0)
    assert history.means_w == {}


def test_what_is_foreseen_stands_in_the_plan_and_the_present_where_nothing_is() -> None:
    """Five kilowatts of sun; the building is known to draw 2 kW at eight and draws 1 kW now."""
    history = LoadHistory(BERLIN)
    for day in range(3):
        now = learn(history, MONDAY + timedelta(days=day, hours=8), 1.0, lambda _: 2000.0)
    at = Instant(now.monotonic_s, (MONDAY + timedelta(days=3, hours=7)).astimezone(UTC))
    sun = Source(Told(Kind.PV, "W", "sun"))
    sun.received(Series((Step(at.utc.timestamp(), at.utc.timestamp() + 4 * 3600, 5000.0),)), at)
    foresight = Foresight({Kind.PV: sun}, zone=BERLIN, history=history)
    foresight.measured(reading(at, -4000.0), together([]), [], at)
    blocks = Horizon((0.0, 3600.0, 7200.0, 10800.0))
    _, tariff = foresight.ahead(blocks, [ChargingMode.SURPLUS], "even", at)
    assert tariff is not None
    assert tariff.surplus_w == pytest.approx((4000.0, 3000.0, 4000.0), abs=1.0)
    assert outlook_views(foresight, at)[-1].state == "learning"
    at_eight = Instant(at.monotonic_s + 3600, at.utc + timedelta(hours=1))
    assert (outlook_views(foresight, at_eight)[-1].state, outlook_views(foresight, at_eight)[-1].value) == (
        "learnt",
        2000.0,
    )


def reading(at: Instant, power_w: float) -> MeterReading:
    return MeterReading("m", at, (power_w / 690,) * 3)


async def test_it_outlives_a_restart_in_a_file_that_people_can_read(tmp_path: Path) -> None:
    history = LoadHistory(BERLIN)
    for day in range(3):
        learn(history, MONDAY + timedelta(days=day, hours=8), 0.25, lambda _: 4000.0)
        learn(history, MONDAY + timedelta(days=day, hours=9), 0.0, lambda _: 0.0)
    keeper = LoadHistoryFile(LoadHistory(BERLIN), tmp_path)
    await keeper.start()
    await keeper.stop()
    assert not (tmp_path / NAME).exists(), "nothing was learnt"
    keeper = LoadHistoryFile(history, tmp_path)
    await keeper.start()
    await keeper.stop()
    assert json.loads((tmp_path / NAME).read_text()) == {"working day": {"32": [4000.0, 4000.0, 4000.0]}}
    later = LoadHistory(BERLIN)
    LoadHistoryFile(later, tmp_path).restore()
    assert expected_w(later, MONDAY + timedelta(hours=8)) == 4000.0


async def test_what_a_full_disk_refused_is_written_when_there_is_room(tmp_path: Path) -> None:
    history = LoadHistory(BERLIN)
    learn(history, MONDAY + timedelta(hours=8), 0.25, lambda _: 4000.0)
    keeper = LoadHistoryFile(history, tmp_path)
    (tmp_path / f"{NAME}.new").mkdir()  # cannot be opened as a file
    await keeper.stop()
    assert not (tmp_path / NAME).exists()
    (tmp_path / f"{NAME}.new").rmdir()
    await keeper.stop()
    assert json.loads((tmp_path / NAME).read_text()) == {"working day": {"32": [4000.0]}}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b'{"working day": {"32": ["x"]}}',
        b'{"monday": {"32": [1]}, "sunday": {"96": [1], "-1": [1], "5": [-3], "6": [1e308, 1e308, 1e308]}}',
        b'{"working d\xe1y": {"32": [1]}}',  # one bit has flipped
    ],
)
def test_a_file_that_is_no_history_teaches_nothing(tmp_path: Path, text: bytes) -> None:
    (tmp_path / NAME).write_bytes(text)
    history = LoadHistory(BERLIN)
    LoadHistoryFile(history, tmp_path).restore()
    assert history.means_w == {}
