"""What is wrong between this machine and everything that the site file names? `local-controller doctor SITE`."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import structlog
import typer

from local_controller.adapters.examination import examine
from local_controller.adapters.examination.finding import Finding, State
from local_controller.cli.terminal import many
from local_controller.clock import Clock
from local_controller.config.load import load
from local_controller.config.models import SiteConfig
from local_controller.errors import SiteFileError

_MARKS: Final = {State.OK: "ok     ", State.WARNING: "WARNING", State.ERROR: "ERROR  "}


def doctor(
    site: Annotated[Path, typer.Argument(help="The site file.", show_default=False)],
    patience_s: Annotated[float, typer.Option(min=1.0, max=120.0, help="Seconds to wait for meters and limits.")] = 6.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Asks every meter, broker and CSMS of a site file, and looks at folders, ports and certificates.

    Changes nothing, and may run beside the gateway; a meter that takes one client only then answers one of the two.
    Ends with 0 if nothing is wrong, and with 1 if there is an error.
    """
    try:
        config = load(site)
    except SiteFileError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
    _silence()
    findings = asyncio.run(_found(config, patience_s, silent=as_json))
    if as_json:
        print(json.dumps([asdict(one) for one in findings], indent=2, ensure_ascii=False))
    else:
        print(_summary(findings))
    if any(one.state is State.ERROR for one in findings):
        raise typer.Exit(1)


async def _found(config: SiteConfig, patience_s: float, *, silent: bool) -> list[Finding]:
    """All findings; each is printed as it comes, unless silent."""
    if not silent:
        count = len(config.meters) + len(config.mqtt_limits) + len(config.contact_limits)
        if count:
            print(
                f"Waiting up to {patience_s:g} s for {many(count, 'meter or limit', 'meters and limits')} ...",
                file=sys.stderr,
            )
    findings = []
    async for finding in examine(config, Clock(), patience_s):
        findings.append(finding)
        if not silent:
            print(_line(finding), flush=True)
    return findings


def _line(finding: Finding) -> str:
    remedy = f"\n         -> {finding.remedy}" if finding.remedy else ""
    return f"{_MARKS[finding.state]}  {finding.subject}: {finding.text}{remedy}"


def _summary(findings: list[Finding]) -> str:
    wrong = sum(one.state is State.ERROR for one in findings)
    doubtful = sum(one.state is State.WARNING for one in findings)
    looked, errors, warnings = many(len(findings), "thing"), many(wrong, "error"), many(doubtful, "warning")
    return f"{looked} looked at: {errors}, {warnings}"


def _silence() -> None:
    """All that there is to say is a finding; libraries would say it again in their words."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)
