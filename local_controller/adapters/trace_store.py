"""Where are the frames of both legs kept, with what became of each? In one SQLite file of bounded size.

SQLite and not a ring of text files: one file to name, copy and send; the oldest frames make room one by one; `tail`,
`diff` and `export` read it while it is written; a power cut leaves a sound file behind. The price is that each byte is
written twice (write-ahead log). A frame costs the event loop one append to a queue; a thread does the rest, in batches.

The file holds messages verbatim, identifiers of drivers included, so only its owner may read it (mode 0600); passwords
are masked (LC-132). What cannot be kept (full disk, too much at once) is counted and shown by every reader.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from structlog.typing import FilteringBoundLogger

from local_controller.adapters.trace_secrets import erased, masked
from local_controller.clock import Instant
from local_controller.errors import FrameError, LocalControllerError
from local_controller.rpc import frame as rpc
from local_controller.station.effects import Fate, Peer, Trace

GATEWAY: Final = "gateway"
"""The sender of what the gateway itself wrote; the others are "station" and "csms"."""

FLUSH_S: Final = 0.25  # so old is what a reader does not see yet
PENDING_LIMIT: Final = 16 * 2**20  # bytes that may wait for the disk; two of the largest messages (LC-014)
BATCH_LIMIT: Final = 2**20  # bytes of one transaction, so that the write-ahead log stays small
ROWS_A_TURN: Final = 8  # about 0.2 ms of the interpreter
NAP_S: Final = 50e-6  # time to wake up; 20,000 rows a second are still written, more than a site of 2,000 stations says
_ROW_BYTES: Final = 160  # what a row costs beside its texts
_PAGE_BYTES: Final = 4096
_APPLICATION_ID: Final = 0x4C435452  # "LCTR"; says to `file` and to us that this is a trace

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS frames (
    number INTEGER PRIMARY KEY AUTOINCREMENT, utc TEXT NOT NULL, identity TEXT NOT NULL, sender TEXT NOT NULL, fate TEXT NOT NULL,
    message_id TEXT NOT NULL, action TEXT NOT NULL, detail TEXT NOT NULL, text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS missing (reason TEXT PRIMARY KEY, count INTEGER NOT NULL);
INSERT OR IGNORE INTO missing VALUES ('made_room', 0), ('not_kept', 0);
"""


class Record(NamedTuple):
    """One frame with its fate, as in a row of the file. action is "" for answers; numbers rise by one.

    fate: a word that is no Fate if a newer version wrote it.
    """

    number: int
    utc: str
    identity: str
    sender: str
    fate: Fate | str
    message_id: str
    action: str
    detail: str
    text: str


@dataclass(frozen=True, slots=True)
class Missing:
    """Frames that are no longer (made_room for newer ones) or never were (not_kept) in the file."""

    made_room: int
    not_kept: int


class _Pending(NamedTuple):
    utc: datetime
    identity: str
    trace: Trace

    @property
    def size(self) -> int:
        """An estimate in bytes; a character beyond ASCII counts as one."""
        return len(self.trace.text) + _ROW_BYTES


