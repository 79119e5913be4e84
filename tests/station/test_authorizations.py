"""Who may charge while the CSMS cannot be asked, by what it said before; and what is kept of it on the disk."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_controller.station.authorization import (
    ACCEPTED,
    NO_AUTHORIZATION,
    UNKNOWN,
    AuthorizationStatus,
    IdToken,
    LocalListUpdate,
    UnknownPolicy,
    UpdateType,
    Verdict,
)
from local_controller.station.authorization_cache import MOST
from local_controller.station.authorization_memory import AuthorizationMemory, Kept
from local_controller.station.authorizations import Authorizations
from tests.station.conftest import EFFORT, NOON

KEY = bytes(range(32))
CARD, OTHER = IdToken("04E12CA2B96F80", "ISO14443"), IdToken("11223344", "ISO14443")
GROUP = IdToken("Family Müller", "Central")
BLOCKED = Verdict(AuthorizationStatus.BLOCKED)
INVALID = Verdict(AuthorizationStatus.INVALID)
REJECT, ACCEPT = UnknownPolicy.REJECT, UnknownPolicy.ACCEPT
BOTH = pytest.mark.parametrize("policy", list(UnknownPolicy))
FULL, DIFFERENTIAL = UpdateType.FULL, UpdateType.DIFFERENTIAL


def later(**time: float) -> datetime:
    return NOON + timedelta(**time)


def memory(lifetime_s: float | None = None) -> AuthorizationMemory:
    return AuthorizationMemory(KEY, lifetime_s)


def at(kept: AuthorizationMemory, station: str = "CP-1") -> Authorizations:
    return kept.of(station, "csms")


def has_list(station: Authorizations, *entries: tuple[IdToken, Verdict | None], version: int = 1) -> None:
    station.local_list_sent(LocalListUpdate(FULL, version, entries))


def changes(station: Authorizations, version: int, *entries: tuple[IdToken, Verdict | None]) -> None:
    station.local_list_sent(LocalListUpdate(DIFFERENTIAL, version, entries))


def status(station: Authorizations, token: IdToken = CARD, now: datetime = NOON) -> str:
    """Where nobody unknown is let in."""
    return station.decide(token, REJECT, now).status.value


# --- list before cache before policy (LC-065)


@pytest.mark.requirement("LC-065")
def test_a_stranger_is_the_policys_to_decide() -> None:
    assert at(memory()).decide(CARD, REJECT, NOON) == UNKNOWN
    assert at(memory()).decide(CARD, ACCEPT, NOON) == ACCEPTED


@BOTH
@pytest.mark.requirement("LC-065", "LC-063")
def test_what_the_csms_has_answered_decides_before_the_policy(policy: UnknownPolicy) -> None:
    station = at(memory())
    whole = Verdict(AuthorizationStatus.ACCEPTED, later(days=1), GROUP, 3, ("de", "en"), (1, 2))
    station.learn(CARD, whole, NOON)
    station.learn(OTHER, BLOCKED, NOON)
    known = station.decide(CARD, policy, NOON)
    assert known == whole
    assert known.group is not None
    assert known.group.text == "Family Müller", "as it was spelt"
    assert station.decide(OTHER, policy, NOON) == BLOCKED
    station.learn(CARD, INVALID, NOON)
    assert station.decide(CARD, policy, NOON) == INVALID, "what is said last counts"


@BOTH
@pytest.mark.requirement("LC-065")
def test_the_local_list_decides_before_what_was_answered(policy: UnknownPolicy) -> None:
    station = at(memory())
    station.learn(CARD, BLOCKED, NOON)
    has_list(station, (CARD, ACCEPTED), (OTHER, BLOCKED))
    station.learn(CARD, BLOCKED, NOON)
    station.learn(OTHER, ACCEPTED, NOON)
    assert station.decide(CARD, policy, NOON) == ACCEPTED
    assert station.decide(OTHER, policy, NOON) == BLOCKED


@BOTH
@pytest.mark.requirement("LC-065")
@pytest.mark.parametrize("said", [one for one in AuthorizationStatus if one is not AuthorizationStatus.ACCEPTED])
def test_an_entry_of_the_list_that_is_not_accepted_lets_nobody_in(
    said: AuthorizationStatus, policy: UnknownPolicy
) -> None:
    station = at(memory())
    has_list(station, (CARD, Verdict(said)))
    assert station.decide(CARD, policy, NOON).status is said


@BOTH
@pytest.mark.requirement("LC-065")
@pytest.mark.parametrize("is_listed", [True, False])
def test_who_has_expired_is_refused(is_listed: bool, policy: UnknownPolicy) -> None:
    station, until_noon = at(memory()), Verdict(AuthorizationStatus.ACCEPTED, NOON)
    if is_listed:
        has_list(station, (CARD, until_noon))
    else:
        station.learn(CARD, until_noon, later(days=-1))
    assert station.decide(CARD, policy, NOON) == until_noon
    assert station.decide(CARD, policy, later(seconds=1)).status is AuthorizationStatus.EXPIRED


def test_a_refusal_does_not_expire() -> None:
    station = at(memory())
    station.learn(CARD, Verdict(AuthorizationStatus.NO_CREDIT, NOON), NOON)  # of a prepaid card (C17.FR.02)
    assert station.decide(CARD, ACCEPT, later(days=9)).status is AuthorizationStatus.NO_CREDIT


def test_an_acceptance_ages_and_a_refusal_does_not() -> None:
    station = at(memory(lifetime_s=60.0))
    station.learn(CARD, ACCEPTED, NOON)
    station.learn(OTHER, BLOCKED, NOON)
    assert status(station, now=later(seconds=60)) == "Accepted"
    assert status(station, now=later(seconds=61)) == "Unknown"
    assert station.decide(OTHER, ACCEPT, later(days=999)) == BLOCKED
    station.learn(CARD, Verdict(AuthorizationStatus.ACCEPTED, later(days=2)), NOON)
    assert status(station, now=later(days=1)) == "Accepted", "the CSMS itself has said how long (C10.FR.08)"


def test_who_charges_elsewhere_is_no_stranger_afterwards() -> None:
    station = at(memory())
    station.learn(CARD, ACCEPTED, NOON)
    station.learn(CARD, Verdict(AuthorizationStatus.CONCURRENT_TX), NOON)
    assert status(station) == "Accepted"


@pytest.mark.parametrize("kind", ["Central", "central", "NoAuthorization"])
def test_what_the_csms_itself_has_started_and_a_start_button_are_accepted_and_not_kept(kind: str) -> None:
    kept, token = memory(), IdToken("4444" if kind != "NoAuthorization" else "", kind)
    assert status(at(kept), token) == "Accepted", "C02.FR.02, C05"
    at(kept).learn(token, BLOCKED, NOON)
    assert status(at(kept), token) == "Accepted", "C02.FR.03, C05.FR.02"
    assert kept.revision == 0
    assert NO_AUTHORIZATION != CARD


# --- identifiers (LC-066)


@pytest.mark.requirement("LC-066")
@given(st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1, max_size=36), st.data())
def test_1_6_compares_without_case(text: str, data: st.DataObject) -> None:
    station = at(memory())
    station.learn(IdToken(text), ACCEPTED, NOON)
    spelt = "".join(data.draw(st.sampled_from([one.lower(), one.upper()])) for one in text)
    assert status(station, IdToken(spelt)) == "Accepted"
    assert IdToken(spelt) == IdToken(text)
    assert status(station, IdToken(f"{text}0")) == "Unknown"


@pytest.mark.requirement("LC-066")
@pytest.mark.parametrize("is_listed", [True, False])
def test_2_x_compares_the_type_too(is_listed: bool) -> None:
    station = at(memory())
    if is_listed:
        has_list(station, (CARD, ACCEPTED))
    else:
        station.learn(CARD, ACCEPTED, NOON)
    assert status(station, IdToken(CARD.text.lower(), "ISO14443")) == "Accepted"
    for kind in ("ISO15693", "Local", ""):
        assert status(station, IdToken(CARD.text, kind)) == "Unknown"
        assert IdToken(CARD.text, kind) != CARD


def test_an_identifier_does_not_print_itself() -> None:
    assert CARD.text not in repr((CARD, Verdict(AuthorizationStatus.ACCEPTED, group=CARD)))


# --- the local list (LC-064)


@pytest.mark.requirement("LC-064")
def test_a_full_list_replaces_all_and_a_differential_one_adds_changes_and_removes() -> None:
    station, third = at(memory()), IdToken("55667788", "ISO14443")
    has_list(station, (CARD, ACCEPTED), (OTHER, ACCEPTED), version=4)
    changes(station, 5, (CARD, BLOCKED), (third, ACCEPTED), (OTHER, None))
    assert [status(station, one) for one in (CARD, third, OTHER)] == ["Blocked", "Accepted", "Unknown"]
    changes(station, 6)
    assert [status(station, one) for one in (CARD, third, OTHER)] == ["Blocked", "Accepted", "Unknown"], "D01.FR.05"
    has_list(station, (OTHER, ACCEPTED), version=2)
    assert [status(station, one) for one in (CARD, third, OTHER)] == ["Unknown", "Unknown", "Accepted"]
    has_list(station, version=3)
    assert status(station, OTHER) == "Unknown", "D01.FR.04"


@pytest.mark.requirement("LC-064")
@pytest.mark.parametrize("version", [3, 4])
def test_a_change_that_is_not_newer_and_was_taken_shows_that_the_station_has_lost_its_list(version: int) -> None:
    station = at(memory())
    has_list(station, (CARD, ACCEPTED), (OTHER, BLOCKED), version=4)
    changes(station, version, (IdToken("55667788"), ACCEPTED))  # it had to answer VersionMismatch (D01.FR.19)
    assert status(station) == "Unknown"
    assert status(station, IdToken("55667788")) == "Accepted"
    assert station.decide(OTHER, ACCEPT, NOON) == BLOCKED, "he was not let in, and nobody has let him in since"


@pytest.mark.requirement("LC-064")
def test_a_station_that_says_which_list_it_has_is_right() -> None:
    station = at(memory())
    has_list(station, (CARD, ACCEPTED), (OTHER, BLOCKED), version=4)
    station.local_list_is(4)
    assert status(station) == "Accepted"
    station.local_list_is(7)
    assert [status(station, one) for one in (CARD, OTHER)] == ["Unknown", "Blocked"], "of 7 nothing is known"
    station.local_list_is(0)
    assert status(station, OTHER) == "Unknown"


@pytest.mark.requirement("LC-064")
def test_what_is_in_the_list_is_not_cached_so_that_taking_it_out_counts() -> None:
    station = at(memory())
    station.learn(CARD, ACCEPTED, NOON)
    has_list(station, (CARD, ACCEPTED), version=1)
    station.learn(CARD, ACCEPTED, NOON)
    changes(station, 2, (CARD, None))
    assert status(station) == "Unknown", "1.6 §3.5.3"


def test_a_list_is_of_one_station() -> None:
    kept = memory()
    has_list(at(kept), (CARD, ACCEPTED))
    assert status(at(kept, "CP-2")) == "Unknown"


# --- many stations


def test_who_is_known_at_one_station_is_known_at_the_others_of_the_same_csms() -> None:
    kept = memory()
    at(kept).learn(CARD, Verdict(AuthorizationStatus.ACCEPTED, group=GROUP), NOON)
    assert at(kept, "CP-2").decide(CARD, REJECT, NOON).group == GROUP
    assert status(kept.of("CP-3", "another")) == "Unknown"


def test_the_latest_word_counts_where_a_station_has_none_of_its_own() -> None:
    kept = memory()
    at(kept, "CP-1").learn(CARD, ACCEPTED, later(minutes=2))
    at(kept, "CP-2").learn(CARD, BLOCKED, later(minutes=1))
    assert [status(at(kept, f"CP-{n}")) for n in (1, 2, 3)] == ["Accepted", "Blocked", "Accepted"]
    at(kept, "CP-2").learn(CARD, BLOCKED, later(minutes=3))
    assert [status(at(kept, f"CP-{n}")) for n in (1, 2, 3)] == ["Accepted", "Blocked", "Blocked"]


@pytest.mark.parametrize(
    "said",
    [
        Verdict(AuthorizationStatus.NOT_AT_THIS_LOCATION),
        Verdict(AuthorizationStatus.NOT_ALLOWED_TYPE_EVSE),
        Verdict(AuthorizationStatus.ACCEPTED, evses=(2,)),
    ],
)
def test_what_is_said_of_a_place_counts_there_alone(said: Verdict) -> None:
    kept = memory()
    at(kept, "CP-1").learn(CARD, ACCEPTED, NOON)
    at(kept, "CP-2").learn(CARD, said, later(minutes=1))
    assert at(kept, "CP-2").decide(CARD, REJECT, NOON) == said
    assert at(kept, "CP-3").decide(CARD, REJECT, NOON) == ACCEPTED
    at(kept, "CP-1").clear_cache(later(minutes=2))
    assert at(kept, "CP-3").decide(CARD, REJECT, NOON) == UNKNOWN


@pytest.mark.requirement("LC-064")
def test_a_station_that_has_cleared_its_cache_knows_nobody_until_somebody_is_heard_anew() -> None:
    kept = memory()
    for number in (1, 2):
        at(kept, f"CP-{number}").learn(CARD, ACCEPTED, NOON)
    at(kept, "CP-4").learn(CARD, ACCEPTED, later(minutes=1))
    at(kept).clear_cache(later(minutes=1))
    assert [status(at(kept, f"CP-{n}")) for n in (1, 2, 3)] == ["Unknown", "Accepted", "Accepted"]
    at(kept, "CP-2").learn(CARD, ACCEPTED, later(minutes=2))
    assert status(at(kept)) == "Accepted"


def test_clearing_the_cache_leaves_the_list() -> None:
    station = at(memory())
    has_list(station, (CARD, ACCEPTED))
    station.clear_cache(NOON)
    assert status(station) == "Accepted"


def test_no_more_is_kept_than_fits_and_who_was_refused_goes_first() -> None:
    kept = memory()
    for number in range(MOST // 2):
        at(kept).learn(IdToken(f"good{number}"), ACCEPTED, NOON)
    for number in range(MOST):
        at(kept).learn(IdToken(f"bad{number}"), BLOCKED, NOON)
    assert all(status(at(kept), IdToken(f"good{number}")) == "Accepted" for number in range(MOST // 2))
    assert status(at(kept), IdToken(f"bad{MOST - 1}")) == "Blocked"
    words = form(kept)["caches"]["csms"]["words"]
    assert sum(len(said) for said in words.values()) <= MOST
    at(kept).learn(IdToken("good0"), ACCEPTED, NOON)
    for number in range(2 * MOST):
        at(kept).learn(IdToken(f"newer{number}"), ACCEPTED, NOON)
        at(kept).learn(IdToken("good0"), ACCEPTED, NOON)
    assert status(at(kept), IdToken("good0")) == "Accepted", "heard of again and again"
    assert status(at(kept), IdToken("good1")) == "Unknown"


def test_what_was_forgotten_takes_no_room() -> None:
    kept = memory()
    for round_ in range(3):
        for number in range(MOST // 2):
            at(kept).learn(IdToken(f"{round_} {number}"), ACCEPTED, NOON)
        if round_ == 0:
            at(kept).clear_cache(NOON)
    assert all(status(at(kept), IdToken(f"1 {number}")) == "Accepted" for number in range(MOST // 2))


# --- what is kept (LC-068)


def form(kept: AuthorizationMemory, now: datetime = NOON) -> Any:
    """What is in the file."""
    return msgspec.json.decode(msgspec.json.encode(kept.kept(now)))


def resumed(written: Any, lifetime_s: float | None = None) -> AuthorizationMemory:
    """The same after a restart."""
    begun = AuthorizationMemory(bytes(32), lifetime_s)
    begun.resume(msgspec.json.decode(msgspec.json.encode(written), type=Kept))
    return begun


@pytest.mark.requirement("LC-068")
def test_no_identifier_is_kept_in_clear() -> None:
    kept = memory()
    at(kept).learn(CARD, Verdict(AuthorizationStatus.ACCEPTED, group=GROUP), NOON)
    has_list(at(kept), (OTHER, Verdict(AuthorizationStatus.ACCEPTED, group=CARD)))
    text = msgspec.json.encode(kept.kept(NOON)).decode().lower()
    for token in (CARD, OTHER, GROUP):
        assert token.text.lower() not in text
        assert token.text.encode().hex() not in text


@pytest.mark.requirement("LC-068")
def test_a_group_is_read_only_with_the_key_and_the_card() -> None:
    kept = memory()
    at(kept).learn(CARD, Verdict(AuthorizationStatus.ACCEPTED, group=GROUP), NOON)
    at(kept).learn(OTHER, Verdict(AuthorizationStatus.ACCEPTED, group=GROUP), NOON)
    written = form(kept)
    words = written["caches"]["csms"]["words"]
    first, second = words.values()
    assert first["CP-1"]["group"] != second["CP-1"]["group"], "that two are of one family is not to be seen either"
    first["CP-1"], second["CP-1"] = second["CP-1"], first["CP-1"]
    mixed = at(resumed(written))
    assert mixed.decide(CARD, REJECT, NOON) == ACCEPTED, "what cannot be opened is left out"


@pytest.mark.requirement("LC-068")
def test_the_same_card_looks_different_at_another_site() -> None:
    names = set()
    for key in (KEY, bytes(32)):
        kept = AuthorizationMemory(key)
        at(kept).learn(CARD, ACCEPTED, NOON)
        names |= set(form(kept)["caches"]["csms"]["words"])
    assert len(names) == 2


def test_who_wants_to_be_forgotten_is_whatever_the_type() -> None:
    kept = memory()
    at(kept).learn(CARD, ACCEPTED, NOON)
    at(kept).learn(OTHER, ACCEPTED, NOON)
    has_list(at(kept, "CP-2"), (IdToken(CARD.text), ACCEPTED), (OTHER, ACCEPTED))
    before = kept.revision
    kept.forget(CARD.text)
    assert kept.revision > before
    assert status(at(kept)) == status(at(kept, "CP-2"), IdToken(CARD.text)) == "Unknown"
    assert status(at(kept), OTHER) == status(at(kept, "CP-2"), OTHER) == "Accepted"


def test_what_is_too_old_is_not_kept() -> None:
    kept = memory(lifetime_s=60.0)
    at(kept).learn(CARD, ACCEPTED, NOON)
    at(kept).learn(OTHER, BLOCKED, NOON)
    assert len(form(kept)["caches"]["csms"]["words"]) == 2
    assert len(form(kept, later(minutes=2))["caches"]["csms"]["words"]) == 1


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"format": 2},
        {"key": "00"},
        {"key": None},
        {"caches": {"csms": {"words": {"a": {"CP-1": {"said": {"status": "Perhaps"}}}}, "cleared": {}}}},
        {"lists": {"CP-1": {"version": "x", "words": {}}}},
        {"more": 1},
        [],
        None,
    ],
)
def test_what_we_have_not_written_is_refused(broken: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        resumed(form(memory()) | broken if broken else broken)


def test_a_key_must_be_long_enough() -> None:
    with pytest.raises(ValueError, match="no key"):
        AuthorizationMemory(b"short")


# --- laws


@dataclass
class Judge:
    """What must be decided, written apart: it keeps all that happened, in clear, and looks through it each time."""

    lifetime_s: float | None
    heard: list[tuple[str, IdToken, Verdict, datetime]] = field(default_factory=list)
    lists: dict[str, list[tuple[IdToken, Verdict]]] = field(default_factory=dict)
    cleared: dict[str, datetime] = field(default_factory=dict)

    def listed(self, station: str, token: IdToken) -> Verdict | None:
        return next((said for one, said in self.lists.get(station, []) if one == token), None)

    def learn(self, station: str, token: IdToken, said: Verdict, now: datetime) -> None:
        if self.listed(station, token) is None and said.status is not AuthorizationStatus.CONCURRENT_TX:
            self.heard.append((station, token, said, now))

    def clear(self, station: str, now: datetime) -> None:
        self.heard = [one for one in self.heard if one[0] != station]
        self.cleared[station] = now

    def full(self, station: str, entries: list[tuple[IdToken, Verdict]]) -> None:
        self.lists[station] = list(dict(entries).items())
        listed = [one for one, _ in entries]
        self.heard = [one for one in self.heard if one[0] != station or one[1] not in listed]

    def decide(self, station: str, token: IdToken, policy: UnknownPolicy, now: datetime) -> Verdict:
        said = self.listed(station, token) or self._own(station, token, now) or self._others(station, token, now)
        if said is None:
            return ACCEPTED if policy is ACCEPT else UNKNOWN
        expired = said.status is AuthorizationStatus.ACCEPTED and said.until is not None and said.until < now
        rest = (said.until, said.group, said.priority, said.languages, said.evses)
        return Verdict(AuthorizationStatus.EXPIRED if expired else said.status, *rest)

    def _last(self, station: str, token: IdToken, now: datetime) -> tuple[Verdict, datetime] | None:
        for at_station, one, said, when in reversed(self.heard):
            if at_station == station and one == token:
                ages = (
                    said.status is AuthorizationStatus.ACCEPTED and said.until is None and self.lifetime_s is not None
                )
                is_old = ages and (now - when).total_seconds() > (self.lifetime_s or 0.0)
                return None if is_old else (said, when)
        return None

    def _own(self, station: str, token: IdToken, now: datetime) -> Verdict | None:
        found = self._last(station, token, now)
        return None if found is None else found[0]

    def _others(self, station: str, token: IdToken, now: datetime) -> Verdict | None:
        since = self.cleared.get(station, datetime.min.replace(tzinfo=UTC))
        found = [self._last(one, token, now) for one in {one[0] for one in self.heard} - {station}]
        places = {AuthorizationStatus.NOT_AT_THIS_LOCATION, AuthorizationStatus.NOT_ALLOWED_TYPE_EVSE}
        fit = [one for one in found if one and one[1] > since and one[0].status not in places and not one[0].evses]
        return max(fit, key=lambda one: one[1])[0] if fit else None


SECONDS = st.integers(0, 300)
ODD = IdToken("\ud83d", "\ud83d" * 50)
TOKENS = st.sampled_from([CARD, IdToken(CARD.text.lower(), "iso14443"), IdToken(CARD.text), OTHER, ODD])
STATIONS = st.sampled_from(["CP-1", "CP-2", "CP-3"])
VERDICTS = st.builds(
    Verdict,
    st.sampled_from(AuthorizationStatus) | st.just(AuthorizationStatus.ACCEPTED),
    st.none() | SECONDS.map(lambda s: later(seconds=s)),
    st.sampled_from([None, GROUP, IdToken("\ud83d", "x" * 40)]),
    st.integers(-9, 9),
    st.sampled_from([(), ("de",), ("de", "en")]),
    st.sampled_from([(), (1,), (1, 2)]),
)
STEPS = st.one_of(
    st.tuples(st.just("learn"), STATIONS, TOKENS, VERDICTS),
    st.tuples(st.just("clear"), STATIONS),
    st.tuples(st.just("list"), STATIONS, st.lists(st.tuples(TOKENS, VERDICTS), max_size=3)),
)


def happens(step: tuple[Any, ...], kept: AuthorizationMemory, judge: Judge, now: datetime) -> None:
    match step:
        case ("learn", station, token, said):
            at(kept, station).learn(token, said, now)
            judge.learn(station, token, said, now)
        case ("clear", station):
            at(kept, station).clear_cache(now)
            judge.clear(station, now)
        case ("list", station, entries):
            has_list(at(kept, station), *entries)
            judge.full(station, entries)


@pytest.mark.requirement("LC-063", "LC-065", "LC-066", "LC-068")
@given(st.lists(STEPS, max_size=12), st.sampled_from([None, 5.0, 100.0]), SECONDS, st.booleans())
@settings(max_examples=150 * EFFORT)
def test_whatever_happened_everybody_gets_what_he_must_also_after_a_restart(
    steps: list[tuple[Any, ...]], lifetime_s: float | None, after_s: int, is_restarted: bool
) -> None:
    kept, judge, now = memory(lifetime_s), Judge(lifetime_s), NOON
    for number, step in enumerate(steps):
        now = later(seconds=number)
        happens(step, kept, judge, now)
    if is_restarted:
        kept = resumed(form(kept, now), lifetime_s)
    now += timedelta(seconds=after_s)
    for station in ("CP-1", "CP-2", "CP-3"):
        for token in (CARD, IdToken(CARD.text), OTHER, ODD):
            for policy in UnknownPolicy:
                wanted = judge.decide(station, token, policy, now)
                assert at(kept, station).decide(token, policy, now) == wanted


@given(st.lists(STEPS, max_size=12), st.sampled_from([None, 5.0]), STATIONS, TOKENS, st.sampled_from(UnknownPolicy))
@settings(max_examples=100 * EFFORT)
def test_time_alone_lets_nobody_in(
    steps: list[tuple[Any, ...]],
    lifetime_s: float | None,
    station: str,
    token: IdToken,
    policy: UnknownPolicy,
) -> None:
    kept = memory(lifetime_s)
    for number, step in enumerate(steps):
        happens(step, kept, Judge(None), later(seconds=number))
    accepted = [
        at(kept, station).decide(token, policy, later(seconds=seconds)).is_accepted for seconds in range(12, 330, 3)
    ]
    assert accepted == sorted(accepted, reverse=True)
