"""How good, calm, fair, fast and sound is the optimizer? One JSON object a figure; progress goes to standard error.

Without options: five weekdays of made-up sessions at a garage of 54 EVSEs, some minutes, nothing else needed. With
`--sessions FOLDER`: recorded sessions of real garages, as `benchmarks/optimizer/recorded.py` reads them. Exit code 1 if
a limit was exceeded or a figure is missing; a figure that is not reached says so in its line.
"""

from __future__ import annotations

import argparse
import calendar
import json
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

from backtest.sessions import weekdays
from benchmarks.optimizer import profit, recorded
from benchmarks.optimizer.closed_loop import Case
from benchmarks.optimizer.goals import SOUND_A
from benchmarks.optimizer.recorded import Window
from benchmarks.optimizer.sites import SITES, caltech
from benchmarks.optimizer.snapshots import snapshots
from benchmarks.optimizer.speed import curtailments, plans

PARTS = ("G1", "G4", "G5", "G6", "G7", "G8", "G9")
LIMITS_KW = {"caltech": (20.0, 30.0, 40.0, 50.0, 60.0), "jpl": (50.0, 70.0)}
FAIR_KW = {"caltech": 30.0, "jpl": 50.0}
"""Where fairness, guesses and real batteries are measured: a limit that delivers two thirds to three quarters of the wishes."""

PROFIT_KW = 150.0
"""Where profit is measured: a transformer that limits nothing, so that only prices and the peak do."""

PROFIT_WINDOWS = ("caltech:2018-09-01:2018-10-01",)
QUICK_SIZES = {50: 20, 100: 20, 200: 20, 500: 20}
RATIO_SIZES = {50: 3, 200: 3}
FULL_SIZES = {50: 40, 100: 40, 200: 40, 500: 40, 1000: 20, 2000: 10}
WINDOWS = ("caltech:2018-09-01:2018-10-01", "jpl:2019-10-07:2019-10-12")


def main() -> int:
    """Measures and prints."""
    options = _options()
    unsound = False
    for line in _lines(options):
        print(json.dumps(line), flush=True)
        violation_a = line.get("violation_a", 0.0)
        unsound |= isinstance(violation_a, float) and violation_a > SOUND_A
    return int(unsound)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.optimizer", description=__doc__)
    parser.add_argument(
        "--parts",
        default=",".join(PARTS),
        help=f"some of {', '.join(PARTS)}; G1 brings G2 and G3 along; ratio: beside cvxpy, see requirements/bench.txt",
    )
    parser.add_argument("--kw", help="limits of the transformer in kW, as 30,40")
    parser.add_argument("--days", type=int, default=5, help="made-up weekdays")
    parser.add_argument("--seed", type=int, default=1, help="of the made-up sessions")
    parser.add_argument("--sessions", type=Path, help="folder of recorded sessions; then the run is a full one")
    parser.add_argument("--windows", nargs="*", default=(), help=f"SITE:FIRST:LAST (default {' '.join(WINDOWS)})")
    parser.add_argument("--months", nargs="*", default=(), help="whole months more, as caltech:2019-05")
    parser.add_argument(
        "--hold-out", nargs="*", default=(), help="windows on which nothing was tuned; marked in their lines"
    )
    return parser.parse_args()


def _lines(options: argparse.Namespace) -> Iterator[dict[str, object]]:
    parts = options.parts.split(",")
    full = options.sessions is not None
    if not {"G1", "G4", "G5"}.isdisjoint(parts):
        for case, more in _recorded(options) if full else _made_up(options):
            yield from ({**line, **more} for line in _of_case(case, parts))
    if "G6" in parts:
        for priced, more in _priced(options):
            yield from ({**line, **more} for line in priced.lines())
    if "G7" in parts:
        yield from plans(FULL_SIZES if full else QUICK_SIZES)
    if "ratio" in parts:
        from benchmarks.optimizer.reference import ratios  # noqa: PLC0415 - needs what nothing else here needs

        yield from ratios(RATIO_SIZES)
    if "G8" in parts:
        yield from curtailments(100 if full else 30)
    if "G9" in parts:
        yield from snapshots(10_000 if full else 1_000)


def _of_case(case: Case, parts: list[str]) -> Iterator[dict[str, object]]:
    """G4 and G5 only with the limit at which fairness is measured."""
    if "G1" in parts:
        yield from case.lines()
    if "G4" in parts and case.fair:
        yield case.unknown_line()
    if "G5" in parts and case.fair:
        yield case.tapering_line()


def _made_up(options: argparse.Namespace) -> Iterator[tuple[Case, dict[str, object]]]:
    name = f"{options.days} made-up weekdays, seed {options.seed}"
    for limit_kw in _limits(options, "caltech"):
        network = caltech(limit_kw)
        sessions = weekdays(network, options.days, options.seed)
        yield Case(name, limit_kw, network, sessions, fair=limit_kw == FAIR_KW["caltech"]), {}


def _priced(options: argparse.Namespace) -> Iterator[tuple[profit.Case, dict[str, object]]]:
    if options.sessions is None:
        network = caltech(PROFIT_KW)
        name = f"{options.days} made-up weekdays, seed {options.seed}"
        sessions = weekdays(network, options.days, options.seed)
        yield profit.Case(name, PROFIT_KW, network, sessions, options.days), {}
        return
    tuned, held_out = _windows(options, PROFIT_WINDOWS)
    for window in (*tuned, *held_out):
        network = SITES[window.site](PROFIT_KW)
        sessions = recorded.sessions(options.sessions, window, network)
        days = (window.last - window.first).days
        case = profit.Case(str(window), PROFIT_KW, network, sessions, days, window.first.weekday())
        yield case, {"hold_out": window in held_out}


def _windows(options: argparse.Namespace, default: tuple[str, ...]) -> tuple[list[Window], list[Window]]:
    """Those that were asked for, and those of them that are held out."""
    tuned = [Window.of(text) for text in options.windows] + [month(text) for text in options.months]
    held_out = [Window.of(text) for text in options.hold_out]
    if not tuned and not held_out:
        tuned = [Window.of(text) for text in default]
    return tuned, held_out


def _recorded(options: argparse.Namespace) -> Iterator[tuple[Case, dict[str, object]]]:
    tuned, held_out = _windows(options, WINDOWS)
    for window in (*tuned, *held_out):
        for limit_kw in _limits(options, window.site):
            network = SITES[window.site](limit_kw)
            sessions = recorded.sessions(options.sessions, window, network)
            fair = limit_kw == FAIR_KW[window.site]
            case = Case(str(window), limit_kw, network, sessions, fair, first_weekday=window.first.weekday())
            yield case, {"hold_out": window in held_out}


def _limits(options: argparse.Namespace, site: str) -> tuple[float, ...]:
    return tuple(float(text) for text in options.kw.split(",")) if options.kw else LIMITS_KW[site]


def month(text: str) -> Window:
    """`caltech:2019-05` from its first day to the first of the next."""
    try:
        site, of = text.split(":")
        first = date.fromisoformat(f"{of}-01")
    except ValueError as error:
        raise ValueError(f"month {text!r}: {error}; write SITE:YEAR-MONTH, as caltech:2019-05") from error
    return Window(site, first, first + timedelta(days=calendar.monthrange(first.year, first.month)[1]))


if __name__ == "__main__":
    sys.exit(main())
