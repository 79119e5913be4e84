"""What does a limit message of an EMS, grid operator or home automation mean, and for how long?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from local_controller.clock import Instant
from local_controller.errors import SourceError, UnexpectedValueError
from local_controller.site.json_payload import at_path, decoded
from local_controller.site.per_phase import PerPhase
from local_controller.site.time_stamp import StampSettings, of_native, stated_at
from local_controller.site.wall_clock import SenderClock, WallClock

LARGEST = 1e9
"""More watts, amperes or seconds than any site will see."""

CLOCK_SKEW_S = 5.0
"""A time stamp may be this far in the future: two NTP clocks and the age of their last synchronisation."""


class LimitUnit(StrEnum):
    """What a bare number in a foreign payload means, after its factor."""

    AMPERES_PER_PHASE = "A"
    WATTS = "W"


@dataclass(frozen=True, slots=True)
class LimitMessageSettings:
    """How to read the messages of one source.

    max_age_s: the longest time that one message is trusted, whatever it says itself (default of the field: 60 s).
    path: JMESPath of the limit in a foreign payload; None for the payload described in `parse_limit`.
    unit, factor: of the value at `path`; limit = value * factor (a payload in kW: unit W, factor 1000).
    stamp: where a foreign payload keeps its time stamp; None: it has none, and counts as stated when it arrives.
    """

    max_age_s: float = 60.0
    path: str | None = None
    unit: LimitUnit = LimitUnit.AMPERES_PER_PHASE
    factor: float = 1.0
    stamp: StampSettings | None = None


@dataclass(frozen=True, slots=True)
class ReceivedLimit:
    """A limit that a source asked for. Where both are given, both hold; where both are None, the limit is lifted.

    limit_a: A per phase of the grid; power_w: W over all phases; valid_until: the source must speak again before.
    may_raise: False for a message of unknown age: it may lower the limit in force, but not raise it.
    reason: in the source's words, for people. stated_at: when, by its time stamp; None where it has none.
    """

    limit_a: PerPhase | None
    power_w: float | None
    valid_until: Instant
    may_raise: bool = True
    reason: str = ""
    stated_at: Instant | None = None

    @property
    def lifted(self) -> bool:
        """The source said explicitly that it asks for no limit."""
        return self.limit_a is None and self.power_w is None


class OutdatedLimitError(SourceError):
    """A readable message from the wrong time: ignore it, the limit in force runs until its own end.

    Any other SourceError of `parse_limit` means that the source talks nonsense: it counts as stale at once.
    """


def parse_limit(
    payload: bytes,
    retained: bool,
    received: Instant,
    settings: LimitMessageSettings | None = None,
    sender: SenderClock | None = None,
) -> ReceivedLimit:
    """The limit in a payload; raises OutdatedLimitError (ignore it) or SourceError (the source is stale at once).

    The payload, unless `settings.path` says where a foreign one keeps its number:
    {"ts": RFC 3339, "max_a": 40 or [40, 40, 32], "max_w": 25000, "valid_s": 60, "unlimited": true, "reason": text}

    A limit is lifted by "unlimited": true only; null, an empty payload or a missing value lift nothing. A retained
    message without "ts" has an unknown age and therefore may lower but not raise. The time stamp of a foreign payload counts
    as "ts" does where `settings.stamp` says where it is; it must be there then.

    sender: knows by which reading of our clock its time stamps are to be judged, where that was set.
    """
    settings = settings or LimitMessageSettings()
    document = decoded(payload, "limit message")
    message = _native(document) if settings.path is None else _foreign(document, settings.path, settings)
    limit_a, power_w = _limits(message)
    stamped = of_native(message) if settings.stamp is None else stated_at(document, settings.stamp)
    valid_s = min(number(message.get("valid_s", settings.max_age_s), "valid_s"), settings.max_age_s)
    age_s = 0.0 if stamped is None else _age_s(stamped, received, retained, sender)
    if age_s > valid_s:
        raise OutdatedLimitError(f"limit is {age_s:.0f} s old and was valid for {valid_s:g} s: check both clocks")
    return ReceivedLimit(
        limit_a=limit_a,
        power_w=power_w,
        valid_until=received.after(valid_s - age_s),
        may_raise=stamped is not None or not retained,
        reason=str(message.get("reason", "")),
        stated_at=None if stamped is None else received.after(-age_s),
    )


def _native(document: Any) -> Mapping[str, Any]:
    """A payload in our own words."""
    if not isinstance(document, dict):
        raise UnexpectedValueError("limit message must be a JSON object", document)
    return document


def _foreign(document: Any, path: str, settings: LimitMessageSettings) -> Mapping[str, Any]:
    """A foreign payload's number, translated into our own words."""
    value = at_path(document, path, "the limit message")
    if settings.unit is LimitUnit.WATTS:
        return {"max_w": number(value, path) * settings.factor}
    return {"max_a": [limit_a * settings.factor for limit_a in _per_phase(value, path)]}


def _limits(message: Mapping[str, Any]) -> tuple[PerPhase | None, float | None]:
    """A per phase and W in total; both None only if the message lifts the limit in so many words."""
    limit_a = _per_phase(message["max_a"], "max_a") if "max_a" in message else None
    power_w = number(message["max_w"], "max_w") if "max_w" in message else None
    limited = limit_a is not None or power_w is not None
    if limited == (message.get("unlimited", False) is True):
        raise SourceError('limit message needs either "max_a" and/or "max_w", or "unlimited": true')
    return limit_a, power_w


def _per_phase(value: Any, name: str) -> PerPhase:
    """One number for all phases, or three."""
    if not isinstance(value, list):
        limit_a = number(value, name)
        return limit_a, limit_a, limit_a
    if len(value) != 3:
        raise UnexpectedValueError(f"{name} must be one number or three", value)
    l1, l2, l3 = (number(each, name) for each in value)
    return l1, l2, l3


def number(value: Any, name: str) -> float:
    """A number from 0 to the largest of any site; a text such as "16" is none (JMESPath has to_number for it)."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LARGEST:
        raise UnexpectedValueError(f"{name} must be a number from 0 to {LARGEST:g}", value)
    return float(value)


def _age_s(stamped: datetime, received: Instant, retained: bool, sender: SenderClock | None) -> float:
    """Seconds between the message's time stamp and its arrival, by the wall clocks of both; never negative."""
    judge = sender or SenderClock(WallClock(received))
    age_s = judge.age_s(stamped, received, retained=retained)
    if age_s < -CLOCK_SKEW_S:
        raise OutdatedLimitError(f"limit is stamped {-age_s:.0f} s in the future: check both clocks")
    return max(0.0, age_s)
