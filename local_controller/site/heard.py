"""What do sources of limits and people say, what of it is news, and what falls silent?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from local_controller.clock import Instant
from local_controller.site.control_box import ControlBox
from local_controller.site.effects import Notice
from local_controller.site.limit_book import LimitBook
from local_controller.site.limit_message import ReceivedLimit
from local_controller.site.limit_source import ReceivedValue, SourceState
from local_controller.site.lpc import LpcWord
from local_controller.site.person_limit import PersonLimit, Told


class Heard(NamedTuple):
    """What people must know of it, and whether a plan should be made with it."""

    notices: Sequence[Notice]
    is_new: bool


class Sources:
    """The sources of one site's limits; what they say is kept in its `book`."""

    def __init__(self, book: LimitBook) -> None:
        self._book = book

    def received(self, source: str, limit: ReceivedLimit, now: Instant) -> Heard:
        """A limit of an external source: EMS, grid operator, a person."""
        state = self._book.sources[source]
        before = state.bound(now)
        state.received(ReceivedValue.of(limit, now), now)
        if state.bound(now) == before:
            return Heard([], is_new=False)
        fields = {"source": source, "reason": limit.reason}
        return Heard([Notice("info", "limit_changed", state.sentence(now), fields)], is_new=True)

    def told(self, limit: str, told: Told | None, now: Instant) -> Heard:
        """A person sets a limit for a while, or ends it."""
        found = next(one for one in self._book.own if isinstance(one, PersonLimit) and one.id == limit)
        found.told = told
        return Heard([Notice("info", "limit_changed", found.sentence(now), {"source": limit})], is_new=True)

    def failed(self, source: str, text: str) -> Heard:
        """A source said something that cannot be understood: it counts as silent at once."""
        state = self._book.sources[source]
        is_news = text != state.failure
        state.lost(text)
        notice = Notice("error", "limit_unusable", f"{text}; its fallback counts", {"source": source})
        return Heard([notice] if is_news else [], is_new=True)

    def outdated(self, source: str, text: str) -> Heard:
        """A message of another time counts for nothing and changes nothing; the first of several is told."""
        state = self._book.sources[source]
        is_news, state.outdated = not state.outdated, text
        notice = Notice("warning", "limit_outdated", f"{text}; it counts for nothing", {"source": source})
        return Heard([notice] if is_news else [], is_new=False)

    def available(self, source: str, is_there: bool, text: str, now: Instant) -> Heard:
        """A source says that it is there, or its last will that it is not; text: what it says otherwise."""
        state = self._book.sources[source]
        is_news = (is_there, text) != (state.is_there, state.absence)
        state.available(is_there, text, now)
        if not is_news:
            return Heard([], is_new=False)
        there = f"{state.source.label} is there; its next message counts in full"
        said = there if is_there else f"{text}; at most its fallback counts"
        return Heard([_presence(said, is_there, source)], is_new=True)

    def box_said(self, source: str, word: LpcWord, now: Instant) -> Heard:
        """A grid operator's control box spoke."""
        box = self._book.sources[source]
        if not isinstance(box, ControlBox):
            raise TypeError(f"{source} is no control box")
        before = box.bound(now)
        box.hear(word, now)
        return Heard([], is_new=box.bound(now) != before)

    def look(self, now: Instant) -> list[Notice]:
        """Time alone changes what a control box allows, and makes a source silent."""
        news = [(source, text) for source in self._book.sources.values() if (text := source.look(now))]
        return [Notice(*_kind_of_news(source), text, {"source": source.id}) for source, text in news]


def _kind_of_news(source: SourceState) -> tuple[str, str]:
    return ("info", "limit_changed") if isinstance(source, ControlBox) else ("warning", "limit_silent")


def _presence(text: str, is_there: bool, source: str) -> Notice:
    code = "limit_source_online" if is_there else "limit_source_offline"
    return Notice("info" if is_there else "error", code, text, {"source": source})
