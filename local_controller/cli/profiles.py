"""Which charging profiles does a station have? `local-controller profiles STATION` asks the running gateway."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from local_controller.cli.gateway import Page, address, answered, read
from local_controller.cli.profiles_picture import profiles_picture
from local_controller.cli.terminal import wide_console
from local_controller.errors import LocalControllerError


def profiles(
    station: Annotated[str, typer.Argument(help="Its identity, as in the site file.", show_default=False)],
    site: Annotated[
        Path | None, typer.Option(help="The site file, which says where the gateway's page is.", show_default=False)
    ] = None,
    url: Annotated[str | None, typer.Option(help="Address of the gateway's page instead.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what the gateway answers.")] = False,
) -> None:
    """Shows the charging profiles of one station as its CSMS, the gateway and the station itself see them.

    Asks the running gateway (by default at 127.0.0.1:8080); below stands which profile of which stack binds just now.
    Of a station that is not connected it shows the last that is known, with its age.
    """
    try:
        found = _asked(station, address(site, url))
    except LocalControllerError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
        return
    console = wide_console()
    console.print(profiles_picture(found))


def _asked(station: str, page: Page) -> dict[str, Any]:
    path = f"api/v1/stations/{quote(station, safe='', errors='surrogateescape')}/profiles"
    with answered(f"{page.url}/{path}", page) as answer:
        return read(answer.read(), page, "stacks")
