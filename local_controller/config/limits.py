"""What may a site file say about limits that something else sends while the site runs?"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from local_controller.config.contacts import ContactSection, PatternSection
from local_controller.config.electrical import LoadPerPhase
from local_controller.config.lpc import LpcFailsafeTopic, LpcHeartbeatTopic, LpcLimitTopic, LpcRegistersPlace
from local_controller.config.section import Id, JmesPath, Section, Text, Topic, known_zone, wrong
from local_controller.config.week import SpanSection
from local_controller.site.limits import AppliesTo
from local_controller.site.topology import GRID


class PayloadSection(Section):
    """Where a foreign MQTT payload keeps its limit. Without this section the message is the one in the documentation."""

    path: JmesPath = Field(examples=["power.limit"])
    """JMESPath of the number in the JSON payload."""
    unit: Literal["A", "W"] = "A"
    """Amperes per phase, or watts in all; a payload in kW is unit W with factor 1000."""
    factor: float = Field(default=1.0, gt=0)
    """The number times this is the limit in the unit."""
    time_path: JmesPath | None = Field(default=None, examples=["timestamp"])
    """JMESPath of the time stamp in the payload, by which the message's age counts; one without it is refused. If left out,
    a message counts as stated when it arrives, and a retained one may only lower."""
    time_format: Literal["rfc3339", "unix_s", "unix_ms"] = "rfc3339"
    """What the time stamp is: a text as RFC 3339 or ISO 8601 write it, or seconds or milliseconds since 1970."""
    time_zone: Annotated[str, AfterValidator(known_zone)] | None = Field(default=None, examples=["Europe/Berlin"])
    """Time zone of a text that names none. Left out: such a text is refused."""

    @model_validator(mode="after")
    def _time_stamp_that_counts(self) -> PayloadSection:
        for key in ("time_format", "time_zone"):
            if key in self.model_fields_set and self.time_path is None:
                raise wrong(
                    key, "counts with time_path only: say there where the time stamp is, e.g. time_path: timestamp"
                )
        if self.time_zone is not None and self.time_format != "rfc3339":
            raise wrong("time_zone", f"{self.time_format} has no time zone: delete the key")
        return self


class AvailabilitySection(Section):
    """Where the sender of a limit, or the broker in its name (last will), says whether it is there."""

    topic: Topic = Field(examples=["zigbee2mqtt/bridge/state"])
    """Topic, without wildcards, whose messages are retained."""
    online: Text = "online"
    """What it says while it is there."""
    offline: Text = "offline"
    """What it says, or the broker for it, when it is not."""
    path: JmesPath | None = Field(default=None, examples=["state"])
    """JMESPath of that word in a JSON payload. If left out, the whole payload is the word."""

    @model_validator(mode="after")
    def _two_words(self) -> AvailabilitySection:
        if self.online == self.offline:
            raise wrong("offline", f"online is {self.online} as well: write the word for each")
        return self


Watts = Annotated[float, Field(ge=0, le=1e8)]


class LimitSection(Section):
    """What all limits from outside have in common, whatever brings them."""

    id: Id = Field(examples=["ems"])
    """Short name; it appears in explanations."""
    applies_to: AppliesTo = AppliesTo.TOTAL
    """total: everything that flows through the node; charging: the stations only."""
    node: Id = GRID
    """The circuit that is limited; "grid" is the grid connection."""


class SentLimitSection(LimitSection):
    """What limits have in common that somebody sends: an EMS, a grid operator."""

    add_surplus: bool = False
    """Whether what the building feeds in by itself comes on top of the watts, as §14a EnWG allows: true only for `node: grid`
    with a meter and `applies_to: charging`."""

    @model_validator(mode="after")
    def _surplus_can_be_measured(self) -> SentLimitSection:
        if self.add_surplus and self.applies_to is not AppliesTo.CHARGING:
            raise wrong("add_surplus", "for `applies_to: charging` only: what flows in total has it deducted already")
        if self.add_surplus and self.node != GRID:
            raise wrong("add_surplus", f"for `node: {GRID}` only: that is where the building feeds in")
        return self


class MqttLimitSection(SentLimitSection):
    """A limit that an EMS, a grid operator or a home automation sends over MQTT."""

    source: Literal["mqtt"] = "mqtt"
    """How the limit arrives: in MQTT messages (mqtt, which may be left out)."""
    broker: Id = Field(examples=["site"])
    """Id of the broker."""
    topic: Topic = Field(examples=["ems/limit"])
    """Topic of the messages, without wildcards."""
    max_age_s: float = Field(default=60.0, ge=1, le=3600)
    """A message counts for this many seconds at most; then the fallback counts."""
    fallback_a: LoadPerPhase | None = Field(default=None, examples=[16])
    """What counts while no valid message is there, in amperes per phase. A silent source is never "unlimited": this or
    fallback_w is required."""
    fallback_w: Watts | None = Field(default=None, examples=[4200])
    """The same in watts over all phases; with fallback_a, both hold."""
    payload: PayloadSection | None = None
    """How to read messages in a format of somebody else."""
    availability: AvailabilitySection | None = None
    """Where its sender says whether it is there. When it says no, at most the fallback counts at once; until it has said yes,
    its messages may only lower."""
    record: bool = False
    """Whether it is recorded in state_directory when it holds and what is drawn then, for two years, as §14a EnWG wants it.
    Contacts always are."""

    @model_validator(mode="after")
    def _falls_back(self) -> MqttLimitSection:
        if self.fallback_a is None and self.fallback_w is None:
            raise wrong(
                "fallback_a", "is missing: what counts while nobody speaks? fallback_a: 16, or fallback_w: 4200"
            )
        return self


class WindowSection(SpanSection):
    """A time of some days of the week, by the clock of `site.time_zone`."""

    max_a: LoadPerPhase | None = Field(default=None, examples=[16])
    """What counts meanwhile, in amperes per phase: this or max_w is required."""
    max_w: Watts | None = None
    """The same in watts over all phases; with max_a, both hold."""

    @model_validator(mode="after")
    def _limits(self) -> WindowSection:
        if self.max_a is None and self.max_w is None:
            raise wrong("max_a", "is missing: what counts meanwhile? max_a: 16, or max_w: 11000")
        return self


class ScheduledLimitSection(LimitSection):
    """A limit at certain times of the week, kept from the first second on. Where several windows hold, the lowest counts."""

    source: Literal["schedule"]
    """How the limit arrives: it stands in this file (schedule)."""
    windows: tuple[WindowSection, ...] = Field(min_length=1)
    """When it holds. Outside of them there is no such limit."""


class QuarterHourLimitSection(LimitSection):
    """A limit on the mean power of each quarter of an hour by the clock, as capacity tariffs bill it."""

    source: Literal["quarter_hour"]
    """How the limit arrives: from what the meter of its node counts (quarter_hour)."""
    applies_to: Literal[AppliesTo.TOTAL] = AppliesTo.TOTAL
    """total: everything that flows through the node, since that is what is billed."""
    mean_w: Watts = Field(gt=0, examples=[17250])
    """What the mean may be, in watts over all phases; what feeds in is not taken off."""


class ContactLimitSection(SentLimitSection):
    """A limit by contacts of the grid operator: relays of a control box, ripple control. What cannot be read limits."""

    source: Literal["contact"]
    """How the limit arrives: by contacts on an I/O module (contact)."""
    io_module: Id = Field(examples=["io"])
    """Id of the I/O module."""
    contacts: tuple[ContactSection, ...] = Field(min_length=1)
    """The wires."""
    patterns: tuple[PatternSection, ...] = Field(min_length=1)
    """What counts when which of them are given. Where none of these fits, and where the module cannot be read for 5 s, the
    lowest of them counts."""
    rated_w: float | None = Field(default=None, gt=0, le=1e8, examples=[22000])
    """What 100 per cent are, in watts over all phases."""
    devices: int | None = Field(default=None, ge=1, le=10_000)
    """How many controllable devices of §14a EnWG there are. Left out: the EVSEs behind the node that can be told a limit."""

    @model_validator(mode="after")
    def _table(self) -> ContactLimitSection:
        ids, channels = [one.id for one in self.contacts], [one.channel for one in self.contacts]
        for index, one in enumerate(self.contacts):
            if one.id in ids[:index]:
                raise wrong(f"contacts.{index}.id", f"{one.id} is the id of another contact: ids are unique")
            if one.channel in channels[:index]:
                raise wrong(f"contacts.{index}.channel", f"{one.channel} is the channel of another contact")
        patterns = [frozenset(row.given) for row in self.patterns]
        for index, row in enumerate(self.patterns):
            if unknown := [name for name in row.given if name not in ids]:
                raise wrong(f"patterns.{index}.given", f"{unknown[0]} is no contact of this limit: {', '.join(ids)}")
            if patterns[index] in patterns[:index]:
                raise wrong(
                    f"patterns.{index}.given", "another row has the same contacts: each pattern means one thing"
                )
            if row.percent is not None and self.rated_w is None:
                raise wrong("rated_w", "is missing: what are 100 per cent? For example rated_w: 22000")
        if all(row.unlimited for row in self.patterns):
            raise wrong("patterns", "no row limits anything: write what counts when the grid operator dims")
        return self


class PersonLimitSection(LimitSection):
    """A limit that a person sets for a while, with `local-controller limit`. Until then, and after its end, there is none."""

    source: Literal["person"]
    """How the limit arrives: a person sets it (person)."""
    replaces: tuple[Id, ...] = Field(default=(), examples=[["ems"]])
    """Ids of limits that arrive over MQTT and do not count while this one holds, for example because their sender is out of
    order. Fuses, contract and contacts of the grid operator always count."""


class ControlBoxSection(SentLimitSection):
    """What all limits of a grid operator's control box have in common, however a bridge hands them on."""

    source: Literal["lpc", "lpc_modbus"]
    """How the limit arrives: from a control box, by the rules of EEBUS LPC."""
    applies_to: AppliesTo = AppliesTo.CHARGING
    """charging: the stations only; total: everything that flows through the node."""
    failsafe_w: Watts = 4200
    """What counts at the start, and after 2 min without a heartbeat, in watts over all phases."""
    failsafe_h: float = Field(default=2.0, ge=2, le=24)
    """For how many hours the failsafe limit counts at least while no heartbeat comes."""
    failsafe_ends: bool = True
    """Whether nothing is limited any more after that time (LPC-922). false: until the control box is there again."""


