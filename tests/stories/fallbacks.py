"""Story 9: a site file whose fallbacks are too much for a fuse is refused by `check` and by `run`, with the circuit's name.

At a circuit, at a circuit of a circuit, at the grid connection, and on one phase alone because of the rotations; the same
files with fallbacks that fit are sound (G10).
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from local_controller.cli.demo_peers import free_ports
from site_simulator.clock import SimClock
from tests.e2e.surroundings import HOST, command
from tests.stories.judge import Verdict

TOO_MUCH_A, FITS_A, WITHIN_S = 8.0, 6.0, 20.0
BOUND = {"checked_sound": 0.0, "started": 0.0, "not_named": 0.0, "sound_refused": 0.0}

GARAGE = "  - {id: garage, name: Garage, fuse_a: 63, assumed_base_load_a: 3}\n"
WEST = "  - {id: west, name: West wing, parent: garage, fuse_a: 16, assumed_base_load_a: 1}\n"
CASES = {
    "Garage": (100, GARAGE.replace("63", "25"), "circuit: garage", 3),
    "West wing": (100, GARAGE + WEST, "circuit: west", 2),
    "Grid connection": (30, "", "", 3),
    "Garage L2": (100, GARAGE.replace("63", "[63, 18, 63]"), "circuit: garage, rotation: S, phases: 1", 2),
}
"""By what must be named: the main fuse, the circuits, what each station's row says, how many stations."""


async def story(_: SimClock, folder: Path) -> Verdict:
    """Some seconds."""
    counts = dict.fromkeys(BOUND, 0.0)
    for number, name in enumerate(CASES):
        wrong, sound = folder / f"{number}-wrong.yaml", folder / f"{number}-sound.yaml"
        wrong.write_text(site_file(name, TOO_MUCH_A), encoding="utf-8")
        sound.write_text(site_file(name, FITS_A), encoding="utf-8")
        code, told = await _ends("check", wrong)
        counts["checked_sound"] += code == 0
        counts["not_named"] += f"{name}" not in told or "fallback" not in told
        code, told = await _ends("run", wrong)
        counts["started"] += code == 0
        counts["not_named"] += f"{name}" not in told or "fallback" not in told
        code, _told = await _ends("check", sound)
        counts["sound_refused"] += code != 0
    return Verdict(9, None, BOUND, {"files": float(2 * len(CASES))} | counts)


def site_file(name: str, fallback_a: float) -> str:
    fuse_a, circuits, where, stations = CASES[name]
    of_all = f"fallback_a: {fallback_a:g}{', ' if where else ''}{where}"
    rows = "".join(f"  - {{id: CP-{number}, {of_all}}}\n" for number in range(1, stations + 1))
    listen = f"listen: {{host: {HOST}, port: {free_ports(1)[0]}, allow_unsecured: true}}\n"
    tree = f"grid_connection: {{fuse_a: {fuse_a}, assumed_base_load_a: 10}}\n"
    tree += f"circuits:\n{circuits}" if circuits else ""
    return f"site: {{name: Too much, mode: control}}\ncsms: {{url: 'ws://{HOST}:9'}}\n{listen}{tree}stations:\n{rows}"


async def _ends(what: str, path: Path) -> tuple[int, str]:
    """How the real command ends with this file, and what it says; one that goes on is ended, and counts as sound."""
    async with command(what, str(path)) as process:
        try:
            async with asyncio.timeout(WITHIN_S):
                out, err = await process.communicate()
        except TimeoutError:
            return 0, ""
        return process.returncode or 0, (out + err).decode("utf-8")
