"""Is it recorded for two years when limits of the grid operator held, whatever becomes of the process?"""

from __future__ import annotations

import asyncio
import csv
import io
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from local_controller.adapters.dimming_file import DimmingFile
from local_controller.adapters.dimming_recorder import DimmingRecorder
from local_controller.cli.main import app
from local_controller.clock import Clock
from local_controller.site.dimming import STILL_S, Dimming, DimmingWatch, Event, Power, Row, drawn_power, holding
from local_controller.site.limit_message import ReceivedLimit
from local_controller.site.limit_source import LimitSource
from local_controller.site.limits import AppliesTo, Bound
from local_controller.station import words
from tests.site.virtual_site import START, VirtualSite, topology

DIM = Dimming("dso", "contact", Bound((16.0, 16.0, 10.0), 7560.0), 'W4 is "open" (given), indeed')
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def row(event: Event, minute: int = 0, charging_w: float = 7000.0, month: int = 3, year: int = 2026) -> Row:
    return Row(datetime(year, month, 2, 12, minute, tzinfo=UTC), event, DIM, Power(charging_w, 9000.0, 500.0))


def test_a_limit_that_holds_is_a_row_at_its_start_every_minute_and_at_its_end() -> None:
    watch, power, told = DimmingWatch(), Power(1.0), []
    for second in range(200):
        held = [DIM] if 10 <= second < 150 else []
        told += [(second, one.event) for one in watch.look(held, power, START.after(second))]
    assert told == [(10, Event.START), (10 + STILL_S, Event.STILL), (10 + 2 * STILL_S, Event.STILL), (150, Event.END)]


def test_a_limit_with_another_value_ends_and_begins_and_one_that_holds_at_the_end_is_stopped() -> None:
    watch, lower = DimmingWatch(), Dimming("dso", "contact", Bound(power_w=0.0), "K0 is closed (given)")
    list(watch.look([DIM], Power(1.0), START))
    told = [(one.event, one.dimming) for one in watch.look([lower], Power(1.0), START.after(1))]
    assert told == [(Event.END, DIM), (Event.START, lower)]
    assert [one.event for one in watch.stop(Power(1.0), START.after(2))] == [Event.STOP]


def dimmed_site() -> VirtualSite:
    source = LimitSource("dso", "dim", "grid", AppliesTo.CHARGING, None, 5.0, fallback_w=4200.0)
    site = VirtualSite(topology(63.0, 1), (source,))
    site.shows_volts = True
    site.base = lambda _: (-10.0, -10.0, -10.0)
    site.connect()
    site.run(15)
    return site


def test_what_holds_is_what_a_source_says_or_what_counts_without_it() -> None:
    site = dimmed_site()
    sources, kinds = site.controller.book.sources, {"dso": "contact"}
    assert holding(sources, kinds, 1.0, site.now) == [], "it has just begun"
    (silent,) = holding(sources, kinds, 15.0, site.now)
    assert (silent.bound, silent.reason) == (Bound(power_w=4200.0), "not heard since the start")
    site.plug("CP-1")
    site.announce("dso", None, 5.0)
    assert holding(sources, kinds, 15.0, site.now) == []
    site.carry_out(
        site.controller.limit_received("dso", ReceivedLimit(None, 4200.0, site.now.after(60), reason="W4"), site.now)
    )
    site.run(45)
    assert [one.reason for one in holding(sources, kinds, 60.0, site.now)] == ["W4"]
    power = drawn_power(site.controller.evses.values(), site.controller.nodes["grid"], site.now)
    assert power.charging_w == pytest.approx(6 * 3 * 230, abs=100)
    assert power.surplus_w == pytest.approx(30 * 230, abs=100)
    assert power.grid_w == pytest.approx(power.charging_w - power.surplus_w, abs=100)
    site.meter_alive = False
    site.run(20)
    blind = drawn_power(site.controller.evses.values(), site.controller.nodes["grid"], site.now)
    assert (blind.grid_w, blind.surplus_w) == (None, None)
    suspended = words.TransactionUpdated(1, str(site.stations["CP-1"].transaction), words.ChargingState.SUSPENDED_EV)
    site.tell("CP-1", suspended)
    assert drawn_power(site.controller.evses.values(), site.controller.nodes["grid"], site.now).charging_w == 0.0


def test_law_a_process_that_dies_while_it_writes_costs_that_row_at_most(tmp_path: Path) -> None:
    """Cut off at every byte of the last row, and gone on with."""
    record, path = DimmingFile(tmp_path), tmp_path / "dimmings-2026-03.csv"
    record.append([row(Event.START), row(Event.STILL, 1)])
    whole = path.read_bytes()
    record.append([row(Event.STILL, 2)])
    longer = path.read_bytes()
    for size in range(len(whole), len(longer) + 1):
        path.write_bytes(longer[:size])
        DimmingFile(tmp_path).append([row(Event.END, 3)])
        minutes = [int(one["at"][14:16]) for one in record.rows()]
        assert minutes in ([0, 1, 3], [0, 1, 2, 3]), longer[:size]
        assert all(one["grid_w"] == "9000" for one in record.rows())
    assert path.stat().st_mode & 0o777 == 0o600


