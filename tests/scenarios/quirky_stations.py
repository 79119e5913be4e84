"""Which stations follow the records of products, and what happens when one of them stands on a small site?

A station is built from the plain values of a record, at its worst: what the record does not say works is refused, or
accepted without effect by a station that shrugs. Beside it stands an ordinary one, and the fuse does not bear both.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from typing import Any, Final

from ruamel.yaml import YAML

from local_controller.config.models import SiteConfig
from local_controller.station.dialects.base import BootCall
from local_controller.station.knowledge import Knowledge
from local_controller.station.quirks import Quirk, quirk_of, shipped_quirks
from site_simulator.habits import habits_of
from site_simulator.outlet import Product, StationSpec
from site_simulator.readings import Spelling
from site_simulator.site import Excess, Node
from site_simulator.vehicle import VehicleSpec
from tests.scenarios.socketless_site import SocketlessSite
from tests.virtual_loop import VirtualLoop, run

FUSE_A: Final = 50.0
MAX_A: Final = 32.0
LIMITS_A: Final = (16.0, 10.0, 6.0, 0.0, 16.0)
"""What an EMS allows at the quirky station, one after another."""

SETTLED_S: Final = 150.0
"""From plugging in to the first of these limits: time to learn what the station takes."""

AWAY_S: Final = 60.0
"""So long it then has no connection."""

OBEYS_S: Final = 30.0
"""A limit must have been followed by then; what a product needs longer comes on top."""

FALLBACK_A: Final = 6.0
PAUSE: Final = LIMITS_A.index(0.0)
USED: Final = 0.7
"""Part of a limit that a controlled station uses: watts are told for 207 V, and slow meters delay a raise."""

SURE_A: Final = 1.13 * FUSE_A
"""A miniature circuit breaker never trips at this current (IEC 60898-1)."""

V16, V201, V21 = "ocpp1.6", "ocpp2.0.1", "ocpp2.1"

SITE_FILE = """
site: {name: Quirky corner, mode: control}
csms: {url: "ws://127.0.0.1:1/ocpp"}
grid_connection: {fuse_a: 50, assumed_base_load_a: 0, meter: main}
circuits: [{id: bay, fuse_a: 63}, {id: rest, fuse_a: 63}]
meters: [{id: main, device: eastron_sdm630, host: 127.0.0.1}]
brokers: [{id: ems, host: 127.0.0.1}]
limits: [{id: ems, broker: ems, topic: bay, node: bay, applies_to: charging, fallback_a: 32}]
stations:
  - {id: QUIRKY, circuit: bay, max_a: 32}
  - {id: PLAIN, circuit: rest, max_a: 32}
