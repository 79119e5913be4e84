"""What has the CSMS of one station yet to get, and what comes next? Numbers of the journal only: texts stay on the disk."""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Iterable

from local_controller.deputy.effects import Entry, Kind

_Place = tuple[int, int, int]  # kind, rank, number


class Backlog:
    """Transactions as they happened; boot and states before them, the rest behind them by rank (LC-051)."""

    def __init__(self, kept: Iterable[tuple[int, Entry]] = ()) -> None:
        """kept: by earlier connections of the station, by rising number.

        obsolete: those of them that another one has taken the place of, and of which nobody had the time to say so.
        """
        self._transactions: deque[int] = deque()
        self._others: list[_Place] = []
        self._places: dict[int, _Place] = {}
        self._latest: dict[str, int] = {}
        self._samples: dict[int, str] = {}
        self.obsolete = tuple(old for number, entry in kept for old in self.add(number, entry))

    def __len__(self) -> int:
        return len(self._transactions) + len(self._others)

    def __contains__(self, number: int) -> bool:
        return number in self._places or number in self._transactions

    @property
    def has_transactions(self) -> bool:
        """Whether something that belongs to a transaction, or may, waits: what comes live then has to wait, too."""
        return bool(self._transactions)

    @property
    def has_boot(self) -> bool:
        """Whether the station has booted and the CSMS does not know it."""
        return bool(self._others) and self._others[0][0] == Kind.BOOT

    def tells_of(self, subject: str) -> bool:
        """Whether the latest of this waits."""
        return subject in self._latest

    def add(self, number: int, entry: Entry) -> tuple[int, ...]:
        """One more; the number of the one that it makes obsolete, if any."""
        if entry.sample_of:
            self._samples[number] = entry.sample_of
        if entry.kind is Kind.TRANSACTION:
            self._transactions.append(number)
            return ()
        before = self._latest.get(entry.subject) if entry.subject else None
        if before is not None:
            self.remove(before)
        if entry.subject:
            self._latest[entry.subject] = number
        place = self._places[number] = entry.kind, entry.rank, number
        insort(self._others, place)
        return () if before is None else (before,)

    def next(self, *, without_transactions: bool = False) -> int | None:
        """What the CSMS gets next. without_transactions: while the oldest of them waits for another attempt."""
        if self._others and (self._others[0][0] < Kind.TRANSACTION or not self._transactions):
            return self._others[0][2]
        if self._transactions and not without_transactions:
            return self._transactions[0]
        return self._others[0][2] if self._others else None

    def remove(self, number: int) -> None:
        """It is delivered, or counts no more."""
        place = self._places.pop(number, None)
        if place is not None:
            self._others.remove(place)
            self._latest = {subject: one for subject, one in self._latest.items() if one != number}
        elif number in self._transactions:
            self._transactions.remove(number)  # nearly always the first
        self._samples.pop(number, None)

    def thin(self) -> tuple[int, ...]:
        """Gives up every second sample from the middle of each transaction, and of a connector outside of them; first and last stay.

        (E12.FR.04, J02.FR.13)
        """
        of: dict[str, list[int]] = {}
        for number, transaction in self._samples.items():
            of.setdefault(transaction, []).append(number)
        given_up = tuple(sorted(number for numbers in of.values() for number in numbers[1:-1:2]))
        gone = set(given_up)
        self._transactions = deque(number for number in self._transactions if number not in gone)
        self._others = [place for place in self._others if place[2] not in gone]
        self._places = {number: place for number, place in self._places.items() if number not in gone}
        self._samples = {number: one for number, one in self._samples.items() if number not in gone}
        return given_up
