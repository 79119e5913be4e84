"""What does a plan cost? Energy bought less what surplus and cars replace or earn, wear, and the peak."""

from __future__ import annotations

import numpy as np

from optimizer.problem import Problem, Tariff
from optimizer.rows import Array, wh_per_ampere


def others_w(tariff: Tariff, blocks: int) -> Array:
    """(K,) what the site draws without cars; below 0 is surplus."""
    power_w: Array = np.array(tariff.background_w or (0.0,) * blocks) - np.array(tariff.surplus_w or (0.0,) * blocks)
    return power_w


def cost_of(problem: Problem, plan_a: Array) -> float:
    """Of the plan (N, K), below 0 given back, in the tariff's currency; what the site would pay without cars is left out.

    Surplus is used first, and what cars give back replaces what is bought before it is exported.
    """
    tariff, blocks = problem.tariff, problem.horizon.blocks
    if tariff is None:
        return 0.0
    hours = np.diff(np.array(problem.horizon.edges_s)) / 3600
    import_, export = np.array(tariff.import_per_kwh), np.array(tariff.export_per_kwh or (0.0,) * blocks)
    per_ampere, base_w = wh_per_ampere(problem), others_w(tariff, blocks)
    drawn_wh, back_wh = ((sign * plan_a).clip(min=0.0) * per_ampere for sign in (1.0, -1.0))
    net_wh = base_w * hours + (drawn_wh - back_wh).sum(axis=0)
    paid = _paid(net_wh, import_, export) - _paid(base_w * hours, import_, export)
    wear = np.array([0.0 if need.discharge is None else need.discharge.wear_per_kwh for need in problem.needs])
    cost = float(paid.sum()) + float(wear @ back_wh.sum(axis=1))
    raised_w = max(0.0, float((net_wh / hours).max()) - tariff.peak_w)
    return (cost + (tariff.peak_per_kw or 0.0) * raised_w) / 1000


def _paid(net_wh: Array, import_: Array, export: Array) -> Array:
    paid: Array = np.where(net_wh > 0, net_wh * import_, net_wh * export)
    return paid
