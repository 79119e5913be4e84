"""How is the proxy of one station put together?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo

from local_controller.profiles.units import RateUnit
from local_controller.station.authorizations import Authorizations
from local_controller.station.block import Block
from local_controller.station.blocks.authorizations import LearnsAuthorizations
from local_controller.station.blocks.availability import Availability
from local_controller.station.blocks.certified_boot import CertifiedBoot
from local_controller.station.blocks.charging_priority import ChargingPriority
from local_controller.station.blocks.composite_answers import CompositeAnswers, Shown
from local_controller.station.blocks.configuration import Configuration
from local_controller.station.blocks.csms_words import CsmsWords
from local_controller.station.blocks.customer_data import CustomerData
from local_controller.station.blocks.forecasts import Forecasts
from local_controller.station.blocks.guards import Guards
from local_controller.station.blocks.limit_notices import LimitNotices
from local_controller.station.blocks.metering import Metering
from local_controller.station.blocks.own_questions import OwnQuestions, QuestionPace
from local_controller.station.blocks.profile_places import ProfilePlaces
from local_controller.station.blocks.provisioning import Provisioning
from local_controller.station.blocks.routine import Routine
from local_controller.station.blocks.schema_watch import SchemaWatch
from local_controller.station.blocks.smart_charging import SmartCharging
from local_controller.station.blocks.station_truth import StationTruth
from local_controller.station.blocks.thinning import Thinning
from local_controller.station.blocks.transactions import Transactions
from local_controller.station.blocks.unread import Unread
from local_controller.station.blocks.write_budget import lasting_s
from local_controller.station.capability import How, Origin
from local_controller.station.certificate_identity import ClientCertificate
from local_controller.station.dialects import dialect
from local_controller.station.dialects.base import Dialect
from local_controller.station.guard_policy import Doors, GuardPolicy
from local_controller.station.kept_profiles import EarlierProfiles
from local_controller.station.knowledge import Knowledge
from local_controller.station.proxy import RelayTimes, StationProxy, own_id
from local_controller.station.quirks import Quirk, quirk_of, shipped_quirks
from local_controller.station.remembered import Remembered
from local_controller.station.shown_values import sample_interval
from local_controller.station.state import StationState
from local_controller.station.turns import Turns
from local_controller.station.wiring import USUAL, Wiring
from local_controller.station.words import OcppVersion


@dataclass(frozen=True, slots=True)
class StationSettings:
    """What the site file says about a station.

    evses: their numbers, from 1 (1.6: the connectors). fallback_a: the floor of each until the site sets another.
    time_zone: what the station calls local time (K01.FR.90). unit: the only unit to use; None: find out.
    knowledge: what else it says about how the station can be told limits. remembered: what an earlier run has learnt.
    writes_due_s: as `WriteBudget.due_s`, of that run.
    guards: what happens to messages that could take it away from the gateway. doors: how our own doors are at the
    moment; None: as `guards.public_url` says. questions: when it is asked something; is_asked_what_it_holds: also for its
    composite schedule and its profiles, again and again. certificate: the one that it has
    shown for this connection (security profile 3), which its boot must fit to. is_traced: whether anybody wants to know
    the fate of each message. maxima_a: by EVSE, what its hardware can do, as far as known. composite: what the CSMS sees
    when it asks for a composite schedule. turns: when it gets its profiles after a boot, if all stations boot in the same second.
    wiring: at which voltage and between what its phases stand. notifies_limits: whether its CSMS is told what the site gives it.
    profiles: the CSMS's, as an earlier run has kept them; None: it has none.
    authorizations: where is kept what the CSMS says of identifiers, for a deputy who answers for it while it is away; None: nowhere,
    as there is none.
    """

    evses: Sequence[int] = (1,)
    fallback_a: float = 0.0
    time_zone: tzinfo = UTC
    unit: RateUnit | None = None
    remembered: Remembered | None = None
    writes_due_s: float = 0.0
    knowledge: Knowledge = field(default_factory=Knowledge)
    quirks: Sequence[Quirk] = field(default_factory=shipped_quirks)
    times: RelayTimes = field(default_factory=RelayTimes)
    guards: GuardPolicy = field(default_factory=GuardPolicy)
    doors: Callable[[], Doors] | None = None
    questions: QuestionPace = field(default_factory=QuestionPace)
    is_asked_what_it_holds: bool = False
    certificate: ClientCertificate | None = None
    is_traced: bool = True
    turns: Turns = field(default_factory=Turns)
    maxima_a: Mapping[int, float] = field(default_factory=dict)
    composite: Shown = Shown.SITE_SHARE
    wiring: Wiring = USUAL
    notifies_limits: bool = False
    authorizations: Authorizations | None = None
    profiles: EarlierProfiles | None = None


def station_state(identity: str, version: OcppVersion, settings: StationSettings) -> StationState:
    """A station of which nothing is known yet but the site file, and what an earlier run has learnt."""
    state = StationState(
        identity,
        version,
        time_zone=settings.time_zone,
        wiring=settings.wiring,
        maxima_a=settings.maxima_a,
    )
    own = () if settings.unit is None else (Knowledge(unit=settings.unit),)
    for knowledge in (*own, settings.knowledge):
        state.capability = state.capability.knowing(knowledge, Origin(How.SITE_FILE))
    state.capability = state.capability.in_version(version)
    if settings.remembered is not None and settings.remembered.version is version:
        who = settings.remembered.who
        if who is not None and (quirk := quirk_of(who, settings.quirks)) is not None:
            state.capability = quirk.applied(state.capability)
        state.capability = settings.remembered.applied(state.capability).in_version(version)
        state.who, state.writes.due_s = who, settings.writes_due_s
        state.places = state.capability.places or None
        state.registration = settings.remembered.registration
        state.boot_interval_s = settings.remembered.boot_interval_s
        state.csms_ahead_s = settings.remembered.csms_ahead_s
        state.priorities.recall(settings.remembered.priorities)
        state.is_verdict_old = state.registration is not None
        if settings.remembered.sample_interval is not None:
            state.shown.write(sample_interval(version), *settings.remembered.sample_interval)
    if settings.profiles is not None and settings.profiles.version is version:
        settings.profiles.resume(state)
    return state


def lasted_s(settings: StationSettings) -> float:
    """How long a limit of an earlier run may hold that nobody renewed, as far as is known before the station is here."""
    version = OcppVersion(f"ocpp{settings.knowledge.version or '1.6'}")
    if settings.remembered is not None:
        version = settings.remembered.version
    return lasting_s(station_state("", version, settings).capability)


def station_proxy(
    identity: str,
    version: OcppVersion,
    settings: StationSettings,
    known: StationState | None = None,
    ids: Callable[[], str] = own_id,
) -> tuple[StationProxy, SmartCharging]:
    """The proxy of a new connection, and its block that takes the site's limits.

    known: the state of the station's previous connection (`SmartCharging.state`), which carries its transactions, its
    CSMS's profiles and what was learnt over to this one; without effect if the station now speaks another version.
    """
    state, spoken = _begun(identity, version, settings, known), dialect(version)
    smart_charging = SmartCharging(state, spoken, settings.evses, settings.fallback_a, settings.turns)
    maxima_a = {evse: settings.maxima_a.get(evse) for evse in settings.evses}
    truth: tuple[Block, ...] = ()
    if settings.is_asked_what_it_holds:
        truth = (StationTruth(state, spoken, settings.evses, settings.questions, smart_charging),)
    notices: tuple[Block, ...] = ()
    if settings.notifies_limits and version is not OcppVersion.V16:
        notices = (LimitNotices(state, maxima_a, smart_charging.standing),)
    thinning = (Thinning(state),) if settings.guards.thins_samples and version is OcppVersion.V16 else ()
    unread = Unread()
    blocks = (
        Routine(state, spoken, unread),
        *_guarding(state, spoken, settings),
        *thinning,
        Configuration(state, spoken, settings.guards, ProfilePlaces(state, settings.evses)),
        *_looking_on(state, spoken, settings, unread),
        OwnQuestions(state, spoken, settings.evses, settings.questions),
        *truth,
        smart_charging,
        *notices,
        CompositeAnswers(state, spoken, maxima_a, smart_charging.standing, settings.composite),
    )
    return StationProxy(identity, version, blocks, ids, settings.times, is_traced=settings.is_traced), smart_charging


def observing_proxy(
    identity: str,
    version: OcppVersion,
    settings: StationSettings,
    known: StationState | None = None,
    ids: Callable[[], str] = own_id,
) -> tuple[StationProxy, StationState]:
    """The proxy of a new connection that is only looked at: nothing of ours is sent on it, all that `guards` let pass is relayed.

    known: as of `station_proxy`; the state of this connection is returned for the next one.
    """
    state, spoken = _begun(identity, version, settings, known), dialect(version)
    unread = Unread()
    blocks = (
        Routine(state, spoken, unread),
        *_guarding(state, spoken, settings),
        *_looking_on(state, spoken, settings, unread),
    )
    return StationProxy(identity, version, blocks, ids, settings.times, is_traced=settings.is_traced), state


def _begun(identity: str, version: OcppVersion, settings: StationSettings, known: StationState | None) -> StationState:
    return known if known is not None and known.version is version else station_state(identity, version, settings)


def _guarding(state: StationState, spoken: Dialect, settings: StationSettings) -> Sequence[Block]:
    """Who judges messages before anybody else, and who says whether a station may be called."""
    certified = () if settings.certificate is None else (CertifiedBoot(settings.certificate, spoken),)
    guards = Guards(state, spoken, settings.guards, settings.doors or settings.guards.doors)
    return SchemaWatch(state.version), *certified, guards, Provisioning(state, spoken, settings.quirks)


def _looking_on(state: StationState, spoken: Dialect, settings: StationSettings, unread: Unread) -> Sequence[Block]:
    """Who tells the site what happens at the station."""
    metering = Metering(state, spoken, unread)
    transactions = Transactions(state, spoken, settings.evses, metering)
    forecasts = Forecasts(state, spoken, settings.evses)
    priority = () if state.version is OcppVersion.V16 else (ChargingPriority(state, spoken),)
    for_deputy: tuple[Block, ...] = ()
    if settings.authorizations is not None:
        for_deputy = (CsmsWords(state), LearnsAuthorizations(state, settings.authorizations))
    return (
        Availability(state, spoken, metering),
        transactions,
        metering,
        *priority,
        forecasts,
        CustomerData(state),
        *for_deputy,
    )
