"""Which prices or which power does a message tell, and for when? One series of each message.

Understood are a list of points, an object whose keys are times, and a single number that counts from its arrival. A time
stamp that cannot be read, a value that is no number and two values for one moment make the whole message unreadable; a value
that is null is not known yet, and stays a gap.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

from local_controller.clock import Instant
from local_controller.errors import SourceError, UnexpectedValueError
from local_controller.site.json_payload import at_path, decoded
from local_controller.site.series import Point, Series, Step, series_of
from local_controller.site.time_stamp import read_any

LARGEST: Final = 1e9
"""More than any price or any power of a site."""

EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC)
"""Between them times are told; a later end ("until further notice") ends there. Beyond, calendars and fractions of seconds end."""

MOST_POINTS: Final = 1000
"""Ten days of quarters of an hour: 9 ms of the event loop, two days of them 1.4 ms."""

PRICE_UNITS: Final[Mapping[str, float]] = {"/kWh": 1.0, "/MWh": 0.001, "/Wh": 1000.0}
"""What a price per so much is per kWh."""

HUNDREDTHS: Final = "ct"
"""Prices in hundredths of the currency."""

POWER_UNITS: Final[Mapping[str, float]] = {"W": 1.0, "kW": 1000.0}
"""What power is in watts."""

ENERGY_UNITS: Final[Mapping[str, float]] = {"Wh": 1.0, "kWh": 1000.0}
"""What the energy of a point is in watt-hours; power is that by the point's length."""


@dataclass(frozen=True, slots=True)
class SeriesSettings:
    """How to read the messages of one source.

    name: of what they tell, as people call it. path: JMESPath of the points, the whole payload if None. start, end, value:
    JMESPaths in a point; start None: the points are an object whose keys are times, or there is one number only.
    zone: of times that name none. scale, add: value * scale + add is what counts. is_energy: and what counts is the energy of
    a point (Wh), of which the power is told on. longest_s: what a point without an end lasts at most, and one number from
    its arrival.
    """

    name: str
    path: str | None = None
    start: str | None = None
    end: str | None = None
    value: str = "value"
    zone: tzinfo | None = None
    scale: float = 1.0
    add: float = 0.0
    is_energy: bool = False
    longest_s: float = 3600.0


def price_scale(unit: str) -> float:
    """From a price in `EUR/MWh`, `ct/kWh` and so on to the currency per kWh."""
    money, slash, energy = unit.partition("/")
    return PRICE_UNITS[slash + energy] * (0.01 if money == HUNDREDTHS else 1.0)


def parse_series(payload: bytes, retained: bool, received: Instant, settings: SeriesSettings) -> Series | None:
    """The series in a payload; SourceError says what is wrong with it. None: a number that may be of any time.

    That is one without a time stamp that the broker has kept: nobody knows how old it is.
    """
    document = decoded(payload, f"the {settings.name}")
    found = document if settings.path is None else at_path(document, settings.path, f"the {settings.name}")
    if _is_number(found):
        return None if retained else _from_now_on(found, received, settings)
    series = series_of(_points(found, settings), settings.longest_s)
    if not series.steps:
        raise SourceError(f"the {settings.name} has no point with a value: does `path` lead to its list?")
    if settings.is_energy:
        series = Series(tuple(step._replace(value=_power_w(step)) for step in series.steps))
    return series


def _from_now_on(value: float, received: Instant, settings: SeriesSettings) -> Series:
    if settings.is_energy:
        raise SourceError(
            f"the {settings.name} is one number: energy needs a time, power (W, kW) would count from now on"
        )
    start_s = received.utc.timestamp()
    return Series((Step(start_s, start_s + settings.longest_s, _amount(value, settings.name, settings)),))


def _power_w(step: Step) -> float:
    return step.value * 3600 / (step.end_s - step.start_s)


def _points(found: Any, settings: SeriesSettings) -> Iterator[Point]:
    if isinstance(found, dict) and settings.start is None:
        pairs: Iterable[tuple[Any, Any, Any]] = ((key, None, value) for key, value in found.items())
    elif isinstance(found, list) and settings.start is not None:
        pairs = (_fields(one, settings.start, settings) for one in found)
    else:
        raise UnexpectedValueError(_expected(settings), found, "" if found is not None else ": does `path` lead to it?")
    if len(found) > MOST_POINTS:
        raise SourceError(f"the {settings.name} has {len(found)} points, more than {MOST_POINTS}")
    before: datetime | None = None
    for start, end, value in pairs:
        began = before = _start(start, before, settings)
        if value is not None:
            yield _point(began, end, value, settings)


def _expected(settings: SeriesSettings) -> str:
    if settings.start is None:
        return f"the {settings.name} must be a number or an object whose keys are times (a list needs `start`)"
    return f"the {settings.name} must be a list of points"


def _fields(one: Any, start: str, settings: SeriesSettings) -> tuple[Any, Any, Any]:
    name = f"a point of the {settings.name}"
    end = None if settings.end is None else at_path(one, settings.end, name, "end")
    return at_path(one, start, name, "start"), end, at_path(one, settings.value, name, "value")


def _point(began: datetime, end: Any, value: Any, settings: SeriesSettings) -> Point:
    amount = _amount(value, f"the {settings.name} of {began.isoformat()}", settings)
    if settings.end is None:
        return Point(began.timestamp(), None, amount)
    ended = min(_time(end, "end", began, settings), LATEST)
    if ended <= began:
        raise SourceError(f"a point of the {settings.name} ends at {ended.isoformat()}, not after its start")
    return Point(began.timestamp(), ended.timestamp(), amount)


def _start(value: Any, before: datetime | None, settings: SeriesSettings) -> datetime:
    began = _time(value, "start", before, settings)
    if not EARLIEST <= began < LATEST:
        raise UnexpectedValueError(f"start of a point of the {settings.name} must lie between 1970 and 2100", value)
    return began


def _time(value: Any, key: str, before: datetime | None, settings: SeriesSettings) -> datetime:
    """A time; of a text without a zone in the hour that the end of summer time repeats, the run that follows `before`."""
    at = read_any(value, f"{key} of a point of the {settings.name}", settings.zone)
    is_earlier = before is not None and EARLIEST <= at <= before
    if not is_earlier or settings.zone is None or not isinstance(value, str) or value.isdigit():
        return at
    written = datetime.fromisoformat(value)
    second = at if written.tzinfo is not None else written.replace(tzinfo=settings.zone, fold=1).astimezone(UTC)
    return second if before is None or second > before else at


def _amount(value: Any, name: str, settings: SeriesSettings) -> float:
    if not _is_number(value):
        hint = ": write to_number(...)" if isinstance(value, str) else ""
        raise UnexpectedValueError(f"{name} must be a number up to {LARGEST:g}", value, hint)
    return float(value) * settings.scale + settings.add


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -LARGEST <= value <= LARGEST
