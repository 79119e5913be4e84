"""Which commands are there? Each lives in a file of its own; heavy ones are imported when they are called.

`check`, `schema` and `--help` must answer at once, also on the small machine beside a fuse box.
"""

from __future__ import annotations

import importlib
from importlib.metadata import version
from typing import Annotated, Any, Final

import typer
import typer.main
from typer.core import TyperCommand, TyperGroup

from local_controller.cli.check import check
from local_controller.cli.schema import schema

LAZY: Final = {
    "run": "Controls a site, between its stations and the CSMS.",
    "profiles": "The charging profiles of a station, as each side sees them.",
    "doctor": "Asks every meter, broker and CSMS: what is wrong?",
    "commission": "Moves a car and looks for it at the meter.",
    "limit": "Limits the site for a while, as a person wants it.",
    "override": "Lets a car charge now that waits for a random delay.",
    "habits": "What was learnt from visits; forgets on request.",
    "simulate": "A site file over recorded or made-up days: does it fit?",
    "demo": "A simulated site around a real gateway.",
    "composite": "What charging profiles allow together, as a station answers.",
    "record": "When limits of the grid operator held.",
    "journal": "What CSMSs have yet to hear of an outage, and what they refused.",
    "trace": "What went over the wires, and what the gateway did to it.",
}
"""Commands and their help; "run" is `run` of local_controller.cli.run: a function, or a Typer app of several commands."""


class _Commands(TyperGroup):
    """The light commands, and stand-ins for the heavy ones until one of these is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*LAZY, *super().list_commands(ctx)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name in LAZY:
            return TyperCommand(cmd_name, help=LAZY[cmd_name])
        return super().get_command(ctx, cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] in LAZY:
            return args[0], _loaded(args[0]), args[1:]
        return super().resolve_command(ctx, args)


def _loaded(name: str) -> Any:
    """The real command; its own docstring is its long help."""
    found = getattr(importlib.import_module(f"local_controller.cli.{name}"), name)
    if isinstance(found, typer.Typer):
        return typer.main.get_command(found)
    single = typer.Typer(add_completion=False, rich_markup_mode=None)
    single.command(name)(found)
    return typer.main.get_command(single)


app = typer.Typer(
    cls=_Commands,
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Keeps a charging site below every fuse, unseen by stations and CSMS.",
)


def _tell_version(is_asked: bool) -> None:
    if is_asked:
        print(f"local-controller {version('local-controller')}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


app.command()(check)
app.command()(schema)