class LpcRegistersSection(ControlBoxSection):
    """The limit of a grid operator's control box by EEBUS LPC, which a bridge shows in Modbus registers."""

    source: Literal["lpc_modbus"]
    """How the limit arrives: from a control box, by the rules of EEBUS LPC, over Modbus (lpc_modbus)."""
    registers: LpcRegistersPlace
    """Where the bridge shows it."""


class LpcLimitSection(ControlBoxSection):
    """The limit of a grid operator's control box by EEBUS LPC, which a bridge hands on over MQTT."""

    source: Literal["lpc"]
    """How the limit arrives: from a control box, by the rules of EEBUS LPC (lpc)."""
    broker: Id = Field(examples=["site"])
    """Id of the broker."""
    limit: LpcLimitTopic
    """The limit that the control box has written."""
    heartbeat: LpcHeartbeatTopic
    """Its heartbeats, at least one a minute."""
    failsafe: LpcFailsafeTopic | None = None
    """The failsafe values that it sets, in place of failsafe_w and failsafe_h."""

    @property
    def topics(self) -> tuple[str, ...]:
        """All that it is told on, failsafe values and heartbeats before limits."""
        failsafe = () if self.failsafe is None else (self.failsafe.topic,)
        return tuple(dict.fromkeys((*failsafe, self.heartbeat.topic, self.limit.topic)))


LIMIT_KINDS: Final[dict[str, type[LimitSection]]] = {
    "mqtt": MqttLimitSection,
    "schedule": ScheduledLimitSection,
    "quarter_hour": QuarterHourLimitSection,
    "contact": ContactLimitSection,
    "person": PersonLimitSection,
    "lpc": LpcLimitSection,
    "lpc_modbus": LpcRegistersSection,
}
"""The sections by the word in their `source`."""


def _source_of(section: Any) -> str:
    """The kind of a limit; one without `source` comes over MQTT."""
    return str(section.get("source", "mqtt")) if isinstance(section, dict) else "mqtt"


AnyLimit = Annotated[
    Annotated[MqttLimitSection, Tag("mqtt")]
    | Annotated[ScheduledLimitSection, Tag("schedule")]
    | Annotated[QuarterHourLimitSection, Tag("quarter_hour")]
    | Annotated[ContactLimitSection, Tag("contact")]
    | Annotated[PersonLimitSection, Tag("person")]
    | Annotated[LpcLimitSection, Tag("lpc")]
    | Annotated[LpcRegistersSection, Tag("lpc_modbus")],
    Discriminator(_source_of),
]
"""A limit that something else sets while the site runs: an EMS, a grid operator, the time of day."""
