"""Cars that charge by prices or from the sun only: the controller against physics in virtual time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, time

import pytest

from local_controller.clock import Instant
from local_controller.site.foresight import Foresight
from local_controller.site.outlook import Kind, Source, Told
from local_controller.site.price_table import PriceTable, PriceWindow
from local_controller.site.series import Series, Step
from local_controller.site.surplus import RIDE_S, SPARE_A
from local_controller.site.wishes import ChargingMode, Wish
from local_controller.station import words
from local_controller.station.words import EvseId
from tests.site.virtual_site import START, Car, VirtualSite, topology

EVERY_DAY = frozenset(range(7))
ONE = EvseId("CP-1", 1)
TWO = EvseId("CP-2", 1)
TABLE = PriceTable(0.32, [PriceWindow(EVERY_DAY, time(2), time(5), 0.18)], UTC)


def by_table() -> dict[Kind, Source]:
    return {Kind.ENERGY: Source(Told(Kind.ENERGY, "EUR/kWh", table=TABLE))}


def told_on(topic: str, kind: Kind = Kind.ENERGY) -> dict[Kind, Source]:
    return {kind: Source(Told(kind, "EUR/kWh", topic, max_age_s=3600.0))}


def site_with(
    modes: Mapping[EvseId, Wish], sources: Callable[[], dict[Kind, Source]] = dict, fuse_a: float = 40.0
) -> VirtualSite:
    """A site at one o'clock in the night whose EVSEs have these wishes."""
    site = VirtualSite(topology(fuse_a, 2), foresight=lambda: Foresight(sources(), modes))
    site.now = Instant(START.monotonic_s, datetime(2026, 3, 3, 1, 0, tzinfo=UTC))
    site.connect()
    site.run(15)
    return site


def wants(site: VirtualSite, station: str, energy_wh: float, hour: float) -> None:
    departure = site.now.utc.replace(hour=int(hour), minute=round(hour % 1 * 60))
    site.tell(station, words.NeedsKnown(1, energy_wh, departure))


class Energy:
    """What a station has delivered, and when it did: minutes since one o'clock."""

    def __init__(self, site: VirtualSite, station: str) -> None:
        self.wh, self.minutes = 0.0, list[float]()
        self._station = station
        site.on_step.append(self._look)

    def _look(self, site: VirtualSite) -> None:
        station = site.stations[self._station]
        drawn_a = sum(station.draw_a().values())
        if drawn_a > 0:
            self.wh += drawn_a * 230 * 0.5 / 3600
            self.minutes.append(site.elapsed_s / 60)


# --- prices -------------------------------------------------------------------------------------------------------


def test_a_night_tariff_moves_charging_behind_two_o_clock_and_the_car_has_its_energy_at_departure() -> None:
    site = site_with({ONE: Wish(ChargingMode.CHEAPEST)}, by_table)
    energy = Energy(site, "CP-1")
    site.plug("CP-1", Car(max_a=16.0))
    wants(site, "CP-1", 8_000.0, 3.0)
    site.run(57 * 60)
    assert energy.wh < 100.0, "but for the seconds in which a station begins by itself, it waits"
    site.run(55 * 60)
    assert energy.wh >= 8_000.0


