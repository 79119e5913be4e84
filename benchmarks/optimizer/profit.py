"""What does a site earn that pays by the hour and for its peak? Beside perfect foresight, with and without a hint of the peak (G6)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from backtest.engine import Algorithm, run
from backtest.network import Network
from backtest.rules import RULES
from backtest.sessions import Session
from benchmarks.optimizer.contract import Contract, Hinted, Unhinted
from benchmarks.optimizer.goals import SOUND_A, line, say
from benchmarks.optimizer.optimum import BestProfit, best_profit
from optimizer.acn import Prices, Sale, make

MONTH_DAYS = 28
"""From so many days on the demand charge is that of a month; a shorter window pays its part of 30 days."""


@dataclass(frozen=True)
class Case:
    """Days of a site with one limit, whose prices and needs are known, but not who will come."""

    window: str
    limit_kw: float
    network: Network
    sessions: Sequence[Session]
    days: int
    first_weekday: int = 0

    def lines(self) -> Iterator[dict[str, object]]:
        """The hint is the peak that perfect foresight would pay for."""
        part = 1.0 if self.days >= MONTH_DAYS else self.days / 30
        contract = Contract(self.first_weekday, peak_per_kw=part * Contract.peak_per_kw)
        best = best_profit(self.network, self.sessions, contract)
        say(f"{self}: optimum {best}")
        rule = self._figures("least laxity", RULES["least_laxity"](self.network), contract)
        pricings: dict[str, Prices] = {
            "hint": Hinted(contract, 1000 * best.peak_kw),
            "alone": Unhinted(contract, self.network, self.days),
        }
        for name, prices in pricings.items():
            algorithm = make(self.network, "cost", sale=Sale(prices, contract.revenue_per_kwh))
            figures = self._figures(name, algorithm, contract)
            yield self._line(name, figures, best, rule["profit"])

    def _line(self, name: str, figures: dict[str, float], best: BestProfit, rule_profit: float) -> dict[str, object]:
        more = {
            "window": self.window,
            "sessions": len(self.sessions),
            "r_pct": 100 * figures["profit"] / best.profit,
            **figures,
            "optimum_peak_kw": best.peak_kw,
            "least_laxity": rule_profit,
        }
        sound = figures["violation_a"] <= SOUND_A
        return line(f"G6_{name}_{self.limit_kw:g}kW", figures["profit"], more, optimum=best.profit, sound=sound)

    def _figures(self, name: str, algorithm: Algorithm, contract: Contract) -> dict[str, float]:
        result = run(self.network, self.sessions, algorithm)
        bill, all_ = contract.bill(result.drawn_kwh), result.figures()
        shown = ("delivered_pct", "stops_per_session", "violation_a", "cpu_ms_p50", "cpu_ms_p95")
        figures = {
            "profit": bill.profit,
            "energy_cost": bill.energy,
            "demand_charge": bill.demand,
            "peak_kw": bill.demand / contract.peak_per_kw,
            **{key: all_[key] for key in shown},
        }
        say(f"{self}, {name}: " + ", ".join(f"{key} {value:.2f}" for key, value in figures.items()))
        return figures

    def __str__(self) -> str:
        return f"{self.window}, {self.limit_kw:g} kW"
