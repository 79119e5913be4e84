"""What may a site file say about prices and forecasts?"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from local_controller.config.limits import Watts
from local_controller.config.section import CURRENCY, PRICE_UNIT, Id, JmesPath, Section, Topic, known_zone, wrong
from local_controller.config.week import SpanSection

PerKwh = Annotated[float, Field(ge=-1000, le=1000)]


class SeriesSection(Section):
    """MQTT messages that tell prices or power ahead: a list of points, an object whose keys are times, or the number of now."""

    broker: Id = Field(examples=["site"])
    """Id of the broker."""
    topic: Topic = Field(examples=["evcc/site/forecast/grid"])
    """Topic of the messages, without wildcards. They may be retained: their own times say what they are worth."""
    path: JmesPath | None = Field(default=None, examples=["[raw_today, raw_tomorrow][]"])
    """JMESPath of the list, the object or the number in the payload. Left out: the payload is that itself."""
    start: JmesPath | None = Field(default=None, examples=["start"])
    """JMESPath, within a point of a list, of the time at which it begins: as RFC 3339 or ISO 8601 write it, or seconds or
    milliseconds since 1970. Left out: it is no list."""
    end: JmesPath | None = Field(default=None, examples=["end"])
    """JMESPath, within a point, of the time at which it ends. Left out: it ends when the next begins."""
    value: JmesPath = "value"
    """JMESPath, within a point of a list, of its number."""
    time_zone: Annotated[str, AfterValidator(known_zone)] | None = Field(default=None, examples=["Europe/Berlin"])
    """Time zone of times that name none. Left out: such times are refused."""
    factor: float = Field(default=1.0, gt=0, le=1e6, examples=[1.19])
    """What each number is multiplied by, for example for VAT."""
    slot_min: float = Field(default=60.0, gt=0, le=1440)
    """How long a point without an end lasts at most, and a number without any time from its arrival, in minutes."""
    max_age_h: float = Field(default=36.0, gt=0, le=240)
    """A message counts for so many hours at most, whatever times it tells of."""

    @model_validator(mode="after")
    def _of_a_list(self) -> SeriesSection:
        for key in ("end", "value"):
            if key in self.model_fields_set and self.start is None:
                raise wrong("start", f"is missing: where does a point of the list say when it begins? {key} needs it")
        return self


class PriceSeriesSection(SeriesSection):
    """MQTT messages that tell prices."""

    unit: Annotated[str, Field(pattern=PRICE_UNIT)] = Field(default="EUR/kWh", examples=["EUR/MWh"])
    """What the numbers are: the currency (or ct, its hundredth part) per Wh, kWh or MWh, as in EUR/kWh, ct/kWh, EUR/MWh."""
    add_per_kwh: PerKwh = Field(default=0.0, examples=[0.18])
    """What comes on top of each kWh after the factor, in the currency: grid fees, taxes."""


class PowerSeriesSection(SeriesSection):
    """MQTT messages that tell power."""

    unit: Literal["W", "kW", "Wh", "kWh"] = "W"
    """What the numbers are: power (W, kW), or the energy of each point (Wh, kWh)."""


class PriceWindowSection(SpanSection):
    """A time of some days of the week at which a kWh costs something else."""

    per_kwh: PerKwh = Field(examples=[0.22])
    """What a kWh costs then."""


class PriceSection(Section):
    """A price: fixed, by the time of the week, or told over MQTT. Where MQTT tells nothing, the fixed one counts."""

    per_kwh: PerKwh | None = Field(default=None, examples=[0.32])
    """What a kWh costs at all times that are in no window."""
    windows: tuple[PriceWindowSection, ...] = ()
    """Times of the week at which it costs something else; where several hold, the first of the list counts."""
    mqtt: PriceSeriesSection | None = None
    """Prices that somebody tells, for example of the day ahead."""

    @model_validator(mode="after")
    def _a_price(self) -> PriceSection:
        if self.per_kwh is None and (self.windows or self.mqtt is None):
            raise wrong("per_kwh", "is missing: what does a kWh cost at all other times? For example per_kwh: 0.32")
        return self


class PricesSection(Section):
    """What energy costs. It decides when cars charge whose `charging_mode` is cheapest, and is never a limit."""

    currency: Annotated[str, Field(pattern=CURRENCY)] = "EUR"
    """The currency of all prices, by its three letters."""
    energy: PriceSection | None = None
    """A kWh from the grid."""
    feed_in: PriceSection | None = None
    """What a kWh earns that is fed in. Left out: nothing."""
    peak_per_kw: float | None = Field(default=None, ge=0, le=1e5, examples=[110.0])
    """What each kW of the highest mean power costs. Plans then keep cars from raising it where they can; `limits` with
    `source: quarter_hour` keeps it in any case."""
    peak_from_w: Watts = 0.0
    """The mean power that is paid for anyway, in watts: below it, and below the highest that was measured this month, a peak costs
    nothing."""

    @model_validator(mode="after")
    def _in_one_currency(self) -> PricesSection:
        for name, price in (("energy", self.energy), ("feed_in", self.feed_in)):
            if price is not None and price.mqtt is not None:
                money = price.mqtt.unit.partition("/")[0]
                if money not in {"ct", self.currency}:
                    raise wrong(f"{name}.mqtt.unit", f"{money} is not the currency of this site ({self.currency})")
        if "peak_from_w" in self.model_fields_set and self.peak_per_kw is None:
            raise wrong("peak_per_kw", "is missing: what does a kW above peak_from_w cost?")
        return self


class ForecastsSection(Section):
    """Power that somebody foresees. It decides when cars charge, and is never a limit."""

    pv: PowerSeriesSection | None = None
    """What the sun will bring."""
    base_load: PowerSeriesSection | None = None
    """What the building will draw without cars and without the sun. Left out: what the site learns of itself."""
