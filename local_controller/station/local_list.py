"""Which local authorization list does a station have, as far as it was seen on its way there? (D01, 1.6 §5.15; LC-064)"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from local_controller.station.authorization import UpdateType
from local_controller.station.authorization_word import Word

Entry = tuple[str, Word | None]
"""The name of an identifier (`Seal.name`), and what is said of it; None: it is not in the list."""


class LocalList:
    """words: by name. version: of the station's list, as far as it is known; 0: of none. revision: rises with each change."""

    def __init__(self) -> None:
        """No list was seen."""
        self.version = 0
        self.words: dict[str, Word] = {}
        self.revision = 0

    def resume(self, version: int, words: Mapping[str, Word]) -> None:
        """What an earlier run has kept, before anything is seen."""
        self.version, self.words = version, dict(words)

    def sent(self, kind: UpdateType, version: int, entries: Iterable[Entry]) -> None:
        """The station has taken this update.

        It refuses a Differential one that is not newer than its list (D01.FR.19): if it took one, it has lost the list that we know.
        """
        if kind is UpdateType.FULL:
            self.words = {}
        elif version <= self.version:
            self.doubt()
        for name, said in entries:
            if said is None:
                self.words.pop(name, None)
            else:
                self.words[name] = said
        self.version = version
        self.revision += 1

    def is_at(self, version: int) -> None:
        """The station says which list it has (D02); 0: none; -1: it cannot have any (1.6 §5.10)."""
        if version == self.version:
            return
        if version > 0:
            self.doubt()
        else:
            self.words = {}
        self.version = version
        self.revision += 1

    def doubt(self) -> None:
        """The station's list is another one: who was in ours is not let in by it, and who was refused stays so."""
        self.words = {name: one for name, one in self.words.items() if not one.said.is_accepted}
        self.revision += 1

    def forget(self, digest: str) -> None:
        """Nothing is known any more of the identifiers with this digest, whatever their type."""
        for name in [one for one in self.words if one.endswith(f":{digest}")]:
            del self.words[name]
            self.revision += 1
