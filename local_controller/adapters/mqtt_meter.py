"""What becomes of the messages of a meter that somebody publishes? Readings, and each change of trouble once."""

from __future__ import annotations

from collections.abc import Callable

from structlog.typing import FilteringBoundLogger

from local_controller.clock import Instant
from local_controller.config.meters import MqttMeterSection, QuantitySection
from local_controller.errors import SourceError, UnexpectedValueError
from local_controller.profiles.units import NOMINAL_VOLTAGE_V
from local_controller.site.meter_message import MeterMessages, Place, Quantity
from local_controller.site.readings import MeterReading


class MqttMeter:
    """One meter. on_reading gets every usable reading; on_failure gets (meter, text) once for each change of trouble.

    nominal_v: as of `implausible`.
    """

    def __init__(
        self,
        section: MqttMeterSection,
        on_reading: Callable[[MeterReading], None],
        on_failure: Callable[[str, str], None],
        log: FilteringBoundLogger,
        nominal_v: tuple[float, ...] = (NOMINAL_VOLTAGE_V,),
    ) -> None:
        self._messages = MeterMessages(section.id, _places(section), section.every_s, section.invert, nominal_v)
        self._id = section.id
        self._on_reading = on_reading
        self._on_failure = on_failure
        self._log = log.bind(meter=section.id)
        self._trouble = ""
        self.topics = self._messages.topics

    def heard(self, topic: str, payload: bytes, retained: bool, received: Instant) -> None:
        """A message on one of its topics."""
        try:
            reading = self._messages.heard(topic, payload, retained, received)
        except SourceError as error:
            self._failed(topic, error)
            return
        if reading is not None:
            if self._trouble:
                self._log.info("meter_back")
            self._trouble = ""
            self._on_reading(reading)

    def _failed(self, topic: str, error: SourceError) -> None:
        """What goes on being wrong in one way is told once."""
        way = error.expected if isinstance(error, UnexpectedValueError) else str(error).partition(":")[0]
        if way != self._trouble:
            self._trouble = way
            text = f"answers nonsense on {topic}: {error}"
            self._log.warning("meter_failed", reason=text)
            self._on_failure(self._id, text)


def _places(section: MqttMeterSection) -> dict[Quantity, Place]:
    told: dict[Quantity, QuantitySection | None] = {
        Quantity.CURRENT: section.current,
        Quantity.POWER: section.power,
        Quantity.VOLTAGE: section.voltage,
    }
    return {name: Place(one.topic, one.path, one.factor) for name, one in told.items() if one is not None}
