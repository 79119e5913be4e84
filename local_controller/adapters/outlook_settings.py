"""What does a site file say about prices, forecasts and wishes, in the words of the site?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import time
from typing import Final
from zoneinfo import ZoneInfo

from local_controller.config.models import SiteConfig
from local_controller.config.outlook import PowerSeriesSection, PriceSection, PriceSeriesSection, SeriesSection
from local_controller.config.wiring import grid_of
from local_controller.site.foresight import Foresight, Money
from local_controller.site.learning import Learning
from local_controller.site.load_history import LoadHistory
from local_controller.site.outlook import LABELS, Kind, Source, Told
from local_controller.site.per_phase import only
from local_controller.site.price_table import PriceTable, PriceWindow
from local_controller.site.quarter_means import Peak
from local_controller.site.series_message import ENERGY_UNITS, POWER_UNITS, SeriesSettings, price_scale
from local_controller.site.surplus import Surplus
from local_controller.site.wishes import AS_USUAL, ChargingMode, Wish
from local_controller.station.words import EvseId

_PLACES: Final = {
    "prices.energy.mqtt": Kind.ENERGY,
    "prices.feed_in.mqtt": Kind.FEED_IN,
    "forecasts.pv": Kind.PV,
    "forecasts.base_load": Kind.BASE_LOAD,
}


def foresight(config: SiteConfig, learning: Learning | None = None) -> Foresight:
    """What the site file wants to be known ahead, and what it wants of each EVSE. learning: what earlier visits taught."""
    money = (
        Money()
        if config.prices is None
        else Money(config.prices.currency, config.prices.peak_per_kw, config.prices.peak_from_w)
    )
    zone, grid = ZoneInfo(config.site.time_zone), grid_of(config)
    return Foresight(
        sources={told.kind: Source(told) for told in told_ahead(config)},
        wishes=_wishes(config),
        money=money,
        zone=zone,
        history=LoadHistory(zone),
        learning=learning or Learning(),
        peak=Peak(zone),
        surplus=Surplus(line_v=grid.line_v),
        assumed_w=sum(only(grid.lines, config.grid_connection.assumed_base_load_a)) * grid.line_v,
        line_v=grid.line_v,
    )


def sections(config: SiteConfig) -> Mapping[Kind, SeriesSection]:
    """What is told over MQTT."""
    return {_PLACES[place]: section for place, section in config.told_ahead.items()}


def told_ahead(config: SiteConfig) -> Sequence[Told]:
    """What the site file wants to be known ahead, and where it comes from."""
    heard, found = sections(config), []
    if config.prices is not None:
        unit = f"{config.prices.currency}/kWh"
        prices = ((Kind.ENERGY, config.prices.energy), (Kind.FEED_IN, config.prices.feed_in))
        found = [
            _source(kind, unit, heard.get(kind), _table(price, config)) for kind, price in prices if price is not None
        ]
    return [*found, *(_source(kind, "W", heard[kind]) for kind in (Kind.PV, Kind.BASE_LOAD) if kind in heard)]


def _source(kind: Kind, unit: str, section: SeriesSection | None, table: PriceTable | None = None) -> Told:
    if section is None:
        return Told(kind, unit, table=table)
    return Told(kind, unit, section.topic, section.max_age_h * 3600, table)


def _table(section: PriceSection, config: SiteConfig) -> PriceTable | None:
    if section.per_kwh is None:
        return None
    windows = [
        PriceWindow(one.day_numbers, time.fromisoformat(one.start), time.fromisoformat(one.end), one.per_kwh)
        for one in section.windows
    ]
    return PriceTable(section.per_kwh, windows, ZoneInfo(config.site.time_zone))


def _wishes(config: SiteConfig) -> dict[EvseId, Wish]:
    """Of those EVSEs of which anything is wanted."""
    wishes = {}
    for station in config.stations:
        for number, evse in enumerate(station.evses, start=1):
            ready_by = evse.ready_by or station.ready_by
            by_then = None if ready_by is None else time.fromisoformat(ready_by)
            wishes[EvseId(station.id, number)] = Wish(ChargingMode(station.mode_of(evse)), by_then)
    return {evse: wish for evse, wish in wishes.items() if wish != AS_USUAL}


def series_settings(kind: Kind, section: SeriesSection) -> SeriesSettings:
    """How to read the messages of a section."""
    scale, add = section.factor, 0.0
    if isinstance(section, PriceSeriesSection):
        scale, add = scale * price_scale(section.unit), section.add_per_kwh
    is_energy = isinstance(section, PowerSeriesSection) and section.unit in ENERGY_UNITS
    if isinstance(section, PowerSeriesSection):
        scale *= (ENERGY_UNITS if is_energy else POWER_UNITS)[section.unit]
    return SeriesSettings(
        name=LABELS[kind],
        path=section.path,
        start=section.start,
        end=section.end,
        value=section.value,
        zone=None if section.time_zone is None else ZoneInfo(section.time_zone),
        scale=scale,
        add=add,
        is_energy=is_energy,
        longest_s=section.slot_min * 60,
    )
