"""How do people say how long something lasts, when it was, and how many there are?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo

from local_controller.clock import Instant


def lasting(seconds: float) -> str:
    """A time in the unit in which people would say it."""
    for unit_s, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit_s:
            return f"{seconds / unit_s:.0f} {name}"
    return f"{seconds:.0f} s"


def ago(age_s: float) -> str:
    """How old a fact is."""
    return f"{lasting(age_s)} ago"


def moment(at: Instant, zone: tzinfo, now: Instant) -> str:
    """The time of day of the site, with the date unless that is today's."""
    local = at.utc.astimezone(zone)
    is_today = local.date() == now.utc.astimezone(zone).date()
    return f"{local:%H:%M}" if is_today else f"{local:%Y-%m-%d %H:%M}"


def many(count: int, one: str, several: str = "") -> str:
    """A count of something: "1 day", "2 days"; several: its plural where that is not just an s."""
    return f"{count} {one if count == 1 else several or one + 's'}"


def named(names: Sequence[str], most: int) -> str:
    """Names in a sentence, the first of them where there are very many."""
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def capital(text: str) -> str:
    """As the beginning of a sentence."""
    return text[:1].upper() + text[1:]
