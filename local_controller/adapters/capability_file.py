"""Where is it kept over a restart what was learnt about stations? In one JSON file of the state directory (LC-105).

A file that cannot be read or understood is put aside with a warning: what was in it is learnt again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import msgspec
from structlog.typing import FilteringBoundLogger

from local_controller.adapters.background import background
from local_controller.adapters.whole_file import put_aside, write_whole
from local_controller.errors import LocalControllerError
from local_controller.station.remembered import Remembered

NAME = "capabilities.json"


class _File(msgspec.Struct, forbid_unknown_fields=True):
    """The file as a whole, by identity."""

    format: int
    stations: dict[str, Remembered]


class _Written(msgspec.Struct):
    """The same, station by station in JSON."""

    format: int
    stations: dict[str, msgspec.Raw]


_FORMAT = 1


class CapabilityMemory:
    """What is known about stations, in memory and, with a directory, on the disk."""

    def __init__(self, directory: Path | None, log: FilteringBoundLogger) -> None:
        """directory: None for memory only. Raises LocalControllerError if there is no such folder."""
        self._path = None if directory is None else directory / NAME
        self._log = log
        self._thread = background("capabilities")
        self._stations = {} if self._path is None else self._read(self._path)
        self._is_due = False

    async def stop(self) -> None:
        """Finishes what is being written."""
        await asyncio.to_thread(self._thread.shutdown)

    def recalled(self, identity: str) -> Remembered | None:
        """What was learnt about this station."""
        return self._stations.get(identity.casefold())

    def keep(self, identity: str, remembered: Remembered) -> None:
        """This is known now. However many stations learn something at once, the file is written once."""
        if self._stations.get(identity.casefold()) == remembered:
            return
        self._stations[identity.casefold()] = remembered
        if self._path is not None and not self._is_due:
            self._is_due = True
            self._thread.submit(self._write, self._path)

    def _read(self, path: Path) -> dict[str, Remembered]:
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            if path.parent.is_dir():
                return {}
            raise LocalControllerError(f"state_directory {path.parent}: no such folder; create it") from None
        except (NotADirectoryError, ValueError):  # such as a name that no folder can have
            raise LocalControllerError(f"state_directory {path.parent}: is no folder; correct it") from None
        except OSError as error:  # a disk that fails, or a file of somebody else: no reason to leave the stations alone
            put_aside(path, str(error), "capabilities", self._log)
            return {}
        try:
            found = msgspec.json.decode(text, type=_File)
            if found.format != _FORMAT:
                raise msgspec.ValidationError(f"format {found.format} is not {_FORMAT}")
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            put_aside(path, str(error), "capabilities", self._log)
            return {}
        return found.stations

    def _write(self, path: Path) -> None:
        """Replaces the file as a whole, so that a power cut leaves the old or the new."""
        self._is_due = False
        try:
            written = _Written(_FORMAT, dict(_each_written(dict(self._stations))))
            write_whole(path, msgspec.json.format(msgspec.json.encode(written, order="sorted")))
        except OSError as error:
            remedy = "let the gateway write there, or correct state_directory"
            self._log.error("capabilities_not_written", file=str(path), reason=str(error), remedy=remedy)


def _each_written(stations: Mapping[str, Remembered]) -> Iterator[tuple[str, msgspec.Raw]]:
    """One that calls itself something that no file can hold (half a character) is learnt again, and harms no other."""
    for identity, remembered in stations.items():
        with suppress(UnicodeEncodeError):
            yield identity, msgspec.Raw(msgspec.json.encode(remembered, order="sorted"))
