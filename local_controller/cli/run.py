"""How is a gateway run? `local-controller run SITE`, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer

from local_controller.adapters.freed_memory import return_large_blocks
from local_controller.adapters.security_log import SecurityFile, SecurityLog
from local_controller.app import LocalController
from local_controller.cli.logs import configure
from local_controller.clock import Clock
from local_controller.config.load import load
from local_controller.config.models import SiteConfig
from local_controller.errors import LocalControllerError


def run(
    site: Annotated[Path, typer.Argument(help="The site file.", show_default=False)],
    log_format: Annotated[Literal["json", "text", "auto"], typer.Option(help="auto: text on a terminal.")] = "auto",
    log_level: Annotated[Literal["debug", "info", "warning", "error"], typer.Option(help="Least level.")] = "info",
) -> None:
    """Controls the site that the file describes.

    Stations connect to `listen`, their messages are relayed to their `csms`; logs go to standard error.
    Ends with 0 after SIGTERM or Ctrl-C, and with 1 and a reason if it cannot start.
    """
    return_large_blocks()
    as_json = log_format == "json" or (log_format == "auto" and not sys.stderr.isatty())
    try:
        config = load(site)
        with _security_file(config) as file, asyncio.Runner(loop_factory=_fast_loop()) as runner:
            configure(log_level, as_json=as_json, security=SecurityLog(file))
            runner.run(_until_stopped(config))
    except LocalControllerError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None


@contextmanager
def _security_file(config: SiteConfig) -> Iterator[SecurityFile | None]:
    """The security log's own file, if the site file asks for one."""
    if config.security_log is None:
        yield None
        return
    file = SecurityFile(Path(config.security_log.file), round(config.security_log.max_size_mb * 1e6))
    try:
        yield file
    finally:
        file.close()


def _fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The fastest loop there is: asyncio's own takes 256 KiB per TLS connection and more time per message."""
    if sys.platform == "win32":
        return None
    import uvloop  # noqa: PLC0415 - not on every platform

    return uvloop.new_event_loop


async def _until_stopped(config: SiteConfig) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with LocalController(config, Clock()):
        await stopped.wait()
