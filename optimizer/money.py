"""What does a plan cost? Energy bought less what surplus and cars replace or earn, wear, and the peak."""

from __future__ import annotations

import numpy as np

from optimizer.arrays import Array
from optimizer.feed_in import discharge_of
from optimizer.problem import Problem, Tariff
from optimizer.rows import block_hours, wh_per_ampere


def by_block(values: tuple[float, ...], tariff: Tariff) -> Array:
    """(K,) a series of the tariff; 0 in each block where it is empty."""
    return np.array(values or (0.0,) * len(tariff.import_per_kwh))


def others_w(tariff: Tariff) -> Array:
    """(K,) what the site draws without cars; below 0 is surplus."""
    power_w: Array = by_block(tariff.background_w, tariff) - by_block(tariff.surplus_w, tariff)
    return power_w


def cost_of(problem: Problem, plan_a: Array) -> float:
    """Of the plan (N, K), below 0 given back, in the tariff's currency; what the site would pay without cars is left out.

    Surplus is used first, and what cars give back replaces what is bought before it is exported.
    """
    tariff, hours, per_ampere = problem.tariff, block_hours(problem), wh_per_ampere(problem)
    if tariff is None:
        return 0.0
    import_, export, base_w = np.array(tariff.import_per_kwh), by_block(tariff.export_per_kwh, tariff), others_w(tariff)
    drawn_wh, back_wh = ((sign * plan_a).clip(min=0.0) * per_ampere for sign in (1.0, -1.0))
    net_wh = base_w * hours + (drawn_wh - back_wh).sum(axis=0)
    paid = _paid(net_wh, import_, export) - _paid(base_w * hours, import_, export)
    wear = np.array([discharge_of(need).wear_per_kwh for need in problem.needs])
    cost = float(paid.sum()) + float(wear @ back_wh.sum(axis=1))
    raised_w = max(0.0, float((net_wh / hours).max()) - tariff.peak_w)
    return (cost + (tariff.peak_per_kw or 0.0) * raised_w) / 1000


def _paid(net_wh: Array, import_: Array, export: Array) -> Array:
    paid: Array = np.where(net_wh > 0, net_wh * import_, net_wh * export)
    return paid