class TraceStore:
    """The writing side. One process writes a file at a time; any number may read it."""

    def __init__(self, file: Path, max_bytes: int, log: FilteringBoundLogger) -> None:
        """`max_bytes` bounds the file; beside it stands a write-ahead log of some megabytes while it is written."""
        self._file = file
        self._max_pages = max_bytes // _PAGE_BYTES
        self._batch_limit = min(BATCH_LIMIT, max_bytes // 8)
        self._log = log
        self._pending: deque[_Pending] = deque()
        self._erasures: deque[tuple[str, frozenset[str]]] = deque()
        self._arrived_bytes = 0  # counted by the event loop only
        self._taken_bytes = 0  # counted by the thread only; the difference is what waits
        self._refused = 0  # by the event loop, while too much waits
        self._failed = 0  # by the thread, while the file takes nothing
        self._not_kept_before = 0  # by earlier runs
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._write, name="trace", daemon=True)

    async def start(self) -> None:
        """Opens or makes the file. Raises LocalControllerError when that is impossible."""
        self._database = _opened_for_writing(self._file, self._max_pages)
        self._not_kept_before = _missing(self._database).not_kept
        self._thread.start()

    def record(self, identity: str, trace: Trace, now: Instant) -> None:
        """Keeps a frame, soon; never waits."""
        pending = _Pending(now.utc, identity, trace)
        if self._arrived_bytes - self._taken_bytes + pending.size > PENDING_LIMIT:
            self._refused += 1
            return
        self._arrived_bytes += pending.size
        self._pending.append(pending)

    def erase(self, identity: str, words: Collection[str]) -> None:
        """Has these words erased from a station's messages, soon (LC-146)."""
        self._erasures.append((identity, frozenset(words)))

    async def stop(self) -> None:
        """Writes what is left and closes the file."""
        self._stopping.set()
        await asyncio.to_thread(self._thread.join)
        self._database.close()

    # --- in the thread -------------------------------------------------------------------------------------------

    def _write(self) -> None:
        is_last = False
        while not is_last:
            is_last = self._stopping.wait(FLUSH_S)
            while batch := self._batch():
                self._keep(batch)
            while self._erasures:
                self._erase(*self._erasures.popleft())
        self._keep([])

    def _batch(self) -> list[_Pending]:
        batch: list[_Pending] = []
        size = 0
        while self._pending and size < self._batch_limit:
            pending = self._pending.popleft()
            batch.append(pending)
            size += pending.size
        self._taken_bytes += size
        return batch

    def _keep(self, batch: Sequence[_Pending]) -> None:
        """One transaction; if the file does not take it, its frames are lost and counted."""
        not_kept = self._not_kept_before + self._refused + self._failed
        try:
            with self._database as database:
                need = sum(pending.size for pending in batch) // _PAGE_BYTES
                _make_room(database, self._max_pages - 2 * need)  # a row of its own rarely fills its pages
                database.executemany("INSERT INTO frames VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)", _rows(batch))
                database.execute("UPDATE missing SET count = ? WHERE reason = 'not_kept'", (not_kept,))
        except (sqlite3.Error, UnicodeError) as error:
            self._failed += len(batch)
            self._log.error("trace_not_written", file=str(self._file), frames=len(batch), reason=str(error))

    def _erase(self, identity: str, words: frozenset[str]) -> None:
        """Overwrites words in what was kept so far, also where the file was written before."""
        try:
            rows = self._database.execute("SELECT number, text FROM frames WHERE identity = ?", (identity,))
            changed = [(new, number) for number, text in rows if (new := erased(text, words)) != text]
            self._database.execute("PRAGMA secure_delete = ON")
            with self._database as database:
                database.executemany("UPDATE frames SET text = ? WHERE number = ?", changed)
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            self._log.error("trace_not_erased", file=str(self._file), station=identity, reason=str(error))


def _rows(batch: Sequence[_Pending]) -> Iterator[tuple[str, ...]]:
    """What to insert, with a nap now and then in which the event loop has the interpreter.

    SQLite lets go of it at each row, but takes it back before the other thread is awake. That one would wait for the
    5 ms of sys.getswitchinterval(); with naps it waits for a fifth of a millisecond.
    """
    for number, pending in enumerate(batch, 1):
        yield _row(pending)
        if number % ROWS_A_TURN == 0:
            time.sleep(NAP_S)


def _row(pending: _Pending) -> tuple[str, ...]:
    trace = pending.trace
    try:
        frame = rpc.parse(trace.text)
    except FrameError as error:
        message_id, action = error.message_id, ""
    else:
        message_id, action = frame.message_id, frame.action or ""
    return (
        pending.utc.astimezone(UTC).isoformat(timespec="microseconds"),
        pending.identity,
        trace.sender or GATEWAY,
        trace.fate,
        message_id,
        action,
        trace.detail,
        masked(trace.text),
    )


