"""How does a site file write a time of some days of the week?"""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from local_controller.config.section import Section

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

EVERY_DAY: Final[tuple[Weekday, ...]] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _on_the_clock(text: str) -> str:
    if re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text) is None:
        hint = '; midnight is "00:00"' if text == "24:00" else ""
        raise PydanticCustomError("clock", 'must be a time of day from "00:00" to "23:59"{hint}', {"hint": hint})
    return text


TimeOfDay = Annotated[str, AfterValidator(_on_the_clock)]


class SpanSection(Section):
    """A time of some days of the week, by the clock of `site.time_zone`."""

    days: tuple[Weekday, ...] = Field(default=EVERY_DAY, min_length=1)
    """The days on which it begins: mon, tue, wed, thu, fri, sat, sun. Left out: every day."""
    start: TimeOfDay = Field(examples=['"17:00"'])
    """When it begins, as "17:00"."""
    end: TimeOfDay = Field(examples=['"21:00"'])
    """When it ends, as "21:00"; on the next day if that is not after its start."""

    @property
    def day_numbers(self) -> frozenset[int]:
        """The days, 0 for Monday to 6 for Sunday."""
        return frozenset(EVERY_DAY.index(day) for day in self.days)
