"""What do two hundred Modbus points a second cost? One core reads meters; simulated ones run in another process.

    python -m benchmarks.modbus [--seconds 20] [--meters 18]

One JSON object: points per second as decoded, CPU time of the reading process as % of a core, failures of meters.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection

import structlog
import uvloop
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from local_controller.adapters.modbus.connection import ModbusConnections
from local_controller.adapters.modbus.device import load_device
from local_controller.adapters.modbus.lines import ConnectionSettings
from local_controller.adapters.modbus.meter import MeterSettings, ModbusMeter
from local_controller.adapters.modbus.register_map import FixedMap
from local_controller.cli.demo_peers import HOST, free_ports
from local_controller.clock import Clock
from local_controller.site.readings import MeterReading

MAX_CPU_PERCENT = 5.0
DEVICE = load_device("eastron_sdm630")
POINTS = len(DEVICE.points.all())
VOLTS_230 = (0x4366, 0)
"""230.0 as a 32 bit float: all that this image shows beside zeros."""


def registers() -> dict[int, int]:
    """The image of a meter without load."""
    image = {first + offset: 0 for first, count in DEVICE.blocks for offset in range(count)}
    for at in DEVICE.points.voltage_v.at:
        image[at], image[at + 1] = VOLTS_230
    return image


def serve(ports: Sequence[int], ready: Connection) -> None:
    """All simulated meters, each on its port, until the process is ended."""
    uvloop.run(_serve(ports, ready))


async def _serve(ports: Sequence[int], ready: Connection) -> None:
    image, bits = registers(), [SimData(0, values=False, datatype=DataType.BITS)]
    blocks = [
        SimData(first, values=[image[first + offset] for offset in range(count)], datatype=DataType.REGISTERS)
        for first, count in DEVICE.blocks
    ]
    for port in ports:
        device = SimDevice(1, simdata=(bits, bits, [SimData(0)], blocks))
        await ModbusTcpServer(device, address=(HOST, port)).serve_forever(background=True)
    ready.send(True)
    await asyncio.Event().wait()


async def read(ports: Sequence[int], seconds: float) -> dict[str, object]:
    """Reads all meters once a second for so long; the first second is for connecting and is not counted."""
    readings: list[MeterReading] = []
    failures: list[str] = []
    log = structlog.get_logger()
    connections = ModbusConnections(log)
    for port in ports:
        meter = ModbusMeter(
            MeterSettings(f"m{port}"),
            FixedMap(DEVICE),
            Clock(),
            readings.append,
            lambda meter, text: failures.append(f"{meter} {text}"),
            log,
        )
        connections.to(ConnectionSettings(HOST, port)).add(meter)
    for connection in connections.all():
        await connection.start()
    await asyncio.sleep(1.5)
    readings.clear()
    cpu_s, start_s = time.process_time(), time.perf_counter()
    await asyncio.sleep(seconds)
    cpu_s, taken_s = time.process_time() - cpu_s, time.perf_counter() - start_s
    points_per_s = len(readings) * POINTS / taken_s
    for connection in connections.all():
        await connection.stop()
    percent = 100 * cpu_s / taken_s
    return {
        "benchmark": "modbus",
        "meters": len(ports),
        "points_per_s": round(points_per_s, 1),
        "cpu_percent": round(percent, 2),
        "failures": failures,
        "to_reach": f"cpu_percent < {MAX_CPU_PERCENT:g} at 200 points a second",
        "reached": percent < MAX_CPU_PERCENT and points_per_s >= 200 and not failures,
    }


def measured(meters: int, seconds: float) -> dict[str, object]:
    """The figure, with the simulated meters in a process of their own."""
    ports, (mine, theirs) = free_ports(meters), get_context("spawn").Pipe()
    simulator = get_context("spawn").Process(target=serve, args=(ports, theirs), daemon=True)
    simulator.start()
    try:
        if not mine.poll(30):
            raise TimeoutError("the simulated meters do not come up within 30 s")
        return uvloop.run(read(ports, seconds))
    finally:
        simulator.terminate()
        simulator.join()


def main() -> None:
    """Prints the line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--meters", type=int, default=18)
    arguments = parser.parse_args()
    print(json.dumps(measured(arguments.meters, arguments.seconds)))


if __name__ == "__main__":
    main()