def _opened_for_writing(file: Path, max_pages: int) -> sqlite3.Connection:
    try:
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
        file.chmod(0o600)  # also when it was there; the write-ahead log gets the same mode
    except OSError as error:
        raise LocalControllerError(
            f"trace file {file}: {error.strerror}; create its folder or choose another"
        ) from error
    database = sqlite3.connect(file, check_same_thread=False)
    try:
        _prepare(database, max_pages)
    except sqlite3.Error as error:
        database.close()
        raise LocalControllerError(f"trace file {file}: {error}; remove it or choose another") from error
    return database


def _prepare(database: sqlite3.Connection, max_pages: int) -> None:
    """Makes the tables of a new file; makes an old one as small as it must be now."""
    if _pages(database)[0] and (fault := _fault(database, is_begun=True)) is not None:
        raise sqlite3.DatabaseError(fault)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")  # a power cut may cost the last seconds, never the file
    database.execute(f"PRAGMA journal_size_limit = {2 * BATCH_LIMIT}")
    database.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
    database.executescript(_SCHEMA)
    with database:
        _make_room(database, max_pages)
    if _pages(database)[0] > max_pages:
        database.execute("VACUUM")
    database.execute(f"PRAGMA max_page_count = {max_pages}")  # the bound that even a mistake of ours keeps


def _fault(database: sqlite3.Connection, *, is_begun: bool = False) -> str | None:
    """Why this file is none of ours; one that `is_begun` may have no table yet."""
    if _number(database, "PRAGMA application_id") != _APPLICATION_ID:
        return "is no trace"
    columns = tuple(column[1] for column in database.execute("PRAGMA table_info(frames)"))
    return None if columns == Record._fields or (is_begun and not columns) else "is a trace of another version"


