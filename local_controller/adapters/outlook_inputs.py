"""What becomes of a message about prices or power ahead? A series for the site, or words about what is wrong with it."""

from __future__ import annotations

from typing import Protocol

from local_controller.adapters.outlook_settings import sections, series_settings
from local_controller.clock import Instant
from local_controller.config.models import SiteConfig
from local_controller.config.outlook import SeriesSection
from local_controller.errors import SourceError, UnexpectedValueError
from local_controller.site.outlook import LABELS, Kind
from local_controller.site.series import Series
from local_controller.site.series_message import parse_series


class SeriesListener(Protocol):
    """Who is told of prices and power ahead."""

    def series_received(self, kind: Kind, series: Series) -> None:
        """Prices or power ahead."""

    def series_failed(self, kind: Kind, text: str) -> None:
        """A message about them that cannot be read."""


class OutlookInput:
    """One of them, and what becomes of its messages."""

    def __init__(self, kind: Kind, section: SeriesSection, listener: SeriesListener) -> None:
        self.kind = kind
        self.topic = section.topic
        self._settings = series_settings(kind, section)
        self._listener = listener
        self._wrong = ("", "")

    def heard(self, payload: bytes, retained: bool, received: Instant) -> None:
        """A message on its topic. What goes on being wrong in one way is told in the words of the first message."""
        try:
            series = parse_series(payload, retained, received, self._settings)
        except SourceError as error:
            way = error.expected if isinstance(error, UnexpectedValueError) else str(error)
            if self._wrong[0] != way:
                self._wrong = way, f"{LABELS[self.kind]} on topic {self.topic}: {error}"
            self._listener.series_failed(self.kind, self._wrong[1])
        else:
            self._wrong = ("", "")
            if series is not None:
                self._listener.series_received(self.kind, series)


def outlook_inputs(config: SiteConfig, broker: str, listener: SeriesListener) -> list[OutlookInput]:
    """Those that one broker brings."""
    return [OutlookInput(kind, one, listener) for kind, one in sections(config).items() if one.broker == broker]
