"""Story 10: `local-controller doctor` reads every shipped device from a real Modbus server that shows its registers."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from local_controller.adapters.modbus.device import known_devices, load_device
from local_controller.cli.demo_peers import free_ports
from local_controller.config.meter_devices import Device
from local_controller.site.per_phase import only
from site_simulator.clock import SimClock
from tests.adapters.register_image import VOLTS, WATTS, image, modbus_server
from tests.e2e.surroundings import HOST, command
from tests.stories.judge import Verdict

CURRENTS_A = (10.5, -21.25, 32.75)
"""What the image shows; its second phase feeds in, which unsigned currents do not tell."""

SITES = {1: ("single_phase", "id: CP-1, phases: 1, rotation: L1"), 3: ("three_phase_wye", "id: CP-1")}
"""The grid and a station of it, by the number of lines."""

PATIENCE_S = 20
BOUND = {"silent": 0.0, "off_by_a": 0.06, "off_by_v": 0.6, "off_by_w": 6.0}
"""Half of the last digit that `doctor` prints, and the rounding of the registers."""


async def story(_: SimClock, folder: Path) -> Verdict:
    """Some seconds."""
    devices = [load_device(name) for name in known_devices()]
    told = []
    for lines in sorted({device.points.lines for device in devices}):
        alike = [device for device in devices if device.points.lines == lines]
        ports = free_ports(len(alike) + 1)
        path = folder / f"site_{lines}.yaml"
        path.write_text(site_file(alike, ports), encoding="utf-8")
        async with AsyncExitStack() as stack:
            for device, port in zip(alike, ports, strict=False):
                await stack.enter_async_context(modbus_server(device, port, image(device)))
            found = await _findings(path)
        told += [_offsets(found.get(f"meter {device.id}"), lines) for device in alike]
    heard = [offsets for offsets in told if offsets is not None]
    worst = [max(offsets) for offsets in zip(*heard, strict=True)] or [float("inf")] * 3
    figures = dict(zip(("off_by_a", "off_by_v", "off_by_w"), worst, strict=True))
    return Verdict(10, None, BOUND, {"devices": float(len(devices)), "silent": float(told.count(None))} | figures)


def site_file(devices: list[Device], ports: Sequence[int]) -> str:
    """Of meters that measure the same number of lines: as many as the grid has."""
    system, station = SITES[devices[0].points.lines]
    rows = "".join(
        f"  - {{id: {device.id}, device: {device.id}, host: {HOST}, port: {port}, unit_id: 1}}\n"
        for device, port in zip(devices, ports, strict=False)
    )
    return (
        f"site: {{name: All meters, mode: control, system: {system}}}\ncsms: {{url: 'ws://{HOST}:9'}}\n"
        f"listen: {{host: {HOST}, port: {ports[-1]}, allow_unsecured: true}}\n"
        f"grid_connection: {{fuse_a: 63, assumed_base_load_a: 10}}\nstations: [{{{station}}}]\nmeters:\n{rows}"
    )


async def _findings(path: Path) -> dict[str, str]:
    """What the real command says of each thing that it found sound."""
    async with command(
        "doctor", str(path), "--json", "--patience-s", str(PATIENCE_S), output=asyncio.subprocess.PIPE
    ) as process:
        out, _ = await process.communicate()
    entries: list[dict[str, Any]] = json.loads(out)
    return {entry["subject"]: entry["text"] for entry in entries if entry["state"] == "ok"}


def _offsets(text: str | None, lines: int) -> tuple[float, float, float] | None:
    """By how much currents, voltages and power differ at most from what the registers show; None without a reading."""
    if text is None:
        return None
    parts = {
        unit: [float(value) for value in values.split(" / ")]
        for values, unit in re.findall(r"([-\d./ ]+) (A|V|kW)", text)
    }
    volts, (kilowatts,) = parts["V"], parts["kW"]
    return (
        max(abs(told - true) for told, true in zip(parts["A"], only(range(lines), CURRENTS_A), strict=True)),
        max(abs(told - true) for told, true in zip(volts, only(range(lines), VOLTS), strict=True)),
        abs(kilowatts * 1000 - sum(WATTS[:lines])),
    )
