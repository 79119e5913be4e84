"""Is every price and every forecast told that the site file counts on, and does it reach beyond this moment?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from local_controller.adapters.examination.finding import Finding, State
from local_controller.adapters.outlook_settings import foresight
from local_controller.clock import Instant
from local_controller.config.models import SiteConfig
from local_controller.site.outlook import Kind, Source
from local_controller.site.series import Series


def awaited(config: SiteConfig) -> frozenset[Kind]:
    """What has to be told over MQTT."""
    return frozenset(kind for kind, source in foresight(config).sources.items() if source.told.topic is not None)


def examined(
    config: SiteConfig, heard: Mapping[Kind, Series], failures: Mapping[Kind, str], patience_s: float, now: Instant
) -> Iterator[Finding]:
    """What each of them tells now, and until when."""
    for kind, source in foresight(config).sources.items():
        subject = source.told.label
        if kind in failures:
            yield Finding(subject, State.ERROR, failures[kind], "compare the payload with what the site file says")
        elif kind not in heard and source.told.topic is not None:
            text = f"nothing on {source.told.topic} within {patience_s:g} s"
            remedy = "does its source publish there, and retain it? A number without times counts only when it is sent"
            yield Finding(subject, State.WARNING, text, remedy)
        else:
            source.received(heard.get(kind, Series()), now)
            yield _told(subject, source, now)


def _told(subject: str, source: Source, now: Instant) -> Finding:
    trouble = source.trouble(now)
    if trouble:
        return Finding(subject, State.WARNING, trouble, "compare the clocks of its source and of this machine")
    until_s = source.known_until_s(now)
    until = (
        "" if until_s is None else f", known until {datetime.fromtimestamp(until_s, UTC).isoformat(timespec='minutes')}"
    )
    return Finding(subject, State.OK, f"{source.at(now):.4g} {source.told.unit} now{until}")
