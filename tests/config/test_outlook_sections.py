"""What a site file says about prices, forecasts and charging modes, and which mistakes are told with a remedy."""

from __future__ import annotations

from datetime import time
from pathlib import Path

import pytest

from local_controller.adapters.outlook_settings import foresight, series_settings
from local_controller.config.load import examined, load
from local_controller.site.outlook import Kind
from local_controller.site.wishes import ChargingMode, Wish
from local_controller.station.words import EvseId
from tests.config.test_connections import mistakes, sound, told

CSMS = "csms: {url: ws://csms.example.com}\nbrokers: [{id: mq, host: 127.0.0.1}]\n"
HEAD = "site: {name: Test, mode: control}\ngrid_connection: {fuse_a: 63, assumed_base_load_a: 20}\n"
SITE_CONFIGS = Path(__file__).parents[2] / "site_configs"


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("prices: {energy: {}}", "prices.energy.per_kwh: is missing: what does a kWh cost at all other times?"),
        ("prices: {energy: {windows: []}}", "prices.energy.per_kwh: is missing"),
        ("prices: {energy: 0.32}", "prices.energy: must be a section with keys of its own"),
        ("prices: {energy: {per_kwh: 32 ct}}", "prices.energy.per_kwh: must be a number - without a unit"),
        ("prices: {energy: {per_kwh: 0.3, window: []}}", "unknown key - did you mean windows?"),
        (
            'prices: {energy: {per_kwh: 0.3, windows: [{start: "22:00", end: "24:00", per_kwh: 1}]}}',
            'midnight is "00:00"',
        ),
        (
            "prices: {currency: Euro, energy: {per_kwh: 1}}",
            "must be the three capital letters of a currency, such as EUR",
        ),
        (
            "prices: {energy: {mqtt: {broker: mq, topic: t, unit: EUR}}}",
            "mqtt.unit: must be a currency or ct, per Wh, kWh",
        ),
        (
            "prices: {energy: {mqtt: {broker: mq, topic: t, unit: SEK/kWh}}}",
            "SEK is not the currency of this site (EUR)",
        ),
        ("prices: {energy: {mqtt: {broker: mqq, topic: t}}}", 'no broker has the id "mqq" - did you mean mq?'),
        ("prices: {feed_in: {mqtt: {broker: x, topic: t}}}", 'prices.feed_in.mqtt.broker: no broker has the id "x"'),
        (
            "prices: {energy: {mqtt: {broker: mq}}}",
            "mqtt.topic: is missing - for example `topic: evcc/site/forecast/grid`",
        ),
        (
            "prices: {energy: {mqtt: {broker: mq, topic: t, end: e}}}",
            "mqtt.start: is missing: where does a point of the list",
        ),
        ("prices: {energy: {mqtt: {broker: mq, topic: t, start: 'a b('}}}", "start: must be a JMESPath expression"),
        ("prices: {peak_from_w: 5}", "prices.peak_per_kw: is missing: what does a kW above peak_from_w cost?"),
        ("forecasts: {pv: {broker: mq, topic: t, unit: MW}}", "forecasts.pv.unit: must be one of W, kW, Wh, kWh"),
        ("forecasts: {pv: {broker: nobody, topic: t}}", 'forecasts.pv.broker: no broker has the id "nobody"'),
        ("forecasts: {pv: {broker: mq, topic: t, time_zone: Berlin}}", "no time zone: Berlin"),
        (
            "publish: {broker: mq, prefix: lc}\nforecasts: {pv: {broker: mq, topic: lc/outlook/pv}}",
            "forecasts.pv.topic: the gateway itself writes to it",
        ),
    ],
)
def test_mistakes_are_told_with_place_and_remedy(section: str, message: str) -> None:
    found = mistakes(f"{CSMS}{section}")
    assert any(message in one for one in found), found