def _make_room(database: sqlite3.Connection, max_pages: int) -> None:
    """Drops a sixteenth of the frames, the oldest, as often as needed to use no more pages than these."""
    while (count := _pages(database)) and count[0] - count[1] > max_pages:
        first, last = database.execute("SELECT min(number), max(number) FROM frames").fetchone()
        if first is None:
            return
        dropped = database.execute("DELETE FROM frames WHERE number <= ?", (first + (last - first) // 16,)).rowcount
        database.execute("UPDATE missing SET count = count + ? WHERE reason = 'made_room'", (dropped,))


def _pages(database: sqlite3.Connection) -> tuple[int, int]:
    """How many pages the file has, and how many of these are free."""
    return _number(database, "PRAGMA page_count"), _number(database, "PRAGMA freelist_count")


def _number(database: sqlite3.Connection, question: str) -> int:
    return int(database.execute(question).fetchone()[0])


def _missing(database: sqlite3.Connection) -> Missing:
    counts = dict(database.execute("SELECT reason, count FROM missing"))
    return Missing(counts["made_room"], counts["not_kept"])


# --- reading ----------------------------------------------------------------------------------------------------------

_AT_ONCE: Final = 500  # frames
_COUNT: Final = "SELECT count FROM missing WHERE reason = '{}'"
_OLDEST: Final = ("SELECT ifnull(min(number), 1) FROM frames", f"SELECT 1 + ({_COUNT})".format("made_room"))
_NEWEST: Final = ("SELECT ifnull(max(number), 0) FROM frames", "SELECT seq FROM sqlite_sequence WHERE name = 'frames'")
"""Two ways to find each end, if the page of one is damaged: numbers rise by one, and only the oldest make room."""

_FRAMES: Final = "SELECT * FROM frames WHERE number BETWEEN ? AND ? AND identity = ifnull(?, identity) ORDER BY number"
_TYPES: Final = [int, *[str] * 8]
_FATES: Final = frozenset(Fate)


class TraceFile:
    """The reading side, also while the gateway writes.

    A damaged file is read as far as it goes. Every method raises LocalControllerError when nothing can be read.
    """

    def __init__(self, file: Path) -> None:
        """Raises LocalControllerError when there is no trace in this file."""
        self._file = file
        self.unreadable: set[int] = set()
        """The numbers of the frames that were to be read and are damaged."""
        with closing(self._opened()):
            pass

    def _opened(self) -> sqlite3.Connection:
        if not self._file.is_file():
            raise self._no_trace("is a folder" if self._file.is_dir() else "No such file or directory")
        try:
            database = sqlite3.connect(f"{self._file.absolute().as_uri()}?mode=ro", uri=True)
        except sqlite3.Error as error:
            raise self._no_trace(str(error)) from error
        try:
            reason = _fault(database)
        except sqlite3.Error as error:
            reason = str(error)
        if reason is None:
            return database
        database.close()
        raise self._no_trace(reason)

    def _no_trace(self, reason: str) -> LocalControllerError:
        return LocalControllerError(f"{self._file}: {reason}; name the `trace.file` of a site file")

    def records(self, station: str | None = None, after: int = 0) -> Iterator[Record]:
        """The frames with a higher number than `after`, oldest first, of one station or of all."""
        first, last = self._ends()
        for start in range(max(first, after + 1), last + 1, _AT_ONCE):
            yield from self._read(start, min(start + _AT_ONCE - 1, last), station)

    def last(self, count: int, station: str | None = None) -> list[Record]:
        """The newest frames, oldest first."""
        found: deque[Record] = deque()
        first, last = self._ends()
        for end in range(last, first - 1, -_AT_ONCE):
            found.extendleft(reversed(self._read(max(first, end - _AT_ONCE + 1), end, station)))
            if len(found) >= count:
                break
        return list(found)[-count:]

    def own_call_ids(self) -> set[tuple[str, str]]:
        """Identity and id of each CALL of ours that the CSMS answered: it went up. All others went down."""
        return {
            (record.identity, record.message_id)
            for record in self.records()
            if record.sender == Peer.CSMS and record.fate is Fate.ABSORBED and not record.action
        }

    def missing(self) -> Missing:
        """How many frames are not there."""
        return Missing(*(self._number(_COUNT.format(reason)) for reason in Missing.__annotations__))

    def _ends(self) -> tuple[int, int]:
        """The numbers of the oldest and the newest frame."""
        return self._number(*_OLDEST), self._number(*_NEWEST)

    def _number(self, *questions: str) -> int:
        """The answer to the first question whose page is sound."""
        fault: Exception | None = None
        with closing(self._opened()) as database:
            for question in questions:
                try:
                    return _number(database, question)
                except (sqlite3.Error, TypeError, ValueError) as error:  # TypeError: there is no such row
                    fault = error
        raise LocalControllerError(f"{self._file}: {fault}; remove it while the gateway is stopped") from fault

    def _read(self, first: int, last: int, station: str | None) -> list[Record]:
        """Few at once, so that no long read keeps the writer from tidying up its log."""
        with closing(self._opened()) as database:
            return list(self._sound(database, first, last, station))

    def _sound(self, database: sqlite3.Connection, first: int, last: int, station: str | None) -> Iterator[Record]:
        """What can be read from one number to another; where that is damaged, by halves, down to the single frame."""
        try:
            found = [_record(row) for row in database.execute(_FRAMES, (first, last, station))]
        except (sqlite3.Error, ValueError):
            if first == last:
                self.unreadable.add(first)
                return
            middle = (first + last) // 2
            yield from self._sound(database, first, middle, station)
            yield from self._sound(database, middle + 1, last, station)
        else:
            yield from found


def _record(row: Sequence[Any]) -> Record:
    """What stands in a row. Raises ValueError where the tree of the file is whole and its content is not."""
    record = Record(*row)
    if [*map(type, row)] != _TYPES or datetime.fromisoformat(record.utc).tzinfo is None:
        raise ValueError("no record of a trace")
    return record._replace(fate=Fate(record.fate)) if record.fate in _FATES else record
