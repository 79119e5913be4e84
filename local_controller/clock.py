"""What time is it? One pair of clocks, read once per input by the shell and handed to the pure cores."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec


class Instant(msgspec.Struct, frozen=True, order=True, gc=False):
    """A moment on two clocks: ages and deadlines use `monotonic_s`, only timestamps in messages use `utc`.

    A jump of the wall clock therefore never ages an input (grid-and-safety goal G21).
    """

    monotonic_s: float
    utc: datetime

    def after(self, seconds: float) -> Instant:
        """The moment `seconds` later (earlier if negative) on both clocks."""
        return Instant(self.monotonic_s + seconds, self.utc + timedelta(seconds=seconds))

    def since(self, earlier: Instant) -> float:
        """Seconds from `earlier` to this moment."""
        return self.monotonic_s - earlier.monotonic_s


@dataclass(frozen=True, slots=True)
class Clock:
    """The system's clocks, optionally running `speed` times faster from an origin that several processes share.

    `origin_s` is a reading of CLOCK_MONOTONIC, which all processes of a machine share; at that reading the clock
    showed `origin_s` and `origin_utc`. With speed 1 it is the system's own monotonic and wall clock.
    """

    speed: float = 1.0
    origin_s: float = 0.0
    origin_utc: datetime | None = None

    def monotonic_s(self) -> float:
        """Seconds on the (scaled) monotonic clock."""
        return self.origin_s + (time.monotonic() - self.origin_s) * self.speed

    def now(self) -> Instant:
        """This moment on both clocks."""
        monotonic_s = (
            self.origin_s + (time.monotonic() - self.origin_s) * self.speed
        )  # no call: this is for every message
        if self.origin_utc is None:
            return Instant(monotonic_s, datetime.now(UTC))
        return Instant(monotonic_s, self.origin_utc + timedelta(seconds=monotonic_s - self.origin_s))


def scaled_clock(speed: float) -> Clock:
    """A clock that starts now, at the present date, and runs `speed` times faster."""
    return Clock(speed, time.monotonic(), datetime.now(UTC))
