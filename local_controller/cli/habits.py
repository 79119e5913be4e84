"""What has the site learnt of its cars? `local-controller habits` shows it, `local-controller habits forget` forgets it.

Both ask the running gateway; where none runs they look into its state directory.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, Final

import structlog
import typer

from local_controller.adapters.habits_file import HabitsFile, alone
from local_controller.cli.gateway import address, address_in, answered, posted, read
from local_controller.cli.habits_picture import habits_table, summary
from local_controller.cli.terminal import wide_console
from local_controller.config.build import topology
from local_controller.config.load import load
from local_controller.config.models import SiteConfig
from local_controller.errors import LocalControllerError
from local_controller.site.habits_view import habits_view
from optimizer.habits import Habits

habits = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="What the site has learnt from visits that have ended, and how it is forgotten.",
)

_STDIN: Final = "-"
_log = structlog.wrap_logger(structlog.PrintLogger(sys.stderr))


@habits.callback(invoke_without_command=True)
def show(
    ctx: typer.Context,
    site: Annotated[Path | None, typer.Option(help="The site file of the gateway.", show_default=False)] = None,
    url: Annotated[str | None, typer.Option(help="Address of the gateway's page instead.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Shows what was learnt: how long cars stay and what they take, at each EVSE and overall, from how many visits.

    Asks the running gateway (by default at 127.0.0.1:8080). With the site file it also works while none runs.
    """
    if ctx.invoked_subcommand is not None:
        return
    try:
        found = _seen(site, url)
    except (LocalControllerError, OSError) as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
        return
    console = wide_console()
    console.print(summary(found))
    if found["overall"] is not None:
        console.print(habits_table(found))


@habits.command()
def forget(
    site: Annotated[Path, typer.Argument(help="The site file of the gateway.", show_default=False)],
    *,
    evse: Annotated[str | None, typer.Option(help="What was learnt at this EVSE: CP-7/1.", show_default=False)] = None,
    token_of: Annotated[
        str | None, typer.Option(help="What was learnt of this card: its IdToken, or - to read it.", show_default=False)
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that was learnt.")] = False,
) -> None:
    """Forgets what was learnt, at once and for good: plans from now on know nothing of it.

    --token-of - reads the card from standard input, so that it stands in no history of a shell.
    """
    try:
        asked = _asked(evse, token_of, everything=everything)
        config = load(site)
        told = _forgotten(config, site, asked)
        if evse is not None and told["forgotten"] == 0:
            _known(config, evse)
    except (LocalControllerError, OSError) as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
    print(f"visits forgotten: {told['forgotten']}, left: {told['left']}")


def _known(config: SiteConfig, evse: str) -> None:
    """LocalControllerError where an EVSE is a slip: those that the site had once may have been learnt of."""
    known = [str(one.id) for one in topology(config).evses]
    if evse not in known:
        text = "nothing was learnt there, and the site file knows no such EVSE"
        raise LocalControllerError(f"--evse {evse}: {text}; it knows {', '.join(known)}")


def _asked(evse: str | None, token: str | None, *, everything: bool) -> dict[str, Any]:
    """The body of the request."""
    if sum((evse is not None, token is not None, everything)) != 1:
        raise LocalControllerError("forget what? Say --evse CP-7/1, --token-of 04A1B2C3 or --all")
    if evse is not None:
        return {"evse": evse}
    if everything:
        return {"all": True}
    token = (sys.stdin.readline() if token == _STDIN else token or "").strip()
    if not token:
        raise LocalControllerError("--token-of: an IdToken was expected, such as 04A1B2C3")
    return {"token": token}


def _seen(site: Path | None, url: str | None) -> dict[str, Any]:
    config = None if site is None or url is not None else load(site)
    with ExitStack() as stack:
        if config is not None and (file := _unused(config, stack)) is not None:
            return habits_view(file.read(), config.control.learning_days, file.place).as_json()
    page = address(site, url)
    with answered(f"{page.url}/api/v1/habits", page) as answer:
        return read(answer.read(), page, "kept_days")


def _forgotten(config: SiteConfig, site: Path, asked: dict[str, Any]) -> dict[str, Any]:
    with ExitStack() as stack:
        if (file := _unused(config, stack)) is not None:
            return _forgotten_in(file, asked)
    return posted(address_in(config, site), "/api/v1/habits/forget", asked, "forgotten")


def _unused(config: SiteConfig, stack: ExitStack) -> HabitsFile | None:
    """The file that no gateway uses just now."""
    folder = None if config.state_directory is None else Path(config.state_directory)
    if folder is None or not os.access(folder, os.R_OK | os.W_OK) or not stack.enter_context(alone(folder)):
        return None  # none, somebody else's, or a gateway's that runs
    return HabitsFile(folder, _log)


def _forgotten_in(file: HabitsFile, asked: dict[str, Any]) -> dict[str, Any]:
    known = Habits(file.read())
    before = len(known.visits)
    if "all" in asked:
        known = Habits()
    elif "evse" in asked:
        known.forget(evse=asked["evse"])
    else:
        known.forget(token=file.pseudonym(asked["token"]))
    file.forget(known.visits)
    return {"forgotten": before - len(known.visits), "left": len(known.visits)}
