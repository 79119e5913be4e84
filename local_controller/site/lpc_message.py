"""What does a bridge of EEBUS LPC say over MQTT? A limit, a heartbeat, failsafe values, each in a message of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from local_controller.errors import SourceError, UnexpectedValueError
from local_controller.site.json_payload import at_path, decoded
from local_controller.site.limit_message import number
from local_controller.site.lpc import LpcFailsafe, LpcHeartbeat, LpcLimit

NAME: Final = "its message"


@dataclass(frozen=True, slots=True)
class LpcLimitFields:
    """JMESPaths of the limit, of whether it is active, and of how many seconds it holds; factor: watts = value * factor."""

    power: str = "limit_w"
    active: str = "active"
    duration: str = "duration_s"
    factor: float = 1.0


@dataclass(frozen=True, slots=True)
class LpcFailsafeFields:
    """JMESPaths of the failsafe limit and of its shortest duration in seconds; factor: watts = value * factor."""

    power: str = "failsafe_w"
    duration: str = "duration_s"
    factor: float = 1.0


def parse_limit(payload: bytes, retained: bool, fields: LpcLimitFields) -> LpcLimit:
    """A limit; SourceError if it cannot be read. One that is not active needs no number; no duration: it never expires."""
    document = decoded(payload, NAME)
    active = at_path(document, fields.active, NAME)
    if not isinstance(active, bool):
        raise UnexpectedValueError(f"{fields.active} must be true or false", active)
    if not active:
        return LpcLimit(None, is_retained=retained)
    duration = at_path(document, fields.duration, NAME)
    return LpcLimit(
        number(at_path(document, fields.power, NAME), fields.power) * fields.factor,
        None if duration is None else number(duration, fields.duration),
        retained,
    )


def parse_failsafe(payload: bytes, retained: bool, fields: LpcFailsafeFields) -> LpcFailsafe:
    """Failsafe values; SourceError if there is none of them."""
    document = decoded(payload, NAME)
    power, duration = at_path(document, fields.power, NAME), at_path(document, fields.duration, NAME)
    if power is None and duration is None:
        raise SourceError(f"failsafe values need a number at {fields.power}, at {fields.duration}, or at both")
    return LpcFailsafe(
        None if power is None else number(power, fields.power) * fields.factor,
        None if duration is None else number(duration, fields.duration),
        retained,
    )


def parse_heartbeat(retained: bool) -> LpcHeartbeat | None:
    """Whatever its message says. None: one that the broker has kept says nothing of now."""
    return None if retained else LpcHeartbeat()
