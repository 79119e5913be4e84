"""What do these charging profiles allow together? `local-controller composite` answers as a station would."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from local_controller.errors import unreadable
from local_controller.station.composite_file import CompositeFileError, read_text


def composite(
    file: Annotated[Path, typer.Argument(help="Profiles and question as JSON.", show_default=False)],
    explain: Annotated[bool, typer.Option("--explain", help="Also tell which profile leads when.")] = False,
) -> None:
    """Computes the composite schedule of charging profiles, as JSON.

    The file holds the profiles as in SetChargingProfile, the question as in GetCompositeSchedule, and what the station
    knows by itself; docs/composite.md describes it. Prints the payload of the answer to GetCompositeSchedule. Ends with
    1 and the place of the mistake if the file cannot be used.
    """
    try:
        question = read_text(file.read_text(encoding="utf-8"))
        result = question.answer()
        told = {"answer": result, "explanation": question.explained()} if explain else result
    except (CompositeFileError, OSError, UnicodeDecodeError) as error:
        reason = error if isinstance(error, CompositeFileError) else unreadable(error)
        typer.echo(f"{file}: {reason}", err=True)
        raise typer.Exit(1) from None
    print(json.dumps(told, indent=2, ensure_ascii=False))
