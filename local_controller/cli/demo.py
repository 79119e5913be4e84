"""How does the gateway look at work? `local-controller demo`: a whole simulated site around a real gateway."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.live import Live

from local_controller.app import LocalController
from local_controller.cli.demo_peers import SimulatedSite, broker, free_ports, simulated_site
from local_controller.cli.demo_site_file import site_file
from local_controller.cli.logs import configure
from local_controller.cli.picture import picture
from local_controller.cli.terminal import many
from local_controller.clock import Clock, scaled_clock
from local_controller.config.load import load
from local_controller.errors import LocalControllerError
from site_simulator.clock import ScaledEventLoop, SimClock
from site_simulator.demo_site import DEMO_SITE

FIRST_KEYS = ("stations", "simulated_s", "worst_excess_a", "excess_integral_as", "energy_kwh", "csms_errors")
"""What the last line must say; more may follow."""

REFRESH_S = 0.5
PROGRESS_S = 5.0
"""Real seconds between two pictures, and between two lines where there is no terminal."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asked for; duration in simulated seconds."""

    duration_s: float
    speed: float
    web_port: int
    as_json: bool
    is_observing: bool


def demo(
    duration: Annotated[float, typer.Option(min=10, help="Simulated seconds after all stations have booted.")] = 1300.0,
    speed: Annotated[float, typer.Option(min=1, max=60, help="Simulated seconds per second, for everybody.")] = 12.0,
    web_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the page and of /api/v1/site; 0 for any free one.")
    ] = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="No picture: progress on standard error, then one line.")
    ] = False,
    observe: Annotated[
        bool, typer.Option("--observe", help="The gateway limits nobody: see what it would do.")
    ] = False,
) -> None:
    """Shows a site being balanced: twelve stations of three OCPP versions, a CSMS, meters, a broker, a gateway.

    All of them are real processes and sockets on this machine; time is compressed for all alike. The picture is also
    served as a page. Ends by itself, with one line of JSON that says what the simulated fuses saw.
    """
    options = Options(duration, speed, web_port, as_json, observe)
    clock = scaled_clock(speed)
    try:
        with tempfile.TemporaryDirectory(prefix="local-controller-demo-") as folder:
            result = _on_compressed_clock(options, clock, Path(folder))
    except LocalControllerError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    print(json.dumps({key: result[key] for key in FIRST_KEYS} | result))


def _on_compressed_clock(options: Options, clock: Clock, folder: Path) -> dict[str, Any]:
    compressed = SimClock(clock.speed, clock.origin_s, clock.origin_utc or datetime.now(UTC))
    with (folder / "gateway.log").open("w", encoding="utf-8") as log:
        configure(as_json=True, stream=log)
        with asyncio.Runner(loop_factory=lambda: ScaledEventLoop(compressed)) as runner:
            return runner.run(_demo(options, clock, folder))


async def _demo(options: Options, clock: Clock, folder: Path) -> dict[str, Any]:
    gateway_port, mqtt_port, any_port = free_ports(3)
    web_port = options.web_port or any_port
    async with (
        broker(mqtt_port, folder) as broker_name,
        simulated_site(clock, gateway_port, mqtt_port, options.duration_s, folder) as peers,
    ):
        path = folder / "site.yaml"
        path.write_text(
            site_file(
                DEMO_SITE,
                csms_url=peers.csms_url,
                meter_ports=peers.meter_ports,
                mqtt_port=mqtt_port,
                gateway_port=gateway_port,
                web_port=web_port,
                mode="observe" if options.is_observing else "control",
            ),
            encoding="utf-8",
        )
        async with LocalController(load(path), clock) as gateway:
            title = f"http://127.0.0.1:{web_port}/ · x{clock.speed:g} · broker {broker_name} · site file and logs in {folder}"
            return await _watch(gateway, peers, options, title)


async def _watch(gateway: LocalController, peers: SimulatedSite, options: Options, title: str) -> dict[str, Any]:
    """Show the site until the simulation is over."""
    if options.as_json or not sys.stdout.isatty():
        print(title, file=sys.stderr)
        while not await _over(peers, PROGRESS_S * options.speed):
            print(_progress(await gateway.picture()), file=sys.stderr)
    else:
        with Live(console=Console(markup=False), screen=True, auto_refresh=False) as live:
            while not await _over(peers, REFRESH_S * options.speed):
                live.update(picture(await gateway.picture(), title), refresh=True)
    return peers.result.result()


async def _over(peers: SimulatedSite, wait_s: float) -> bool:
    done, _ = await asyncio.wait([peers.result], timeout=wait_s)
    return bool(done)


def _progress(site: dict[str, Any]) -> str:
    root = site["nodes"][0]
    measured = (
        "not measured" if root["measured_a"] is None else " / ".join(f"{a:.1f}" for a in root["measured_a"]) + " A"
    )
    limit = " / ".join(f"{a:.1f}" for a in root["limit_a"])
    sessions = many(sum(evse["limit_a"] is not None for evse in site["evses"]), "session")
    over_limits = f"{root['limit_worst_excess_a']:.2f} A for {root['limit_longest_excess_s']:.0f} s at most"
    worst = f"worst excess over the fuse {root['worst_excess_a']:.2f} A, over limits that fell {over_limits}"
    return f"{site['at'][11:19]}  {measured} of {limit} A, {sessions}, {worst}"
