"""What is known about single products? Vendor deviations as data (`records.yaml`), one record per product family.

The shipped ones are constants that lie in a file of this package: to read them is like an import.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, lru_cache
from importlib import resources
from typing import Any, Final

from ruamel.yaml import YAML

from local_controller.errors import KnowledgeError
from local_controller.station.capability import Capability, How, Origin
from local_controller.station.dialects.base import BootCall
from local_controller.station.knowledge import Knowledge

_NEEDED: Final = ("name", "vendor", "note", "source")
_PATTERNS: Final = ("vendor", "model", "firmware")
_OBSERVED: Final = re.compile(r"https://\S+|observed on \S.*, \d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, slots=True, eq=False)
class Quirk:
    """One product family. Patterns are regular expressions searched whatever the case; None matches all.

    sources: where it was reported, or on what it was observed and when. A record is itself only, as it is read once.
    """

    name: str
    vendor: str
    note: str
    sources: tuple[str, ...]
    model: str | None = None
    firmware: str | None = None
    knowledge: Knowledge = field(default_factory=Knowledge)

    @property
    def source(self) -> str:
        """All sources in one text."""
        return ", ".join(self.sources)

    def matches(self, who: BootCall) -> bool:
        """Whether a station that says so belongs to the family."""
        return (
            _found(self.vendor, who.vendor)  # asked of every record at every boot
            and (self.model is None or _found(self.model, who.model))
            and (self.firmware is None or _found(self.firmware, who.firmware))
        )

    def applied(self, capability: Capability, at: datetime | None = None) -> Capability:
        """The capability of such a station; what the site file says stays."""
        return capability.knowing(self.knowledge, Origin(How.QUIRK, at, self.name))


@cache
def shipped_quirks() -> tuple[Quirk, ...]:
    """The records of this package, read once."""
    return read_quirks(resources.files(__package__).joinpath("records.yaml").read_text("utf-8"))


def read_quirks(text: str) -> tuple[Quirk, ...]:
    """The records in this YAML; KnowledgeError names the record, the key and the remedy."""
    records = YAML(typ="safe", pure=True).load(text)
    return tuple(_quirk(record, number) for number, record in enumerate(records, start=1))


def quirk_of(who: BootCall, quirks: Sequence[Quirk]) -> Quirk | None:
    """The first record that matches."""
    return _quirk_of(who.vendor, who.model, who.firmware, tuple(quirks))


@lru_cache(maxsize=256)
def _quirk_of(vendor: str, model: str, firmware: str, quirks: tuple[Quirk, ...]) -> Quirk | None:
    """All records are searched once for the stations of one product, of which hundreds may boot in the same second."""
    who = BootCall(vendor, model, firmware, "")
    return next((quirk for quirk in quirks if quirk.matches(who)), None)


def _found(pattern: str, text: str) -> bool:
    return _compiled(pattern).search(text) is not None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


def _quirk(record: Mapping[str, Any], number: int) -> Quirk:
    place = f"quirk {record.get('name') or number}"
    rest = dict(record)
    texts: dict[str, Any] = {key: rest.pop(key) for key in (*_NEEDED, *_PATTERNS) if key in rest}
    for key in _NEEDED:
        if not texts.get(key):
            raise KnowledgeError(place, key, "is missing: every record names itself, its vendor, a note and its source")
    sources = _sources(texts.pop("source"), place)
    for key, value in texts.items():
        if not isinstance(value, str):
            raise KnowledgeError(place, key, f"{value!r} is no text: put it in quotes")
    for key in _PATTERNS:
        _check_pattern(texts.get(key), place, key)
    return Quirk(**texts, sources=sources, knowledge=Knowledge.read(rest, place))


def _sources(value: Any, place: str) -> tuple[str, ...]:
    sources = tuple(value) if isinstance(value, list) else (value,)
    for source in sources:
        if not isinstance(source, str) or not _OBSERVED.fullmatch(source):
            raise KnowledgeError(
                place, "source", f"{source!r} is neither an https:// address nor 'observed on NAME VERSION, YYYY-MM-DD'"
            )
    return sources


def _check_pattern(pattern: str | None, place: str, key: str) -> None:
    try:
        re.compile(pattern or "")
    except re.error as error:
        raise KnowledgeError(place, key, f"{pattern!r} is no regular expression ({error}): escape its signs") from error
