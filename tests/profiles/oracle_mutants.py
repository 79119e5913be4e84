"""Can the oracle fail? Each mutant breaks one rule in a copy of the engine; the oracle must find it.

python -m tests.profiles.oracle_mutants          one JSON line per mutant; ends with 1 if any survives
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
MOST_CASES = 1500


class Mutant(NamedTuple):
    """A rule, and how it is broken: `old` occurs once in the file."""

    rule: str
    file: str
    old: str
    new: str
    version: str = "2.1"


MUTANTS = (
    Mutant("validTo is exclusive", "activity", "window.position_us(profile.valid_to)", "window.position_us(profile.valid_to) + 1"),
    Mutant("validFrom is inclusive", "activity", "window.position_us(profile.valid_from)", "window.position_us(profile.valid_from) + 1"),
    Mutant("maxOfflineDuration ends validity", "activity", "stop = min(stop, _last_us(context.offline_since, allowed_s, window) + 1)", "pass"),
    Mutant("a Dynamic profile ends without update", "activity", "stop = min(stop, _last_us(profile.dyn_update_time, schedule.duration_s, window) + 1)", "pass"),
    Mutant("nothing before the origin", "activity", "yield begin, None\n        while", "yield begin, 0\n        while"),
    Mutant("a schedule ends with its duration", "activity", "end = last if self.end_us is None else min(base + self.end_us, last)", "end = last", "1.6"),
    Mutant("daily is 24 h", "activity", "Recurrency.DAILY: 86_400 * SECOND_US", "Recurrency.DAILY: 86_399 * SECOND_US", "1.6"),
    Mutant("weekly is 7 d", "activity", "Recurrency.WEEKLY: 7 * 86_400", "Recurrency.WEEKLY: 86_400", "2.0.1"),
    Mutant("Relative begins with the energy", "activity", "self.context.energy_since or window.start", "window.start", "1.6"),
    Mutant("local time is the station's", "activity", "self.schedule.use_local_time and", "False and"),
    Mutant("clocks change", "activity", "jumps = [window.position_us(t) for t in _clock_changes(zone, window.start, window.end)]", "jumps: list[int] = []"),
    Mutant("a period ends before its successor", "activity", "bisect_right(starts, head - base)", "bisect_left(starts, head - base)", "2.0.1"),
    Mutant("randomizedDelay spares the first period", "activity", "starts_s[1:] = [p.start_s + _delay_s(schedule, context, n) for n, p in enumerate(periods[1:])]", "starts_s = [p.start_s + _delay_s(schedule, context, n) for n, p in enumerate(periods)]"),
    Mutant("no delay without a transaction", "activity", "and context.delay_shares and context.transaction_id is not None", "and context.delay_shares"),
    Mutant("the highest level leads", "leading", "reverse=True", "reverse=False", "1.6"),
    Mutant("at a level the EVSE's own precedes", "leading", "entry.evse != 0)", "entry.evse == 0)", "1.6"),
    Mutant("a gap leaves the lead to the next", "leading", "found = line if found is NOTHING else over(found, line)", "found = line", "2.0.1"),
    Mutant("schedule 2 goes with schedule 2", "leading", "min(choice, len(profile.schedules) - 1)", "0", "2.0.1"),
    Mutant("a TxProfile is its transaction's", "composite", "profile.transaction_id in {None, context.transaction_id}", "True", "1.6"),
    Mutant("no TxProfile without a transaction", "composite", "return context.transaction_id is not None and", "return", "1.6"),
    Mutant("a gap in the TxProfile leaves the default", "composite", "if purpose in purposes and has_gap(found):", "if purpose in purposes and found is NOTHING:", "1.6"),
    Mutant("priority charging precedes", "composite", "return (*priority, Purpose.TX_PROFILE, Purpose.TX_DEFAULT_PROFILE)", "return (Purpose.TX_PROFILE, *priority, Purpose.TX_DEFAULT_PROFILE)"),
    Mutant("local generation is added", "composite", "combined(found, _lead(purposes, generation, context, asked), with_extra)", "found"),
    Mutant("external constraints bind", "composite", "return combined(found, _lead(purposes, external, context, asked), both)", "return found", "2.0.1"),
    Mutant("an EVSE without limit counts with its hardware", "composite", "return both(bound, bound_of_limit(limit_a, RateUnit.A, unit, phases, context)) or FREE", "return bound", "1.6"),
    Mutant("the lower limit wins", "bound", "b.limit < limit)", "b.limit > limit)", "1.6"),
    Mutant("the fewest phases count", "bound", "b.phases < phases)", "b.phases > phases)", "1.6"),
    Mutant("of alternatives the lowest", "bound", "b.drawn < a.drawn)", "b.drawn > a.drawn)", "2.0.1"),
    Mutant("a sum is on as many phases as any", "bound", "phases = max((n for n in", "phases = min((n for n in", "1.6"),
    Mutant("a setpoint is followed", "bound", "return whole(lowest(wanted, self.more.limits, self.more.unit), self.more.unit)", "return self.limit"),
    Mutant("setpoints stay within the limits", "bound", "return self._replace(more=more._replace(setpoints=cut))", "return self"),
    Mutant("limitAtSoC from its state of charge on", "bound", "soc_percent < at_soc.soc_percent", "soc_percent <= at_soc.soc_percent"),
    Mutant("idle draws nothing", "bound", "said = (0.0,)", "said = said"),
    Mutant("numberPhases of the period converts", "bound", "phases = period.number_phases if period.number_phases in {1, 2, 3} else context.default_phases", "phases = context.default_phases", "1.6"),
    Mutant("amperes hold on each phase also in watts", "bound", "limits = lowest(more.limits, (bound.each,) * 3, more.unit)", "limits = more.limits"),
    Mutant("one phase's watts are its own", "rates", "over = phases if len(given) == 1 else 1", "over = phases"),
    Mutant("of three phases the lowest", "rates", "return min(said) if unit is RateUnit.A", "return max(said) if unit is RateUnit.A"),
    Mutant("watts of each within watts of all", "rates", "if math.fsum(said) <= most:", "if True:"),
    Mutant("rounding goes down", "units", "math.floor((limit + _NOISE) / step)", "math.ceil((limit - _NOISE) / step)", "1.6"),
)  # fmt: skip


def outcome(mutant: Mutant, most_cases: int = MOST_CASES) -> dict[str, object]:
    """What the oracle says of a copy of the product with this mutant."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "local_controller", Path(folder, "local_controller"))
        shutil.copytree(ROOT / "tests" / "profiles", Path(folder, "tests", "profiles"))
        path = Path(folder, "local_controller", "profiles", f"{mutant.file}.py")
        path.write_text(path.read_text(encoding="utf-8").replace(mutant.old, mutant.new), encoding="utf-8")
        cases = ["--stop", "--versions", mutant.version, "--examples", str(most_cases)]
        told = subprocess.run(
            [sys.executable, "-m", "tests.profiles.oracle", *cases],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": folder},
            capture_output=True,
            text=True,
            check=False,
        )
    result = (
        json.loads(told.stdout)
        if told.stdout.strip()
        else {"cases": 0, "disagreements": -1, "error": told.stderr[-500:]}
    )
    found = result["disagreements"] > 0
    return {"rule": mutant.rule, "version": mutant.version, "found": found, "cases": result["cases"]} | (
        {"error": result["error"]} if "error" in result else {}
    )


def tell(result: dict[str, object]) -> None:
    sys.stdout.write(f"{json.dumps(result)}\n")
    sys.stdout.flush()


def main() -> int:
    """Prints what became of each mutant."""
    results = []
    for mutant in MUTANTS:
        results.append(outcome(mutant))
        tell(results[-1])
    tell({"mutants": len(results), "found": sum(bool(result["found"]) for result in results)})
    return 0 if all(result["found"] for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
