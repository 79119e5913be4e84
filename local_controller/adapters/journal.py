"""Where is it kept what CSMSs have yet to hear? In one SQLite file of the state directory, that outlives power cuts.

A message counts as kept when it is on the disk (`synchronous = FULL`): one transaction, and so one wait for the disk, for all
that came meanwhile. A thread does it; the event loop only leaves jobs, and hears of their end in their order.

Messages name drivers, so they lie encrypted (AES-256-GCM) under a key of a file beside it, both for their owner's eyes only (LC-068).
"""

from __future__ import annotations

import asyncio
import os
import queue
import secrets
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec.structs import replace
from structlog.typing import FilteringBoundLogger

from local_controller.adapters.whole_file import put_aside, write_whole
from local_controller.deputy.effects import Entry
from local_controller.errors import LocalControllerError

NAME: Final = "journal.sqlite"
KEY_NAME: Final = "journal.key"

APPLICATION_ID: Final = 0x4C434A4F  # "LCJO"
_PAGE_BYTES: Final = 4096
_NONCE_BYTES: Final = 12
KEY_BYTES: Final = 32
ENDED_S: Final = 86_400.0
"""So long a pair of transaction ids outlives its transaction: a station that got no answer to the end of one may say it again."""

PAIRS: Final = 64
"""So many pairs are kept of a station, the latest: one that was cut off before it heard of its transaction never ends it.

By number, not by age: a gateway without a clock of its own learns the time from the network, which was away as well.
"""

_SHORT: Final = 0.8
"""Of the largest size: from here on samples are thinned, so that what begins and ends transactions always finds room."""

_SHORTER: Final = 0.02
"""Of the largest size: with each such step above that they are thinned again, for those who came meanwhile."""

COMPLAINT_S: Final = 60.0
"""So long nothing is logged about the same reason for which the disk takes nothing."""

TURN: Final = 32
"""So many hear of the end of their jobs before others have their turn: five hundred stations' answers take 0.2 s."""

_ROOM: Final = "make room on the disk, raise journal_mb in csms.outage, or let the gateway write there"
_LARGER: Final = "see why the CSMS stays away, or raise journal_mb in csms.outage"
_RIGHT_KEY: Final = f"stop the gateway and put {KEY_NAME} back from a backup"

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS messages (
    number INTEGER PRIMARY KEY AUTOINCREMENT, identity TEXT NOT NULL, body BLOB NOT NULL, aside TEXT);
CREATE INDEX IF NOT EXISTS of_station ON messages (identity, aside, number);
CREATE TABLE IF NOT EXISTS transaction_ids (
    identity TEXT NOT NULL, provisional INTEGER NOT NULL, real INTEGER NOT NULL, ended REAL,
    PRIMARY KEY (identity, provisional));
"""
_FORGET: Final = """
DELETE FROM transaction_ids WHERE ended < :old OR identity = :identity AND provisional NOT IN (
    SELECT provisional FROM transaction_ids WHERE identity = :identity ORDER BY rowid DESC LIMIT :pairs)
