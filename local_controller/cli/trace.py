"""What went over the wires, and what did the gateway do to it? `local-controller trace` reads the file of `trace.file`."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from local_controller.adapters.pcapng import capture
from local_controller.adapters.trace_diff import Event, Pairing, described
from local_controller.adapters.trace_store import Record, TraceFile
from local_controller.cli.terminal import owners_file
from local_controller.errors import LocalControllerError
from local_controller.station.effects import Fate

trace = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Reads a trace of messages, also while the gateway writes it. `trace.file` in the site file switches it on.",
)

_File = Annotated[
    Path, typer.Argument(help="The trace, as `trace.file` of the site file names it.", show_default=False)
]
_Station = Annotated[str | None, typer.Option(help="Only this station.", show_default=False)]

_LOOK_S: Final = 0.5
"""Between two looks into the file; the gateway writes four times a second."""


class Format(StrEnum):
    """What a trace can be written as."""

    JSONL = "jsonl"
    PCAPNG = "pcapng"


@trace.command()
def tail(
    file: _File,
    station: _Station = None,
    lines: Annotated[int, typer.Option(min=1, help="How many of the newest messages.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until Ctrl-C.")] = False,
) -> None:
    """Prints the newest messages: time, station, sender, fate, text."""
    with _reading(file) as source:
        records = source.last(lines, station)
        if not records:
            _say_nothing_there(file, station)
        _print(records)
        if follow:
            try:
                _follow(source, station, records[-1].number if records else 0)
            except KeyboardInterrupt:
                return


def _say_nothing_there(file: Path, station: str | None) -> None:
    print(f"{file}: holds no messages {'yet' if station is None else f'of {station}'}", file=sys.stderr)


def _follow(source: TraceFile, station: str | None, number: int) -> None:
    while True:
        records = list(source.records(station, number))
        _print(records)
        number = records[-1].number if records else number
        time.sleep(_LOOK_S)


def _print(records: Iterable[Record]) -> None:
    for record in records:
        detail = f" ({record.detail})" if record.detail else ""
        print(f"{record.utc} {record.identity} {record.sender:<7} {record.fate}{detail} {record.text}", flush=True)


@trace.command()
def export(
    file: _File,
    style: Annotated[Format, typer.Option("--format", help="pcapng is for Wireshark.")] = Format.JSONL,
    station: _Station = None,
    output: Annotated[Path | None, typer.Option(help="Standard output if left out.", show_default=False)] = None,
) -> None:
    """Writes the trace as one JSON object a line, or as packets for Wireshark.

    In Wireshark choose "As JSON" for WebSocket text (Preferences, Protocols, WebSocket); fates are packet comments.
    """
    with _reading(file) as source:
        if not source.last(1, station):
            _say_nothing_there(file, station)
        _write(_json_lines(source, station) if style is Format.JSONL else _packets(source, station), output)


def _write(pieces: Iterator[bytes], output: Path | None) -> None:
    if output is None:
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        return
    try:
        with owners_file(output) as target:
            target.writelines(pieces)
    except OSError as error:
        print(f"{output}: {error.strerror}", file=sys.stderr)
        raise typer.Exit(1) from None


def _packets(source: TraceFile, station: str | None) -> Iterator[bytes]:
    return capture(Pairing(source.own_call_ids()).events(source.records(station)))


def _json_lines(source: TraceFile, station: str | None) -> Iterator[bytes]:
    for record in source.records(station):
        yield json.dumps(record._asdict(), ensure_ascii=False).encode() + b"\n"


@trace.command()
def diff(file: _File, station: _Station = None) -> None:
    """Shows what the gateway changed: each message that did not simply pass, then how many there were of each fate.

    "passed": what left is what arrived. A message that is passed at once has one record, made of the text that is
    received and sent; one that waited for its slot has two, which are compared byte for byte ("compared").
    "waiting": arrived, but neither left nor discarded when the trace ended.
    "made_room", "not_kept": messages of the whole file that are no longer, or never were, in the trace.
    Ends with 1 if a message that is said to have passed has another text than the one that arrived ("mismatched"), or if
    a part of the file is damaged.
    """
    counts = Counter(dict.fromkeys((*(fate for fate in Fate if fate is not Fate.QUEUED), "compared", "mismatched"), 0))
    known = {*counts}
    with _reading(file) as source:
        pairing = Pairing(source.own_call_ids())
        for event in pairing.events(source.records(station)):
            counts.update(_counted(event))
            for line in described(event):
                print(line)
        missing = source.missing()
        rest = {"waiting": pairing.waiting, "made_room": missing.made_room, "not_kept": missing.not_kept}
        print(json.dumps({**counts, **rest}))
    if newer := ", ".join(sorted({*counts} - known)):
        print(
            f"{file}: a newer version wrote of messages that were {newer}; read it with that version", file=sys.stderr
        )
    if counts["mismatched"]:
        raise typer.Exit(1)


def _counted(event: Event) -> Iterator[str]:
    """The counts that an event belongs to."""
    fate = event.record.fate
    if event.is_mismatch:
        yield "mismatched"
    elif fate is not Fate.QUEUED:
        yield fate
        if fate is Fate.PASSED and event.original is not None:
            yield "compared"


@contextmanager
def _reading(file: Path) -> Iterator[TraceFile]:
    """The trace; that a part of it could not be read is told behind the rest, and ends the command with 1."""
    try:
        source = TraceFile(file)
        yield source
    except LocalControllerError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
    if lost := source.unreadable:
        print(
            f"{file}: damaged: cannot read {len(lost)} of the messages {min(lost)} to {max(lost)}; look after its"
            " disk, keep what is left (`trace export`) and remove the file while the gateway is stopped",
            file=sys.stderr,
        )
        raise typer.Exit(1)