"""


@dataclass(frozen=True)
class Variant:
    """A product as it introduces itself. also: habits beyond its record, from the record's note. meter, every_s: how and
    how often it measures.
    """

    record: str
    product: Product
    version: str = V16
    also: Mapping[str, Any] = field(default_factory=dict)
    meter: Spelling = Spelling.FULL
    every_s: float = 10.0

    @property
    def deviates(self) -> bool:
        """Whether anything of it has to do with limits, so that knowing its record could make a difference."""
        return bool(
            set(records()[self.record]) - {"name", "vendor", "model", "firmware", "note", "source"} or self.also
        )

    @property
    def name(self) -> str:
        """The record, and the version where it is not the usual one."""
        name = f"{self.record}, over its cloud" if self is ZAPTEC_CLOUD else self.record
        return name if self.version == V16 else f"{name} (OCPP {self.version.removeprefix('ocpp')})"


def _(record: str, vendor: str, model: str = "", firmware: str = "1.0", version: str = V16, **also: Any) -> Variant:
    spelling, interval_s = also.pop("meter", Spelling.FULL), also.pop("every_s", 10.0)
    return Variant(record, Product(vendor, model or record[:20], firmware), version, also, spelling, interval_s)


NOTHING = frozenset[str]()

VARIANTS: Final = (
    _("ABB Terra AC up to 1.8.21", "ABB", "TAC-W22-T-RD-MC-0", "1.8.21"),
    _("ABB Terra AC", "ABB", "TAC-W22-T-RD-MC-0", "1.8.33"),
    _("Alfen Eve", "Alfen BV", "NG910-60023"),
    _("Amina", "Amina Charging AS", "amina S"),
    _("Autel MaxiCharger", "Autel", "MaxiCharger AC"),
    _("BMW/Delta Gen 4", "Delta", "BMW Wallbox Gen4", version=V201),
    _("Charge Amps", "Charge Amps AB", "HALO"),
    _("Easee", "Easee", "Charge", every_s=30.0),
    _("Enercab", "Enercab", "EC-11", meter=Spelling.FIRST_ALONE),
    _("EN+ and its rebrands", "EN+", "AC022K-BE-24"),
    _("EVBox Elvi", "EV-BOX", "Elvi"),
    _("EVSwitch", "EVSwitch", "ES-22"),
    _("FoxESS A-series", "FOXESS", "A011KP1"),
    _("FoxESS A-series", "FOXESS", "A011KP1", version=V201, purposes=NOTHING),
    _("Garo Entity Pro", "Garo AB", "Entity Pro"),
    _("go-e Charger Gemini, firmware 60", "go-e", "Gemini", "60.1"),
    _("go-e Charger Gemini", "go-e", "Gemini", "056.2"),
    _("Grizzl-E, firmware 03.09", "United Chargers", "Grizzl-E Smart", "03.09"),
    _("Grizzl-E", "United Chargers", "Grizzl-E Smart", "05.633"),
    _("Huawei SCharger", "HUAWEI", "SCharger-22KT-S0"),
    _("Injet Sonic", "Injet", "Sonic", meter=Spelling.NEUTRAL_ALONE),
    _("JIGU WeGood", "JIGU", "WeGood"),
    _("KEBA", "Keba AG", "KC-P30"),
    _("Mennekes 4You/4Business", "MENNEKES", "AMTRON 4You 560"),
    _("Mennekes ACU", "MENNEKES", "ACU", every_s=60.0),
    _("NEcharge", "NEcharge", "NE-22"),
    _("Ocular/BS", "Ocular", "IQ Home"),
    _("Schneider", "Schneider Electric", "EVlink Pro AC"),
    _("StarCharge/MG", "StarCharge", "Aurora"),
    _("SyncEV", "SyncEV", "BG EV Link", every_s=1e6),
    _("Timxon", "Timxon", "Wallbox"),
    _("Wallbe/Weidmüller", "Weidmüller", "AC Smart"),
    _("Wallbox Pulsar/Copper, firmware 5", "Wallbox", "PLP1", "5.17.61"),
    _("Wallbox Pulsar/Copper, firmware 6", "Wall Box Chargers", "PPR1", "6.7.31"),
    _("Wallbox Pulsar/Copper", "Wallbox", "CPB1", ""),
    _("Zaptec", "Zaptec", "Zaptec Pro", meter=Spelling.NEUTRAL, every_s=120.0),
    _("ZJ Beny", "ZJ BENY", "BCP-AT1N-L"),
    _("EVerest libocpp", "Pionix", "Yeti"),
    _("EVerest libocpp", "Pionix", "Yeti", version=V201),
    _("EVerest libocpp", "Pionix", "Yeti", version=V21),
    _("EVtivity simulator", "EVtivity", "CSS-1000", last_wins=True, takes_all_for_watts=True, units=None),
    _("MicroOcpp", "My company name", "My Charging Station"),
    _("MicroOcpp", "My company name", "My Charging Station", version=V201, purposes=NOTHING),
    _("ocpp-go examples", "vendor1", "model1"),
    _("open-ocpp", "OpenOCPP", "Station", divides_by=2, meter=Spelling.BARE),
    _("SAP simulator", "Ovomaltin", "Simulator simple", meter=Spelling.RANDOM),
    _("SAP simulator", "Ovomaltin", "Simulator simple", version=V201, purposes=NOTHING),
    _("shiv3 simulator", "Vendor", "Model", meter=Spelling.SUM),
    _("shiv3 simulator", "Vendor", "Model", version=V201, meter=Spelling.STILL),
    _("solidstudio virtual charge point", "Solidstudio", "VirtualChargePoint"),
    _("Tinkerforge WARP and other users of tfocpp", "Tinkerforge", "WARP", meter=Spelling.WATTS),
)

ZAPTEC_CLOUD: Final = _("Zaptec", "Zaptec", "Zaptec Pro", purposes=NOTHING, meter=Spelling.NEUTRAL, every_s=120.0)
"""The same product without a way to be told anything, which its record cannot know."""


STATIONS: Final = (*VARIANTS, ZAPTEC_CLOUD)


@dataclass(frozen=True)
class Manner:
    """Whether the gateway knows the record, and whether the station accepts what has no effect."""

    name: str
    is_known: bool
    shrugs: bool


MANNERS: Final = (
    Manner("known", is_known=True, shrugs=True),
    Manner("unknown, refuses", is_known=False, shrugs=False),
    Manner("unknown, shrugs", is_known=False, shrugs=True),
)


def runs() -> Iterator[tuple[Variant, Manner]]:
    """Every station as it is known, and those that deviate also as strangers."""
    return ((variant, manner) for variant in STATIONS for manner in MANNERS if manner.is_known or variant.deviates)


def outcome(variant: Variant, manner: Manner) -> Outcome:
    """Of the run. Products that differ by their names alone do the same, and one plays for all of them."""
    acts = _acts(variant, manner)
    return _played_by(next(at for at, one in enumerate(STATIONS) if _acts(one, manner) == acts), manner)


def _acts(variant: Variant, manner: Manner) -> tuple[StationSpec, Knowledge | None]:
    """All that a run depends on: the station but for its names, and what the gateway knows by them."""
    quirk = quirk_of(BootCall(*variant.product, ""), shipped_quirks()) if manner.is_known else None
    spec = replace(station(variant, shrugs=manner.shrugs), product=Product())
    return spec, None if quirk is None else quirk.knowledge


@cache
def _played_by(number: int, manner: Manner) -> Outcome:
    """The run of one of STATIONS."""
    return play(STATIONS[number], None if manner.is_known else (), shrugs=manner.shrugs)


@cache
def records() -> Mapping[str, Mapping[str, Any]]:
    """The shipped records as plain values, by name."""
    text = resources.files("local_controller.station.quirks").joinpath("records.yaml").read_text("utf-8")
    return {record["name"]: record for record in YAML(typ="safe", pure=True).load(text)}


@dataclass(frozen=True)
class Step:
    """What a limit of the EMS has led to: amperes at the station and its neighbour, and what is shown of it."""

    limit_a: float
    drawn_a: float
    neighbour_a: float
    worst_case_a: float
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """What came of a run. excess: above the fuse of the grid connection, beyond: above
    what it bears for an hour. harmed: what the station did not bear. away, back,
    rebooted: while it had no connection, after that, and after a restart.
    """

    steps: tuple[Step, ...]
    excess: Excess
    beyond: Excess
    harmed: tuple[str, ...]
    writes: int
    away: Step
    back: Step
    rebooted: Step
    notices: tuple[str, ...]

    @property
    def is_honest(self) -> bool:
        """Whether the station counts with what really flows, whenever a limit has had its time."""
        return all(step.drawn_a <= step.worst_case_a + 0.5 for step in (*self.steps, self.back, self.rebooted))

    @property
    def is_honest_about_a_loss(self) -> bool:
        """The same while it had no connection."""
        return self.away.drawn_a <= self.away.worst_case_a + 0.5

    @property
    def verdict(self) -> str:
        """In words."""
        drawn = [step.drawn_a for step in self.steps]
        unpaused = [step for step in self.steps if step.limit_a > 0]
        obeys = all(step.drawn_a <= step.limit_a + 0.5 for step in unpaused)
        if not self.is_honest:
            return "neither controlled nor counted"
        if max(drawn) == 0.0:
            return "never charges"
        if not obeys:
            return f"counted with {max(step.worst_case_a for step in self.steps):.0f} A"
        if max(drawn) <= FALLBACK_A + 0.5:
            return f"held at {FALLBACK_A:.0f} A"
        least_a = min(step.drawn_a for step in self.steps if step.limit_a == max(LIMITS_A))
        pauses = "" if drawn[PAUSE] == 0.0 else ", cannot be paused"
        held = "" if least_a >= USED * max(LIMITS_A) else f", at times held at {FALLBACK_A:.0f} A"
        return f"controlled{pauses}{held}"


def station(variant: Variant, *, shrugs: bool) -> StationSpec:
    """The station of a record, with a car that wants all it can get."""
    record = records()[variant.record]
    habits = replace(habits_of(record, shrugs=shrugs), **variant.also)
    return StationSpec(
        "QUIRKY",
        variant.version,
        circuit="bay",
        vehicles=(VehicleSpec(max_a=MAX_A, need_wh=1e6, arrives_s=60),),
        obey_delay_s=float(record.get("settle_s", 1.0)),
        spelling=variant.meter,
        meter_interval_s=variant.every_s,
        product=variant.product,
        habits=habits,
    )


def play(variant: Variant, quirks: Sequence[Quirk] | None = None, *, shrugs: bool) -> Outcome:
    """Ten minutes with this station. quirks: what the gateway knows of products; None: what is shipped."""
    loop = VirtualLoop()
    config = SiteConfig.model_validate_json(json.dumps(YAML(typ="safe", pure=True).load(SITE_FILE)))
    plain = StationSpec("PLAIN", V201, circuit="rest", vehicles=(VehicleSpec(max_a=MAX_A, need_wh=1e6, arrives_s=10),))
    nodes = [Node("grid", FUSE_A), Node("bay", 63.0, "grid"), Node("rest", 63.0, "grid")]
    specs = [station(variant, shrugs=shrugs), plain]
    return run(_played(SocketlessSite(config, specs, loop, nodes, quirks), specs[0].obey_delay_s), loop)


async def _played(site: SocketlessSite, slow_s: float) -> Outcome:
    async with site.running():
        site.world.command_limit("grid", SURE_A)
        site.order("ems", MAX_A)
        await asyncio.sleep(SETTLED_S + 2 * slow_s)
        steps = []
        for limit_a in LIMITS_A:
            site.order("ems", limit_a)
            await asyncio.sleep(OBEYS_S + slow_s)
            steps.append(_step(site, limit_a))
        await site.stations["QUIRKY"].drop(AWAY_S)
        await asyncio.sleep(AWAY_S / 2)
        away = _step(site, LIMITS_A[-1])
        await asyncio.sleep(AWAY_S / 2 + 2 * OBEYS_S + slow_s)
        back = _step(site, LIMITS_A[-1])
        site.stations["QUIRKY"].reset()
        await asyncio.sleep(2 * OBEYS_S + slow_s + min(site.specs[0].meter_interval_s, 2 * AWAY_S))
        rebooted = _step(site, LIMITS_A[-1])
    gauge = site.world.gauges["grid"]
    return Outcome(
        tuple(steps),
        max(gauge.over_fuse, key=lambda excess: excess.longest_s),
        max(gauge.over_limit, key=lambda excess: excess.longest_s),
        tuple(site.stations["QUIRKY"].harmed),
        len(site.written("QUIRKY")),
        away,
        back,
        rebooted,
        tuple(notice.text for _, notice in site.gateway.driver.notices if notice.level != "info"),
    )


def _step(site: SocketlessSite, limit_a: float) -> Step:
    shown = site.shown("QUIRKY")
    return Step(limit_a, site.drawn_a("QUIRKY"), site.drawn_a("PLAIN"), shown.worst_case_a, shown.reasons)