"""

_decode_entry = msgspec.json.Decoder(Entry).decode

_Work = Callable[[sqlite3.Connection], Any]
_Done = Callable[[Any], None]


class Kept(NamedTuple):
    """What is there of one station: its entries by rising number, and the CSMS's transaction ids by provisional ones.

    ended: the provisional ids of transactions whose end the CSMS has heard; a station that was not told so says it again.
    """

    entries: list[tuple[int, Entry]]
    pairs: dict[int, int]
    ended: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class NotKept:
    """Why something is not on the disk."""

    reason: str


class _Job(NamedTuple):
    work: _Work
    done: _Done | None


class Journal:
    """The journal of all stations of the site."""

    def __init__(self, folder: Path, max_bytes: int, log: FilteringBoundLogger) -> None:
        """max_bytes: of the file; what would make it larger is not kept."""
        self._path, self._key_path = folder / NAME, folder / KEY_NAME
        self._max_pages = max(64, max_bytes // _PAGE_BYTES)
        self._log = log
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="journal", daemon=True)
        self._short_at = self._first_short = int(_SHORT * self._max_pages)
        self._complained = "", 0.0
        self._ends: deque[tuple[_Done, Any]] = deque()
        self.short: Callable[[], None] = lambda: None
        """Called when the file is nearly full (LC-056)."""

    async def start(self) -> None:
        """Opens the file, or makes it. Raises LocalControllerError when that is impossible."""
        self._loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._open)  # to look through all of it may take a while
        self._thread.start()

    def _open(self) -> None:
        self._cipher = AESGCM(_key(self._key_path, self._path, self._log))
        self._database = self._opened()
        self._inode = self._path.stat().st_ino

    async def stop(self) -> None:
        """All that was left to do is on the disk."""
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)
        self._database.close()

    # --- what is asked of it -------------------------------------------------------------------------------------

    async def of(self, identity: str) -> Kept:
        """What is there of a station, after all that was asked before."""
        found: asyncio.Future[Kept] = self._loop.create_future()

        def read(database: sqlite3.Connection) -> Kept:
            question = "SELECT number, body FROM messages WHERE identity = ? AND aside IS NULL ORDER BY number"
            opened_rows = (
                (number, self._opened_entry(body)) for number, body in database.execute(question, (identity,))
            )
            entries = [(number, replace(entry, payload="")) for number, entry in opened_rows if entry is not None]
            rows = database.execute(
                "SELECT provisional, real, ended FROM transaction_ids WHERE identity = ?", (identity,)
            ).fetchall()
            pairs = {provisional: real for provisional, real, _ in rows}
            ended = frozenset(provisional for provisional, _, since in rows if since is not None)
            return Kept(entries, pairs, ended)

        def done(result: Kept | NotKept) -> None:
            if not found.done():
                found.set_result(Kept([], {}) if isinstance(result, NotKept) else result)

        old = {"old": time.time() - ENDED_S, "identity": identity, "pairs": PAIRS}
        self._do(lambda database: database.execute(_FORGET, old) and None)
        self._do(read, done)
        return await found

    def keep(self, identity: str, entry: Entry, done: Callable[[int | NotKept], None]) -> None:
        """`done` gets its number once it is on the disk, or hears why it is not."""
        body = self._closed(msgspec.json.encode(entry))

        def write(database: sqlite3.Connection) -> int | None:
            self._see_that_it_is_there()
            return database.execute("INSERT INTO messages VALUES (NULL, ?, ?, NULL)", (identity, body)).lastrowid

        self._do(write, done)

    def fetch(self, number: int, done: Callable[[Entry | None], None]) -> None:
        """`done` gets the entry with this number; None if there is none that can be read."""

        def read(database: sqlite3.Connection) -> Entry | None:
            row = database.execute("SELECT body FROM messages WHERE number = ?", (number,)).fetchone()
            return None if row is None else self._opened_entry(row[0])

        self._do(read, lambda result: done(None if isinstance(result, NotKept) else result))

    def drop(self, numbers: Sequence[int]) -> None:
        """These are no longer needed."""
        rows = [(number,) for number in numbers]
        self._do(lambda database: database.executemany("DELETE FROM messages WHERE number = ?", rows) and None)

    def put_aside(self, number: int, reason: str) -> None:
        """This stays until a person has looked at it (LC-054)."""
        values = reason, number
        self._do(lambda database: database.execute("UPDATE messages SET aside = ? WHERE number = ?", values) and None)

    def rename(self, identity: str, provisional: int, real: int | None) -> None:
        """The CSMS's id of a transaction; None: it has heard of its end, and the pair goes a day later (LC-070)."""
        if real is None:
            statement = "UPDATE transaction_ids SET ended = ? WHERE identity = ? AND provisional = ?"
            values: tuple[object, ...] = (time.time(), identity, provisional)
        else:
            statement, values = (
                "INSERT OR REPLACE INTO transaction_ids VALUES (?, ?, ?, NULL)",
                (identity, provisional, real),
            )
        self._do(lambda database: database.execute(statement, values) and None)

    # --- in the thread -------------------------------------------------------------------------------------------

    def _do(self, work: _Work, done: _Done | None = None) -> None:
        self._jobs.put(_Job(work, done))

    def _work(self) -> None:
        """Batch after batch, until somebody wants an end."""
        is_last = False
        while not is_last:
            batch = [self._jobs.get()]
            with suppress(queue.Empty):
                while batch[-1] is not None:
                    batch.append(self._jobs.get_nowait())
            is_last = batch[-1] is None
            if jobs := [job for job in batch if job is not None]:
                self._finish(jobs)

    def _finish(self, batch: Sequence[_Job]) -> None:
        """One transaction; if the disk does not take it, each of its jobs hears why."""
        try:
            with self._database as database:
                results = [job.work(database) for job in batch]
        except Exception as error:  # noqa: BLE001 - a number too large, say: nobody else must wait for ever for that
            self._complain(str(error), len(batch))
            results = self._one_by_one(batch) if len(batch) > 1 else [NotKept(str(error))]
        ends = [(job.done, result) for job, result in zip(batch, results, strict=True) if job.done is not None]
        self._tell(partial(self._ended, ends))
        with suppress(sqlite3.Error):  # whoever wants something to be kept hears of it
            self._look_at_size()

    def _complain(self, reason: str, jobs: int) -> None:
        """Once in a while for the same reason: the log may lie on the same full disk."""
        now_s, before = time.monotonic(), self._complained
        if reason != before[0] or now_s >= before[1] + COMPLAINT_S:
            self._complained = reason, now_s
            self._log.error("journal_not_written", file=str(self._path), jobs=jobs, reason=reason, remedy=_ROOM)

    def _one_by_one(self, batch: Sequence[_Job]) -> list[Any]:
        """What makes room may still be done, and what needs none."""
        results: list[Any] = []
        for job in batch:
            try:
                with self._database as database:
                    results.append(job.work(database))
            except Exception as error:  # noqa: BLE001 - as above
                results.append(NotKept(str(error)))
        return results

    def _see_that_it_is_there(self) -> None:
        """A file that somebody has deleted takes what is written into it along at the next start: nothing may be confirmed."""
        try:
            is_there = self._path.stat().st_ino == self._inode
        except OSError:
            is_there = False
        if not is_there:
            raise LocalControllerError("the file was deleted; start the gateway again, which makes another one")

    def _look_at_size(self) -> None:
        used = _number(self._database, "PRAGMA page_count") - _number(self._database, "PRAGMA freelist_count")
        if used > self._short_at:
            self._log.warning("journal_nearly_full", file=str(self._path), bytes=used * _PAGE_BYTES, remedy=_LARGER)
            self._short_at = used + int(_SHORTER * self._max_pages)
            self._tell(self.short)
        elif used <= self._first_short:
            self._short_at = self._first_short

    def _tell(self, call: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop has ended: nobody is there to hear it
            self._loop.call_soon_threadsafe(call)

    # --- on the loop ---------------------------------------------------------------------------------------------

    def _ended(self, ends: Sequence[tuple[_Done, Any]]) -> None:
        if not self._ends:
            self._loop.call_soon(self._tell_some)
        self._ends.extend(ends)

    def _tell_some(self) -> None:
        """In the order of the jobs."""
        try:
            for _ in range(min(TURN, len(self._ends))):
                done, result = self._ends.popleft()
                done(result)
        finally:
            if self._ends:
                self._loop.call_soon(self._tell_some)

    # --- the file ------------------------------------------------------------------------------------------------

    def _closed(self, text: bytes) -> bytes:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, text, None)

    def _opened_entry(self, body: bytes) -> Entry | None:
        try:
            return opened(self._cipher, body)
        except (InvalidTag, ValueError) as error:
            reason = str(error) or "written with another key"
            self._log.error("journal_unreadable", file=str(self._path), reason=reason, remedy=_RIGHT_KEY)
            return None

    def _opened(self) -> sqlite3.Connection:
        try:
            return self._prepared()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):  # no room, no right: a person has to see to it
                raise LocalControllerError(f"journal {self._path}: {error}; let the gateway write there") from error
            put_aside(self._path, str(error), "journal", self._log)
            for beside in ("-wal", "-shm"):
                self._path.with_name(f"{self._path.name}{beside}").unlink(missing_ok=True)
            database = self._prepared()
            with database:  # no number may come twice, since ids of transactions follow from them (LC-069)
                database.execute("INSERT INTO sqlite_sequence VALUES ('messages', ?)", (_seconds(),))
            return database

    def _prepared(self) -> sqlite3.Connection:
        try:
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
            self._path.chmod(0o600)
        except OSError as error:
            raise LocalControllerError(f"journal {self._path}: {error.strerror}; correct state_directory") from error
        database = sqlite3.connect(self._path, check_same_thread=False)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            database.execute(f"PRAGMA max_page_count = {self._max_pages}")
            database.executescript(_SCHEMA)
            if (fault := database.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
                raise sqlite3.DatabaseError(fault)
        except sqlite3.Error:
            database.close()
            raise
        return database


def opened(cipher: AESGCM, body: bytes) -> Entry:
    """The entry of a row. Raises InvalidTag where it was written with another key, or is damaged; ValueError where it is none of ours."""
    return _decode_entry(cipher.decrypt(body[:_NONCE_BYTES], body[_NONCE_BYTES:], None))


def _seconds() -> int:
    """Since 2026: more than the messages that a journal had, unless they were one a second all along."""
    return max(0, int(time.time() - 1_767_225_600))


def _number(database: sqlite3.Connection, question: str) -> int:
    return int(database.execute(question).fetchone()[0])


def _key(path: Path, journal: Path, log: FilteringBoundLogger) -> bytes:
    """That of the file, or a new one, with which nothing can be read that was written before."""
    try:
        found = path.read_bytes()
    except FileNotFoundError:
        found = b""
    except OSError as error:
        raise LocalControllerError(f"journal key {path}: {error.strerror}; let the gateway read it") from error
    if len(found) == KEY_BYTES:
        return found
    if found:
        put_aside(path, f"is no key of {KEY_BYTES} bytes", "journal_key", log)
    if journal.exists():
        log.error("journal_key_lost", file=str(path), reason="a new key is made", remedy=_RIGHT_KEY)
    new = secrets.token_bytes(KEY_BYTES)
    try:
        write_whole(path, new)
    except OSError as error:
        raise LocalControllerError(f"journal key {path}: {error.strerror}; correct state_directory") from error
    return new
