"""Where is it kept what the site has learnt from visits? In two files of the state directory.

`habits.json` holds one short row for each visit, of cards a digest of 3 bytes. `habits.key` holds the key of these digests, so that the
rows alone tell nothing of anybody's card; without the key they count for their EVSEs and hours only. With it, whoever tries all
4 billion numbers that a small card can have finds 256 that fit; and at one of 135 sites with 500 cards two are taken for one.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import msgspec
from structlog.typing import FilteringBoundLogger

from local_controller.adapters.log_masks import digest
from local_controller.adapters.whole_file import onto_the_disk, put_aside, write_whole
from optimizer.habits import Visit

NAME: Final = "habits.json"
KEY_NAME: Final = "habits.key"
_FORMAT: Final = 1
_KEY_BYTES: Final = 16
_DIGEST_BYTES: Final = 3

_Amount = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
_Flag = Annotated[int, msgspec.Meta(ge=0, le=1)]
_Name = Annotated[str, msgspec.Meta(max_length=300)]


class _Row(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """One visit, as in `optimizer.habits`; day: 1 is the first of January of the year 1. Old rows end with the energy."""

    evse: _Name
    token: _Name
    day: Annotated[int, msgspec.Meta(ge=1, le=3_652_059)]
    weekday: Annotated[int, msgspec.Meta(ge=0, le=6)]
    arrival_h: Annotated[float, msgspec.Meta(ge=0, lt=24)]
    stay_s: _Amount
    energy_wh: _Amount
    has_left: _Flag = 1
    is_full: _Flag = 1

    def visit(self) -> Visit:
        """The same in the optimizer's words."""
        return Visit(
            self.evse,
            self.token,
            self.weekday,
            self.arrival_h,
            self.stay_s,
            self.energy_wh,
            self.day,
            bool(self.has_left),
            bool(self.is_full),
        )


class _File(msgspec.Struct, forbid_unknown_fields=True):
    format: int
    visits: list[_Row]


class HabitsFile:
    """Both files."""

    def __init__(self, folder: Path | None, log: FilteringBoundLogger) -> None:
        """folder: None for memory only; then the key is another one at each start."""
        self._folder, self._log = folder, log
        key = None if folder is None else self._read_key(folder / KEY_NAME)
        self._is_new_key = key is None
        self._key = key or secrets.token_bytes(_KEY_BYTES)

    @property
    def place(self) -> str | None:
        """Where the visits are kept; None for memory only."""
        return None if self._folder is None else str(self._folder / NAME)

    def pseudonym(self, token: str) -> str:
        """The digest of a token by this installation's key."""
        return digest(token, self._key, _DIGEST_BYTES)

    def read(self) -> list[Visit]:
        """What was kept, the oldest first; nothing if there is no file yet, or a damaged one, which is put aside."""
        if self._folder is None:
            return []
        path = self._folder / NAME
        try:
            found = msgspec.json.decode(path.read_bytes(), type=_File)
            if found.format != _FORMAT:
                raise msgspec.ValidationError(f"format {found.format} is not {_FORMAT}")
        except (FileNotFoundError, NotADirectoryError):
            return []
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            put_aside(path, str(error), "habits", self._log)
            return []
        visits = (row.visit() for row in found.visits)
        return [replace(visit, token="") for visit in visits] if self._is_new_key else list(visits)

    def write(self, visits: Iterable[Visit]) -> None:
        """Replaces what was kept. Raises OSError."""
        if self._folder is None:
            return
        if self._is_new_key:
            write_whole(self._folder / KEY_NAME, self._key)
            self._is_new_key = False
        rows = [
            _Row(v.evse, v.token, v.day, v.weekday, v.arrival_h, v.stay_s, v.energy_wh, int(v.has_left), int(v.is_full))
            for v in visits
        ]
        write_whole(self._folder / NAME, msgspec.json.encode(_File(_FORMAT, rows)))

    def forget(self, kept: Iterable[Visit]) -> None:
        """Nothing but these is kept any more, nor in what was put aside; without any, the key goes too. Raises OSError."""
        if kept := list(kept):
            self.write(kept)
        else:
            self._key, self._is_new_key = secrets.token_bytes(_KEY_BYTES), True
        if self._folder is not None:
            gone = [
                f"{NAME}.broken",
                f"{KEY_NAME}.broken",
                *([] if kept else [NAME, f"{NAME}.new", KEY_NAME, f"{KEY_NAME}.new"]),
            ]
            for name in gone:
                (self._folder / name).unlink(missing_ok=True)
            onto_the_disk(self._folder)

    def _read_key(self, path: Path) -> bytes | None:
        try:
            key = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            put_aside(path, str(error), "habits_key", self._log)
            return None
        if len(key) != _KEY_BYTES:
            put_aside(path, f"{len(key)} bytes are no key", "habits_key", self._log)
            return None
        return key


@contextmanager
def alone(folder: Path) -> Iterator[bool]:
    """Whether nobody else writes to these files now: a gateway that runs, or a command. It ends with the process at the latest."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        yield _locked(opened)
    finally:
        os.close(opened)


def _locked(opened: int) -> bool:
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
