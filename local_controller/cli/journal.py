"""What have CSMSs yet to hear, and what could not be delivered to them? `local-controller journal SITE` shows it, and settles it."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final

import msgspec
import typer
from typer.core import TyperGroup

from local_controller.adapters.journal_file import JournalFile, Message
from local_controller.cli.journal_picture import journal_picture
from local_controller.cli.terminal import owners_file, wide_console
from local_controller.config.load import load
from local_controller.errors import LocalControllerError

PERSONAL: Final = (
    "what follows names drivers (IdTokens): keep it to yourself, and delete it when it is no longer needed"
)


class _ShowsByDefault(TyperGroup):
    """`journal SITE` is `journal show SITE`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] not in self.commands:
            args = ["show", *args]
        return super().resolve_command(ctx, args)


journal = typer.Typer(
    cls=_ShowsByDefault,
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="What CSMSs have yet to hear of an outage, kept in `state_directory`. Also while the gateway runs. `journal SITE` shows it.",
)

_Site = Annotated[Path, typer.Argument(help="The site file, or its `state_directory`.", show_default=False)]
_Number = Annotated[int, typer.Argument(help="Of a message that was put aside.", show_default=False)]


@journal.command()
def show(
    site: _Site,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Shows how many messages of which station wait, since when, and each that could not be delivered, with the reason.

    Ends with 1 where something cannot be read, as with another key than that of the gateway.
    """
    with _complaints():
        file = _journal(site)
        found = _seen(file)
        if as_json:
            print(json.dumps(found, indent=2, ensure_ascii=False))
        else:
            wide_console().print(journal_picture(found, datetime.now(UTC)))
        _complain_of_unreadable(file, is_whole=found["is_readable"])


@journal.command()
def export(
    site: _Site,
    station: Annotated[str | None, typer.Option(help="Only this station.", show_default=False)] = None,
    only_put_aside: Annotated[bool, typer.Option("--put-aside", help="Only what could not be delivered.")] = False,
    output: Annotated[
        Path | None, typer.Option(help="A file for its owner only; standard output if left out.", show_default=False)
    ] = None,
) -> None:
    """Writes each message decrypted, one JSON object a line, for whoever has to book it by hand.

    THIS NAMES DRIVERS: identifiers of cards stand in it in clear. It is for the owner of the site only.
    """
    with _complaints():
        file = _journal(site)
        chosen = (one for one in file.messages(station) if one.reason is not None or not only_put_aside)
        print(PERSONAL, file=sys.stderr)
        with nullcontext(sys.stdout.buffer) if output is None else owners_file(output) as target:
            written = _write(target, chosen)
        if not any(written.values()):
            print(f"{file.path}: holds no such message", file=sys.stderr)
        _complain_of_unreadable(file, is_whole=not written[False])


@journal.command()
def retry(site: _Site, number: _Number) -> None:
    """Has a message wait again that was put aside: it goes out when its station connects the next time."""
    with _complaints():
        file = _journal(site)
        message = file.of(number)
        file.wait_again(number)
        print(
            f"{_named(message)} waits again: it is delivered when {message.station} connects to the gateway the next time"
        )
        if message.action == "StartTransaction":
            print(
                "note: what came later of its transaction went with the id -1 meanwhile; the CSMS will have a transaction that it must"
                " end itself",
                file=sys.stderr,
            )


@journal.command()
def drop(
    site: _Site,
    number: _Number,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Deletes a message that was put aside, for good. What it says may be missing on a bill: `journal export` keeps it."""
    with _complaints():
        file = _journal(site)
        message = file.of(number)
        if not yes and not typer.confirm(f"Delete {_named(message)} for good?", err=True):
            raise LocalControllerError("nothing was deleted")
        file.drop(number)
        print(f"{_named(message)} is deleted")


# --- inside -----------------------------------------------------------------------------------------------------------


@contextmanager
def _complaints() -> Iterator[None]:
    """Errors that have a remedy are one line, and exit code 1."""
    try:
        yield
    except (LocalControllerError, OSError) as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None


def _journal(site: Path) -> JournalFile:
    """LocalControllerError when there is none, with what helps."""
    if site.is_dir():
        return JournalFile(site)
    config = load(site)
    if config.state_directory is None:
        text = "names no `state_directory`, so nothing is kept; a CSMS with a section `outage` needs one"
        raise LocalControllerError(f"{site}: {text}")
    return JournalFile(Path(config.state_directory))


def _seen(file: JournalFile) -> dict[str, Any]:
    """Counts, ages and what was put aside; no message itself."""
    counts, oldest, aside = file.counts(), file.oldest(), file.put_aside()
    return {
        "file": str(file.path),
        "size_bytes": file.size_bytes,
        "stations": [
            {
                "station": station,
                "waiting": kept.waiting,
                "oldest": _when(oldest[station]) if station in oldest else None,
                "put_aside": kept.put_aside,
            }
            for station, kept in sorted(counts.items())
        ],
        "put_aside": [
            {"number": one.number, "station": one.station, "action": one.action, "at": _when(one), "reason": one.reason}
            for one in aside
        ],
        "is_readable": all(one.payload is not None for one in (*oldest.values(), *aside)),
    }


def _when(message: Message) -> str | None:
    return None if message.at is None else message.at.isoformat(timespec="seconds")


def _complain_of_unreadable(file: JournalFile, *, is_whole: bool) -> None:
    if not is_whole:
        raise LocalControllerError(
            f"{file.path}: not all of it can be read with {file.key_path}: that is another key than the one it was written with, or"
            " the journal is damaged; put the right key back from a backup"
        )


def _write(target: BinaryIO, messages: Iterable[Message]) -> Counter[bool]:
    """How many could be read, and how many not."""
    count = Counter[bool]()
    for one in messages:
        count[one.payload is not None] += 1
        if one.payload is not None:
            target.write(_line(one, one.payload))
    return count


def _line(message: Message, payload: str) -> bytes:
    """The payload stands in it as its station wrote it, but for line breaks between its parts."""
    plain = {
        "number": message.number,
        "station": message.station,
        "at": _when(message),
        "action": message.action,
        "put_aside": message.reason,
        "payload": msgspec.Raw(payload.replace("\r", " ").replace("\n", " ").encode()),
    }
    return msgspec.json.encode(plain) + b"\n"


def _named(message: Message) -> str:
    return f"number {message.number} ({message.action} of {message.station})"