@pytest.mark.parametrize(
    ("stations", "message"),
    [
        ("[{id: A, charging_mode: surplus}]", "charging_mode: surplus needs grid_connection.meter"),
        ("[{id: A, evses: [{charging_mode: surplus}]}]", "charging_mode: surplus needs grid_connection.meter"),
        ("[{id: A, charging_mode: cheapest}]", "charging_mode: cheapest needs prices.energy"),
        ("[{id: A, charging_mode: cheap}]", "charging_mode: must be one of normal, cheapest, surplus"),
        ('[{id: A, ready_by: "7:00"}]', 'ready_by: must be a time of day from "00:00" to "23:59"'),
    ],
)
def test_a_mode_that_cannot_be_kept_is_a_mistake(stations: str, message: str) -> None:
    _, wrong = examined(f"{HEAD}{CSMS}stations: {stations}", ())
    found = [one.message for one in wrong]
    assert any(message in one for one in found), found


@pytest.mark.parametrize(
    "section",
    [
        "prices: {energy: {mqtt: {broker: mq, topic: t}}}",
        "prices: {feed_in: {mqtt: {broker: mq, topic: t}}}",
        "forecasts: {pv: {broker: mq, topic: t}}",
        "forecasts: {base_load: {broker: mq, topic: t}}",
    ],
)
def test_a_broker_that_tells_prices_or_forecasts_only_is_not_told_to_be_of_no_use(section: str) -> None:
    assert [note for note in told(f"{CSMS}{section}\nstations: [{{id: CP-1}}]\n", HEAD) if "broker" in note] == []


def test_prices_and_wishes_reach_the_site() -> None:
    config, wrong = examined(
        f"""{HEAD}{CSMS}
prices: {{currency: SEK, energy: {{per_kwh: 3}}, peak_per_kw: 60, peak_from_w: 5000}}
stations:
  - id: A
    charging_mode: cheapest
    ready_by: "07:00"
    evses: [{{}}, {{charging_mode: normal, ready_by: "06:30"}}]
  - id: B""",
        (),
    )
    assert config is not None, wrong
    found = foresight(config)
    assert found.wishes == {
        EvseId("A", 1): Wish(ChargingMode.CHEAPEST, time(7)),
        EvseId("A", 2): Wish(ChargingMode.NORMAL, time(6, 30)),
    }
    assert (found.money.currency, found.money.peak_per_kw, found.money.peak_w) == ("SEK", 60.0, 5000.0)
    assert found.sources[Kind.ENERGY].told.unit == "SEK/kWh"


@pytest.mark.parametrize(
    ("unit", "factor", "scale"),
    [("EUR/kWh", 1, 1.0), ("ct/kWh", 1.19, 0.0119), ("EUR/MWh", 1.19, 0.00119), ("EUR/Wh", 1, 1000)],
)
def test_a_price_is_the_number_times_unit_and_factor_and_what_comes_on_top(
    unit: str, factor: float, scale: float
) -> None:
    section = (
        f"prices: {{energy: {{mqtt: {{broker: mq, topic: t, unit: {unit}, factor: {factor}, add_per_kwh: 0.2}}}}}}"
    )
    config = sound(f"{CSMS}{section}")
    settings = series_settings(Kind.ENERGY, config.told_ahead["prices.energy.mqtt"])
    assert settings.scale == pytest.approx(scale)
    assert settings.add == 0.2


@pytest.mark.parametrize(
    ("unit", "scale", "is_energy"), [("W", 1, False), ("kW", 1000, False), ("Wh", 1, True), ("kWh", 1000, True)]
)
def test_power_and_energy_of_forecasts(unit: str, scale: float, is_energy: bool) -> None:
    config = sound(f"{CSMS}forecasts: {{pv: {{broker: mq, topic: t, unit: {unit}, slot_min: 15}}}}")
    settings = series_settings(Kind.PV, config.told_ahead["forecasts.pv"])
    assert (settings.scale, settings.is_energy, settings.longest_s) == (scale, is_energy, 900.0)


def test_the_depot_goes_by_its_tariff() -> None:
    """The shipped example."""
    found = foresight(load(SITE_CONFIGS / "depot_with_tariff.yaml"))
    assert ChargingMode.CHEAPEST in {wish.mode for wish in found.wishes.values()}
    assert found.money.peak_per_kw
    assert Kind.ENERGY in found.sources
