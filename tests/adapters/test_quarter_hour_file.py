"""Does a gateway that is started again know what this quarter of an hour has used, and nothing that is not so?"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from local_controller.adapters import quarter_hour_file
from local_controller.adapters.quarter_hour_file import NAME, QuarterHourFile
from local_controller.clock import Clock, Instant
from local_controller.site.own_limits import QuarterHourLimit
from local_controller.site.quarter_hour import MOST, QuarterHour

MEAN_W = 12_000.0
NOON = Instant(5000.0, datetime(2026, 3, 6, 12, tzinfo=UTC))


class SetClock(Clock):
    """Stands still where it is set, so long after noon."""

    at_s = 0.0

    def now(self) -> Instant:
        return NOON.after(SetClock.at_s)


class Machine:
    """Where a gateway runs once and again; `boot` names the time since it was switched on."""

    def __init__(self, folder: Path) -> None:
        self.state, self.boot = folder / "state", folder / "boot_id"
        self.state.mkdir()
        self.boot.write_text("one\n", encoding="ascii")

    def run(self, node: str = "grid", clock: Clock | None = None) -> tuple[QuarterHour, QuarterHourFile]:
        """A gateway that starts now, and what it knows."""
        limit = QuarterHourLimit("peak", "limit 'peak'", node, QuarterHour(MEAN_W))
        file = QuarterHourFile([limit], self.state, clock or SetClock(), self.boot)
        file.restore()
        return limit.quarter, file

    async def first(self, seconds: int = 500) -> None:
        """A gateway that has seen the quarter from its beginning at 6 kW, and is stopped then."""
        quarter, file = self.run()
        for second in range(seconds + 1):
            quarter.measured(6_000.0, NOON.after(second))
        await file.start()
        await file.stop()


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr(SetClock, "at_s", 520.0)
    return Machine(tmp_path)


UNKNOWN_WH = QuarterHour(MEAN_W).allowed(NOON.after(520)).used_wh
KNOWN_WH = (6_000.0 * 500 + MOST * MEAN_W * 20) / 3600


def used_wh(quarter: QuarterHour) -> float:
    return quarter.allowed(NOON.after(520)).used_wh


async def test_a_gateway_that_is_started_again_knows_what_was_used(machine: Machine) -> None:
    await machine.first()
    quarter, _ = machine.run()
    assert used_wh(quarter) == pytest.approx(KNOWN_WH)
    assert quarter.allowed(NOON.after(520)).power_w > 0.9 * MEAN_W
    assert QuarterHour(MEAN_W).allowed(NOON.after(520)).power_w == 0.0, "else its cars would wait for the next quarter"
    assert json.loads((machine.state / NAME).read_text())["limits"]["peak"][1]["last_w"] == 6_000.0


async def test_after_a_restart_of_the_machine_nothing_is_known(machine: Machine) -> None:
    await machine.first()
    machine.boot.write_text("two\n", encoding="ascii")
    assert used_wh(machine.run()[0]) == UNKNOWN_WH


async def test_where_nothing_tells_that_the_clock_went_on_nothing_is_kept(machine: Machine) -> None:
    machine.boot.unlink()
    await machine.first()
    assert list(machine.state.iterdir()) == []
    machine.boot.write_text("", encoding="ascii")
    await machine.first()
    assert list(machine.state.iterdir()) == []
    counted = '{"totals_wh": [[5000.0, 0.0], [5500.0, 0.0]], "last_w": 0.0}'
    (machine.state / NAME).write_text(f'{{"clock": "", "limits": {{"peak": ["grid", {counted}]}}}}')
    assert used_wh(machine.run()[0]) == UNKNOWN_WH


async def test_a_clock_that_runs_faster_is_another_one(machine: Machine) -> None:
    await machine.first()
    assert used_wh(machine.run(clock=SetClock(speed=10.0))[0]) == UNKNOWN_WH


async def test_a_machine_that_slept_meanwhile_does_not_know_for_how_long_nobody_looked(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await machine.first()
    monkeypatch.setattr(quarter_hour_file.time, "clock_gettime", lambda _: time.monotonic() + 300.5)
    assert used_wh(machine.run()[0]) == UNKNOWN_WH


async def test_what_the_meter_of_another_node_has_counted_is_not_that_of_this_one(machine: Machine) -> None:
    await machine.first()
    assert used_wh(machine.run(node="west")[0]) == UNKNOWN_WH


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b'{"clock": "one", "limits": {"peak": ["grid", {"totals_wh": [[5000, 0], [5500, "x"]], "last_w": 0}]}}',
        b'{"clock": "one", "limits": {"peak": ["grid", {"totals_wh": [[5000, 0], [5500, 1e999]], "last_w": 0}]}}',
        b'{"clock": "one\xe1", "limits": {}}',
    ],
    ids=["empty", "nothing in it", "no number", "endless", "one bit has flipped"],
)
def test_a_damaged_file_says_nothing_and_people_are_told(machine: Machine, text: bytes) -> None:
    (machine.state / NAME).write_bytes(text)
    with capture_logs() as logs:
        assert used_wh(machine.run()[0]) == UNKNOWN_WH
    assert [log["event"] for log in logs] == ["quarter_hours_forgotten"]


async def test_what_cannot_be_written_stops_nobody(machine: Machine) -> None:
    machine.state.rmdir()
    with capture_logs() as logs:
        await machine.first()
    assert {log["event"] for log in logs} == {"quarter_hours_not_kept"}
