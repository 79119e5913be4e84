"""What did the CSMS say of an identifier, and when? As it is kept: without an identifier in it (LC-068)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

import msgspec

from local_controller.station.authorization import IdToken, Verdict
from local_controller.station.sealed import Seal


class Word(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """said: without its group. group: sealed, "" for none. heard: when, in a cache; a local list has no age."""

    said: Verdict
    heard: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    group: str = ""

    def is_too_old(self, now: datetime, lifetime: timedelta | None) -> bool:
        """An acceptance without an end of its own ages (C10.FR.10). A refusal does not: time alone lets nobody in."""
        if lifetime is None or self.heard is None or self.said.until is not None or not self.said.is_accepted:
            return False
        return now - self.heard > lifetime


def word(seal: Seal, token: IdToken, verdict: Verdict, heard: datetime | None = None) -> Word:
    """What is kept of a verdict on this identifier."""
    if verdict.group is None:
        return Word(verdict, heard)
    return Word(msgspec.structs.replace(verdict, group=None), heard, seal.sealed(token, verdict.group))


def verdict(seal: Seal, token: IdToken, kept: Word) -> Verdict:
    """The same again, now that the identifier is here."""
    return msgspec.structs.replace(kept.said, group=seal.opened(token, kept.group)) if kept.group else kept.said
