"""How are the sites wired on which the benchmark runs? Two real garages, from their published descriptions.

Which EVSE lies between which lines, breakers and transformers are facts that the public simulators of the Adaptive Charging
Network describe too.
"""

from __future__ import annotations

from backtest.network import NEUTRAL_V, Network, Wiring

L12, L23, L31 = (0, 1), (1, 2), (2, 0)

CALTECH_POD_FIVE = "322 493 496 320 495 321 323 494"
CALTECH_POD = "324 325 326 327 489 490 491 492"
CALTECH = {
    L12: f"308 508 303 513 310 506 316 500 318 498 {CALTECH_POD} {CALTECH_POD_FIVE}",
    L23: "304 512 305 511 313 503 311 505 317 499 148 149 212 213",
    L31: "307 509 309 507 306 510 315 501 319 497 312 504 314 502",
}
"""Numbers of the EVSEs of a garage between each two lines; two pods have breakers of their own."""

JPL = (
    ("first floor, panel 1", 100.0, "1F", ("12 14", "", "11 13")),
    ("first floor, panel 2", 100.0, "1F", ("03 06", "01 04", "02 05")),
    ("first floor", None, "1F", ("10", "07 09", "08")),
    ("third floor", 225.0, "3F", ("16 17 20 23 25 26 29 33", "18 21 27 30 31", "15 19 22 24 28 32")),
    ("fourth floor", 225.0, "4F", ("35 36 39 42 44 45 48 52", "37 40 46 49 50", "34 38 41 43 47 51")),
)
"""Panels of another garage: name, breaker (A), first part of the EVSEs' names, numbers between each two lines."""

JPL_SMALL_SHARE = 0.3
"""The first floor's transformer is by so much smaller than that of the others (45 and 150 kVA)."""

POD_A = 80.0


def caltech(limit_kw: float) -> Network:
    """54 EVSEs behind one delta-wye transformer of this power."""
    pairs = {f"CA-{number}": pair for pair, numbers in CALTECH.items() for number in numbers.split()}
    pods = [[f"CA-{number}" for number in numbers.split()] for numbers in (CALTECH_POD_FIVE, CALTECH_POD)]
    wiring = Wiring(pairs, coarse=pods[0])
    wiring.breaker("pod of five pilots", pods[0], POD_A)
    wiring.breaker("pod", pods[1], POD_A)
    wiring.transformer("transformer", tuple(pairs), limit_kw)
    return wiring.network()


def jpl(limit_kw: float) -> Network:
    """52 EVSEs on panels behind two transformers, the larger of this power; their wires behind are what limits."""
    members = {
        panel: {
            f"AG-{floor}{number}": pair
            for pair, each in zip((L12, L23, L31), numbers, strict=True)
            for number in each.split()
        }
        for panel, _, floor, numbers in JPL
    }
    wiring = Wiring({name: pair for stations in members.values() for name, pair in stations.items()})
    for panel, breaker_a, _, _ in JPL:
        if breaker_a is not None:
            wiring.panel(panel, tuple(members[panel]), breaker_a)
    first = [name for panel, stations in members.items() if panel.startswith("first") for name in stations]
    others = [name for panel, stations in members.items() if not panel.startswith("first") for name in stations]
    behind_a = limit_kw * 1000 / 3 / NEUTRAL_V
    wiring.panel("small transformer", first, JPL_SMALL_SHARE * behind_a)
    wiring.panel("large transformer", others, behind_a)
    return wiring.network()


SITES = {"caltech": caltech, "jpl": jpl}
