"""What is known of the hours ahead, as page, JSON and MQTT show it?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from local_controller.clock import Instant
from local_controller.site.outlook import Source


@dataclass(frozen=True, slots=True)
class OutlookView:
    """A price or a forecast. value: of this moment, None where it is unknown; unit: of the value.

    state: whether messages tell it (known), the site file does (table), or why neither does. until: until when messages tell
    everything (UTC, RFC 3339). age_s: of the last message that could be read. trouble: what is wrong, what counts in its place
    and what helps.
    """

    id: str
    label: str
    state: str
    value: float | None
    unit: str
    until: str | None
    age_s: float | None
    trouble: str


def outlook_views(sources: Iterable[Source], now: Instant) -> tuple[OutlookView, ...]:
    """Of all that the site file names."""
    return tuple(_view(source, now) for source in sources)


def _view(source: Source, now: Instant) -> OutlookView:
    value, until_s = source.at(now), source.known_until_s(now)
    return OutlookView(
        id=str(source.told.kind),
        label=source.told.label,
        state=source.standing(now),
        value=None if value is None else round(value, 5),
        unit=source.told.unit,
        until=None if until_s is None else datetime.fromtimestamp(until_s, UTC).isoformat(timespec="seconds"),
        age_s=None if source.received_at is None else round(now.since(source.received_at), 1),
        trouble=source.trouble(now),
    )