def test_law_a_disk_that_was_full_when_the_month_began_costs_that_row_at_most(tmp_path: Path) -> None:
    """Cut off at every byte of the head and the first row, and gone on with."""
    record, path = DimmingFile(tmp_path), tmp_path / "dimmings-2026-03.csv"
    record.append([replace(row(Event.START), dimming=replace(DIM, reason="Küche"))])
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        record.append([row(Event.STILL, 1), row(Event.END, 2)])
        minutes = [int(one["at"][14:16]) for one in record.rows()]
        assert minutes in ([1, 2], [0, 1, 2]), whole[:size]


def test_two_years_are_kept_and_no_more(tmp_path: Path) -> None:
    record = DimmingFile(tmp_path)
    months = [(year, month) for year in (2024, 2025, 2026) for month in range(1, 13)]
    for year, month in months:
        record.append([row(Event.START, month=month, year=year)])
    (tmp_path / "other.csv").write_text("mine")
    kept = sorted(path.name for path in tmp_path.glob("dimmings-*.csv"))
    assert (kept[0], kept[-1], len(kept)) == ("dimmings-2024-11.csv", "dimmings-2026-12.csv", 26)
    assert (tmp_path / "other.csv").exists()


def test_a_clock_that_was_wrong_for_a_while_costs_no_record(tmp_path: Path) -> None:
    record = DimmingFile(tmp_path)
    for year, month in ((2026, 1), (2026, 2), (2090, 5), (2026, 3), (1970, 1), (2026, 4)):
        record.append([row(Event.START, month=month, year=year)])
    kept = {path.name for path in tmp_path.glob("dimmings-*.csv")}
    assert kept >= {f"dimmings-2026-0{month}.csv" for month in (1, 2, 3, 4)}


def exported(*arguments: str) -> list[dict[str, str]]:
    done = CliRunner().invoke(app, ["record", "export", *arguments])
    assert done.exit_code == 0, done.output
    return list(csv.DictReader(io.StringIO(done.output)))


def test_the_export_has_a_line_for_each_time_that_a_limit_held(tmp_path: Path) -> None:
    DimmingFile(tmp_path).append(
        [
            row(Event.START, 0, 30_000.0),
            row(Event.STILL, 1, 7000.0),
            row(Event.STILL, 2, 6000.0),
            row(Event.END, 3, 5000.0),
            row(Event.START, 10),
            row(Event.STILL, 11),
            row(Event.START, 20),
            row(Event.STOP, 25),
            row(Event.START, 30),
        ]
    )
    lines = exported(str(tmp_path))
    assert [(one["start"][11:16], one["end"][11:16], one["ended_by"]) for one in lines] == [
        ("12:00", "12:03", "its source"),
        ("12:10", "12:11", "the gateway died"),
        ("12:20", "12:25", "the gateway was stopped"),
        ("12:30", "12:30", "holds, or the gateway died"),
    ]
    first = lines[0]
    assert (first["limit"], first["kind"], first["limit_w"], first["limit_a"]) == (
        "dso",
        "contact",
        "7560",
        "16.0/16.0/10.0",
    )
    assert (first["charging_w_at_start"], first["mean_charging_w"], first["highest_charging_w"]) == (
        "30000",
        "6000",
        "7000",
    )
    assert (first["highest_grid_w"], first["mean_surplus_w"], first["measurements"]) == ("9000", "500", "3")
    assert first["reason"] == "W4 is 'open' (given); indeed"
    assert len(exported(str(tmp_path), "--since", "2026-03-02T12:20:00")) == 2
    assert len(exported(str(tmp_path), "--since", "2026-03-02T13:20:00+01:00")) == 2, "the same moment"


def test_an_export_of_nothing_says_why(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["record", "export", str(tmp_path / "nowhere")])
    assert done.exit_code == 1
    assert "nowhere" in done.output


def test_an_empty_record_is_a_head_and_a_word_beside_it(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["record", "export", str(tmp_path)])
    assert (done.exit_code, done.stdout.count("\n"), done.stdout.split(",")[0]) == (0, 1, "limit")
    assert done.stderr == f"no limit of the grid operator is recorded in {tmp_path}\n"
    DimmingFile(tmp_path).append([row(Event.START, 0), row(Event.END, 3)])
    done = CliRunner().invoke(app, ["record", "export", str(tmp_path), "--since", "2099-01-01"])
    assert done.stderr == f"no limit of the grid operator is recorded in {tmp_path} since 2099-01-01\n"


def test_a_time_that_is_none_is_told_with_an_example(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["record", "export", str(tmp_path), "--since", "yesterday"])
    assert (done.exit_code, done.output) == (
        1,
        "--since yesterday: write a day or a time, such as 2026-01-31 or 2026-01-31T12:00\n",
    )


async def test_the_recorder_writes_while_the_site_runs(tmp_path: Path) -> None:
    clock, site = Clock(), dimmed_site().controller
    site.limit_received("dso", ReceivedLimit(None, 4200.0, clock.now().after(60.0), reason="W4"), clock.now())
    recorder = DimmingRecorder(site, {"dso": "contact"}, tmp_path, clock, lambda power: replace(power, charging_w=99.0))
    await recorder.start()
    await asyncio.sleep(0.05)
    await recorder.stop()
    assert [(one["event"], one["limit_w"], one["charging_w"]) for one in DimmingFile(tmp_path).rows()] == [
        ("start", "4200", "99"),
        ("stop", "4200", "99"),
    ]
