"""What is in the journal? For people, also while the gateway writes it; and what they want of a message that was put aside.

A reader has no lock that a writer waits for, and leaves after each page of rows, so that the log beside the file does not grow
meanwhile. The two changes are one short transaction each; when the gateway writes just then, one waits for the other.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from local_controller.adapters.journal import APPLICATION_ID, KEY_BYTES, KEY_NAME, NAME, opened
from local_controller.deputy.effects import Entry
from local_controller.errors import LocalControllerError
from local_controller.site.csms_view import KeptMessages

PAGE_ROWS: Final = 500
_SELECT: Final = "SELECT number, identity, aside, body FROM messages WHERE"


class Message(NamedTuple):
    """One message of a station. reason: why it was put aside; None: it waits. entry: None where the key does not fit, or it is damaged."""

    number: int
    station: str
    reason: str | None
    entry: Entry | None

    @property
    def action(self) -> str:
        """Its action, or that nobody knows."""
        return "unreadable" if self.entry is None else self.entry.action

    @property
    def at(self) -> datetime | None:
        """When the station sent it (UTC)."""
        return None if self.entry is None else self.entry.at

    @property
    def payload(self) -> str | None:
        """Its JSON, as the station wrote it."""
        return None if self.entry is None else self.entry.payload


class JournalFile:
    """The journal of a state directory."""

    def __init__(self, folder: Path) -> None:
        """Raises LocalControllerError when there is none that can be read."""
        self.path, self.key_path = folder / NAME, folder / KEY_NAME
        with closing(self._opened()):
            pass

    @property
    def size_bytes(self) -> int:
        """Of the file, with the log beside it."""
        beside = self.path.with_name(f"{NAME}-wal")
        return self.path.stat().st_size + (beside.stat().st_size if beside.exists() else 0)

    def counts(self) -> dict[str, KeptMessages]:
        """By station; needs no key."""
        question = "SELECT identity, count(*) - count(aside), count(aside) FROM messages GROUP BY identity"
        return {identity: KeptMessages(*numbers) for identity, *numbers in self._asked(question)}

    def messages(self, station: str | None = None) -> Iterator[Message]:
        """All, by rising number, of one station or of all. LocalControllerError when there is no key."""
        return self._pages(self._cipher(), station)

    def _pages(self, cipher: AESGCM, station: str | None) -> Iterator[Message]:
        number = 0
        question = f"{_SELECT} number > ? AND identity = ifnull(?, identity) ORDER BY number LIMIT {PAGE_ROWS}"
        while rows := self._asked(question, number, station):
            yield from (_message(cipher, *row) for row in rows)
            number = rows[-1][0]

    def oldest(self) -> dict[str, Message]:
        """The first of each station that waits. LocalControllerError when there is no key."""
        cipher, first = self._cipher(), "SELECT min(number) FROM messages WHERE aside IS NULL GROUP BY identity"
        return {row[1]: _message(cipher, *row) for row in self._asked(f"{_SELECT} number IN ({first})")}

    def put_aside(self) -> list[Message]:
        """Those that could not be delivered (LC-054). LocalControllerError when there is no key."""
        cipher = self._cipher()
        aside = "SELECT number FROM messages INDEXED BY of_station WHERE aside IS NOT NULL"
        return [_message(cipher, *row) for row in self._asked(f"{_SELECT} number IN ({aside}) ORDER BY number")]

    def of(self, number: int) -> Message:
        """The one with this number, which was put aside; LocalControllerError if it was not."""
        rows = self._asked(f"{_SELECT} number = ?", number)
        if not rows:
            raise LocalControllerError(f"{number}: no message has this number; `local-controller journal` lists them")
        message = _message(self._cipher(), *rows[0])
        if message.reason is None:
            raise LocalControllerError(f"{number}: this message was not put aside: it waits and will be delivered")
        return message

    def wait_again(self, number: int) -> None:
        """It is delivered like the others, from the station's next connection on."""
        self._change("UPDATE messages SET aside = NULL WHERE number = ? AND aside IS NOT NULL", number)

    def drop(self, number: int) -> None:
        """It is gone for good."""
        self._change("DELETE FROM messages WHERE number = ? AND aside IS NOT NULL", number)

    # --- the file ------------------------------------------------------------------------------------------------

    def _asked(self, question: str, *values: object) -> list[tuple[Any, ...]]:
        with closing(self._opened()) as database:
            try:
                return database.execute(question, values).fetchall()
            except sqlite3.Error as error:
                raise self._unreadable(error) from error

    def _change(self, statement: str, number: int) -> None:
        with closing(self._opened("rw")) as database:
            try:
                with database:
                    database.execute(statement, (number,))
            except sqlite3.OperationalError as error:
                text = f"{self.path}: {error}; run it as the user of the gateway, or again in a moment"
                raise LocalControllerError(text) from error
            except sqlite3.Error as error:
                raise self._unreadable(error) from error

    def _opened(self, mode: str = "ro") -> sqlite3.Connection:
        if not self.path.exists():
            text = "there is no journal yet; a gateway makes it when it starts with a section `outage` in its `csms`"
            raise LocalControllerError(f"{self.path}: {text}")
        if not os.access(self.path, os.R_OK):
            raise LocalControllerError(f"{self.path}: for its owner only; run this as the user of the gateway")
        database: sqlite3.Connection | None = None
        try:
            database = sqlite3.connect(f"{self.path.absolute().as_uri()}?mode={mode}", uri=True)
            if database.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
                raise sqlite3.DatabaseError("is no journal")
        except sqlite3.Error as error:
            if database is not None:
                database.close()
            raise self._unreadable(error) from error
        return database

    def _unreadable(self, error: sqlite3.Error) -> LocalControllerError:
        if isinstance(error, sqlite3.OperationalError):
            return LocalControllerError(f"{self.path}: {error}; run this as the user of the gateway")
        remedy = "copy it before the gateway starts again, which puts a damaged journal aside and begins a new one"
        return LocalControllerError(f"{self.path}: {error}; {remedy}")

    def _cipher(self) -> AESGCM:
        remedy = "put the key back from a backup; without it nobody can read what the journal holds"
        try:
            key = self.key_path.read_bytes()
        except OSError as error:
            raise LocalControllerError(f"{self.key_path}: {error.strerror}; {remedy}") from error
        if len(key) != KEY_BYTES:
            raise LocalControllerError(f"{self.key_path}: is no key of {KEY_BYTES} bytes; {remedy}")
        return AESGCM(key)


def _message(cipher: AESGCM, number: int, station: str, reason: str | None, body: bytes) -> Message:
    try:
        return Message(number, station, reason, opened(cipher, body))
    except (InvalidTag, ValueError):
        return Message(number, station, reason, None)
