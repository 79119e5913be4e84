"""How does whoever runs a site override the random delay of a car? The site is told, if there is anything to override."""

from __future__ import annotations

from typing import Protocol

from local_controller.errors import LocalControllerError
from local_controller.site.controller import SiteController
from local_controller.site.effects import Notice
from local_controller.station.words import DelayWaived, EvseId


class Site(Protocol):
    """Who is told."""

    site: SiteController

    def station_changed(self, station: str, fact: DelayWaived) -> None:
        """A fact about a station."""

    def tell(self, notice: Notice) -> None:
        """People must know this."""


class DelayOverrides:
    """Those of one site."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def override(self, evse: EvseId) -> str:
        """The session there waits no more; what people are told. LocalControllerError where nobody waits."""
        site = self._site.site
        if site.settings.random_delay_s is None:
            raise LocalControllerError(
                "the site file sets no control.random_delay_s: no car waits for one; the page says why a car waits"
            )
        if evse not in site.evses:
            raise LocalControllerError(
                f"there is no EVSE {evse}; the site file knows {', '.join(map(str, site.evses))}"
            )
        if site.evses[evse].session is None:
            raise LocalControllerError(f"{evse} has no session: override it once the car is there")
        text = f"{evse} charges without random delay until its session ends"
        self._site.station_changed(evse.station, DelayWaived(evse.evse))
        self._site.tell(Notice("info", "delay_overridden", text, {"evse": str(evse)}))
        return text
