"""Why does a car give energy back, or why does it not although it could? Prices, losses, limits and its own need, in plain English."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from optimizer.explain_cost import at, clock_of
from optimizer.feed_in import may_give_back
from optimizer.money import others_w
from optimizer.problem import PHASES, ChargingNeed, Discharge, Problem, Reason, Tariff
from optimizer.surplus import SURPLUS

NOISE_A = 1e-6


@dataclass(frozen=True, slots=True)
class BackView:
    """A problem as cars see it that may give back. plan_a: currents by need, those of block 0 only where no plan is known.

    used_w: [block] what the site draws with all that charge by the plan; below 0 is surplus. Empty where nobody knows a price.
    """

    problem: Problem
    plan_a: Mapping[str, Sequence[float]]
    used_w: Sequence[float]

    @classmethod
    def of(cls, problem: Problem, plan_a: Mapping[str, Sequence[float]]) -> BackView:
        """Adds up once what all of them draw."""
        if problem.tariff is None or all(need.discharge is None for need in problem.needs):
            return cls(problem, plan_a, ())
        used_w = others_w(problem.tariff).tolist()
        for need in problem.needs:
            for block, current in enumerate(plan_a[need.id]):
                used_w[block] += need.power_w(max(current, 0.0))
        return cls(problem, plan_a, used_w)

    def reasons(self, need: ChargingNeed) -> tuple[Reason, ...]:
        """Why it gives back so much in block 0, or why nothing; empty where it cannot, or nobody knows a price."""
        back, tariff, now_a = need.discharge, self.problem.tariff, self.plan_a[need.id][0]
        if back is None or tariff is None:
            return ()
        if now_a < 0:
            return (Reason("discharge", f"Gives back {-now_a:.1f} A: {self._gain(need, back, tariff)}."),)
        why = next(self._obstacles(need, back, tariff))
        return (Reason("discharge", f"Gives nothing back: {why}."),)

    def _gain(self, need: ChargingNeed, back: Discharge, tariff: Tariff) -> str:
        now, is_own = self._worth_now(tariff)
        block = self._refill(need, tariff)
        verb = "costs" if is_own else "earns"
        if block is None:
            return f"a kWh {verb} {now:.2f} {tariff.currency} now"
        later = self._price(need, tariff, block)
        if later / back.efficiency + back.wear_per_kwh >= now and tariff.peak_per_kw:
            return f"it keeps the site's peak lower, at {tariff.peak_per_kw:.2f} {tariff.currency}/kW"
        when = clock_of(tariff, self.problem.horizon.edges_s[block])
        then = f"is exported for {later:.2f}" if self._sun(need, block) else f"{later:.2f}"
        return f"a kWh {verb} {now:.2f} {tariff.currency} now, {then} {when}"

    def _obstacles(self, need: ChargingNeed, back: Discharge, tariff: Tariff) -> Iterator[str]:
        """What stands in the way, the plainest first; the last one always does."""
        if not may_give_back(need, self.problem):
            yield "what it wants or when it leaves is not known for certain"
        least = f"its minimum of {back.min_a:.1f} A"
        if back.most_a(0) < back.min_a - NOISE_A:
            yield f"it may give back {back.most_a(0):.1f} A now, less than {least}"
        if back.spare_wh == 0:
            yield "it holds nothing above what it must keep"
        yield from self._full(need, least)
        yield from self._later(need, tariff)
        block, (now, _) = self._refill(need, tariff), self._worth_now(tariff)
        if block is not None:
            again = self._price(need, tariff, block) / back.efficiency + back.wear_per_kwh
            if again >= now:
                yield f"a kWh is worth {now:.2f} {tariff.currency} now, and {again:.2f} with losses and wear to put it back"
        yield "no plan was found that costs less and in which it has all it wants by its departure"

    def _full(self, need: ChargingNeed, least: str) -> Iterator[str]:
        """Circuits that let less through than its minimum beside what others give back."""
        for circuit in self.problem.circuits:
            for phase in need.phases if circuit.id in need.circuits and circuit.id != SURPLUS else ():
                cars = (one for one in self.problem.needs if circuit.id in one.circuits and phase in one.phases)
                taken_a = sum(max(-self.plan_a[one.id][0], 0.0) for one in cars)
                allowed_a = circuit.feed_in_a[0][phase] if circuit.feed_in_a is not None else 0.0
                if need.discharge is not None and allowed_a - taken_a < need.discharge.min_a - NOISE_A:
                    yield f"{circuit.label}, {PHASES[phase]}: {max(allowed_a - taken_a, 0.0):.1f} A may be fed in, less than {least}"
                    return

    def _later(self, need: ChargingNeed, tariff: Tariff) -> Iterator[str]:
        """The first block in which it is planned to: dearer, or as dear and so long the car keeps what it has."""
        then = next((block for block, current in enumerate(self.plan_a[need.id]) if current < 0), None)
        if then is not None:
            when = clock_of(tariff, self.problem.horizon.edges_s[then])
            now, later = tariff.import_per_kwh[0], tariff.import_per_kwh[then]
            yield f"planned {when}: a kWh costs {now:.2f} {tariff.currency} now, {later:.2f} then"

    def _refill(self, need: ChargingNeed, tariff: Tariff) -> int | None:
        """The cheapest block after this one in which it is planned to charge, or could; the earliest of those."""
        edges, plan = self.problem.horizon.edges_s, self.plan_a[need.id]
        until_s = edges[-1] if need.departure_s is None else need.departure_s
        there = [block for block in range(1, self.problem.horizon.blocks) if edges[block] < until_s]
        planned = [block for block in there if len(plan) > block and plan[block] > 0]
        return min(planned or there, key=lambda block: self._price(need, tariff, block), default=None)

    def _price(self, need: ChargingNeed, tariff: Tariff, block: int) -> float:
        """Of a kWh that is put back then."""
        return at(tariff.export_per_kwh, block) if self._sun(need, block) else tariff.import_per_kwh[block]

    def _worth_now(self, tariff: Tariff) -> tuple[float, bool]:
        """What one kWh given back replaces now, and whether that would be bought: else it is exported."""
        is_own = self.used_w[0] > 0
        return (tariff.import_per_kwh[0] if is_own else at(tariff.export_per_kwh, 0)), is_own

    def _sun(self, need: ChargingNeed, block: int) -> bool:
        """Whether the others leave surplus."""
        plan = self.plan_a[need.id]
        return self.used_w[block] - (need.power_w(max(plan[block], 0.0)) if len(plan) > block else 0.0) < 0
