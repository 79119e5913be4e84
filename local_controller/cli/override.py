"""How is the random delay of a car overridden? `local-controller override SITE STATION` tells the running gateway."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from local_controller.cli.gateway import address_in, posted
from local_controller.config.load import load
from local_controller.errors import LocalControllerError


def override(
    site: Annotated[Path, typer.Argument(help="The site file of the running gateway.", show_default=False)],
    station: Annotated[str, typer.Argument(help="Where the car is, by the station's identity.", show_default=False)],
    evse: Annotated[int, typer.Option(min=1, help="At which EVSE of it.")] = 1,
) -> None:
    """Lets a car charge now that waits for a random delay (`control.random_delay_s`), as its driver wants it.

    It waits for none until its session ends; all limits hold as ever. Ends with 1 and a reason if nobody waits there.
    """
    try:
        asked = {"station": station, "evse": evse}
        told = posted(address_in(load(site), site), "/api/v1/delays/override", asked, "holds")
    except LocalControllerError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
    print(told["holds"])
