"""What is known of the hours ahead, as page, JSON and MQTT show it?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from local_controller.clock import Instant
from local_controller.site.foresight import Foresight
from local_controller.site.outlook import Kind, Source


@dataclass(frozen=True, slots=True)
class OutlookView:
    """A price or a forecast. value: of this moment, None where it is unknown; unit: of the value.

    state: whether messages tell it (known), the site file does (table), the site has learnt it (learnt, or is learning), or why
    nobody does. until: until when messages tell
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


def outlook_views(foresight: Foresight, now: Instant) -> tuple[OutlookView, ...]:
    """Of all that the site file names, and of what the site has learnt where it names no forecast of the building."""
    told = [_view(source, now) for source in foresight.sources.values()]
    if not foresight.is_used or Kind.BASE_LOAD in foresight.sources:
        return tuple(told)
    now_s = now.utc.timestamp()
    expected_w = foresight.history.expected_w(now_s, now_s + 1.0)
    state = "learning" if expected_w is None else "learnt"
    learnt = OutlookView(Kind.BASE_LOAD, "base load, learnt", state, expected_w, "W", None, None, "")
    return (*told, learnt)


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
