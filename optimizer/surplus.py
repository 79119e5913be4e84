"""What may cars draw that take nothing but surplus? One circuit more, which every maker then keeps like all others."""

from __future__ import annotations

from dataclasses import replace

from optimizer.problem import ChargingNeed, CircuitLimit, Problem

SURPLUS = "surplus of the site"
"""Id of that circuit."""

PLENTY_A = 1e6
"""On a single phase: only the sum over the phases is limited, as a meter adds them up."""


def with_surplus(problem: Problem) -> Problem:
    """The problem in which cars with `surplus_only` load a circuit that has the surplus; itself where there are none.

    Watts become amperes at the highest voltage of these cars, so that no mixture of them draws more. Other cars do not
    count: what they draw beside them is bought.
    """
    cars = [need for need in problem.needs if need.surplus_only]
    if not cars or any(circuit.id == SURPLUS for circuit in problem.circuits):
        return problem
    blocks, highest_v = problem.horizon.blocks, max(need.voltage_v for need in cars)
    known_w = problem.tariff.surplus_w if problem.tariff is not None else ()
    surplus_w = known_w or (0.0,) * blocks
    circuit = CircuitLimit(
        SURPLUS,
        "Surplus",
        ((PLENTY_A, PLENTY_A, PLENTY_A),) * blocks,
        together_a=tuple(watts / highest_v for watts in surplus_w),
        together_source=f"{surplus_w[0] / 1000:.1f} kW that would be exported",
    )
    return replace(problem, circuits=(*problem.circuits, circuit), needs=tuple(map(_below_it, problem.needs)))


def _below_it(need: ChargingNeed) -> ChargingNeed:
    return replace(need, circuits=(*need.circuits, SURPLUS)) if need.surplus_only else need
