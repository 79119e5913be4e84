"""Token buckets: laws of what comes through, who never waits and what is remembered, and the stories behind the defaults."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_controller.adapters.rates import ConnectionRates, MessageRate
from local_controller.config.legs import ListenLimitsSection

DEFAULTS = ListenLimitsSection()
ROUNDING_S = 1e-6
ROUNDING = 0.002  # of a token

gaps_s = st.lists(st.floats(0, 30), max_size=200)
rates_per_s = st.floats(0.1, 1000)
bursts = st.integers(1, 100)


def connection_rates(remembered: int = 4096) -> ConnectionRates:
    """With the defaults of the site file."""
    return ConnectionRates(
        DEFAULTS.connections_per_minute_per_address,
        DEFAULTS.connections_per_minute_per_station,
        remembered=remembered,
    )


# --- messages of one station ------------------------------------------------------------------------------------------


@pytest.mark.requirement("LC-033")
@given(rates_per_s, bursts, gaps_s)
def test_law_a_flooder_gets_the_burst_and_then_the_rate(rate_per_s: float, burst: int, gaps: list[float]) -> None:
    """In every window, not only from the start: a reader that obeys the pauses reads burst + rate * t at most."""
    bucket, now_s, read_at_s = MessageRate(rate_per_s, burst), 1000.0, []
    for gap_s in gaps:
        read_at_s.append(now_s)
        now_s += max(bucket.take(now_s), gap_s / 1000)
    for first, start_s in enumerate(read_at_s):
        for count, end_s in enumerate(read_at_s[first:], start=1):
            assert count <= burst + rate_per_s * (end_s - start_s) + ROUNDING


@given(rates_per_s, st.integers(2, 100), gaps_s)
def test_law_a_station_below_the_rate_is_never_held_up(rate_per_s: float, burst: int, gaps: list[float]) -> None:
    bucket = MessageRate(rate_per_s, burst)
    assert [bucket.take(now_s) for now_s in accumulate(gap_s + 1 / rate_per_s for gap_s in gaps)] == [0.0] * len(gaps)


@given(rates_per_s, bursts)
def test_law_a_burst_that_is_allowed_passes_at_once(rate_per_s: float, burst: int) -> None:
    bucket = MessageRate(rate_per_s, burst)
    pauses_s = [bucket.take(50.0) for _ in range(burst)]
    assert pauses_s[:-1] == [0.0] * (burst - 1)
    assert pauses_s[-1] == pytest.approx(1 / rate_per_s, rel=0.01)


def test_what_was_read_already_is_counted_and_prolongs_the_pause() -> None:
    """One read from a socket may hold several messages: none of them is dropped, the next read waits for all."""
    bucket = MessageRate(10, 2)
    assert [bucket.take(0.0) for _ in range(5)] == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4], abs=0.001)
    assert bucket.take(0.4) == pytest.approx(0.1, abs=0.001)


@pytest.mark.requirement("LC-033")
def test_a_long_message_counts_as_many_but_never_for_more_than_a_burst() -> None:
    """It takes as long to be read: 512 kB of meter values up to 80 ms, so three a second and not a hundred."""
    bucket = MessageRate(100, 500)
    pauses_s = [bucket.take(0.0, 512 * 1024) for _ in range(20)]
    assert pauses_s[:14] == [0.0] * 14
    assert pauses_s[-1] - pauses_s[-2] == pytest.approx(0.33)
    assert MessageRate(1, 1).take(0.0, 8 * 1024 * 1024) == pytest.approx(1.0, abs=0.01)


def test_a_station_that_was_offline_sends_what_it_kept_without_a_pause() -> None:
    """Each of its messages waits for the answer before it, here 15 ms; answers to the CSMS's commands come between."""
    bucket = MessageRate(DEFAULTS.messages_per_second_per_station, DEFAULTS.message_burst)
    times_s = [round(number * 0.015, 3) for number in range(2000)]
    assert {bucket.take(now_s) for now_s in times_s} == {0.0}


# --- connections ------------------------------------------------------------------------------------------------------


addresses = st.sampled_from(["10.0.0.1", "10.0.0.2", "fe80::1", "2001:db8::7"])
identities = st.sampled_from(["CP-1", "cp-1", "CP-2", "x"])
knocks = st.lists(st.tuples(addresses, identities, st.floats(0, 3)), max_size=300)


@given(st.integers(1, 60), st.integers(1, 60), knocks)
def test_law_no_address_and_no_identity_of_it_comes_in_more_often(
    per_address: int, per_station: int, attempts: list[tuple[str, str, float]]
) -> None:
    rates, now_s = ConnectionRates(per_address, per_station), 0.0
    admitted: dict[tuple[str, ...], list[float]] = {}
    for address, identity, gap_s in attempts:
        now_s += gap_s
        if rates.admit(address, identity, now_s) == 0.0:
            admitted.setdefault((address,), []).append(now_s)
            admitted.setdefault((address, identity.lower()), []).append(now_s)
    for key, times_s in admitted.items():
        burst = per_address if len(key) == 1 else per_station
        for first, start_s in enumerate(times_s):
            for count, end_s in enumerate(times_s[first:], start=1):
                assert count <= burst + burst * (end_s - start_s) / 60 + ROUNDING


@given(st.integers(2, 200), st.integers(2, 60), st.lists(st.floats(0, 100), max_size=100))
def test_law_who_comes_at_the_rate_or_less_never_waits(per_address: int, per_station: int, gaps: list[float]) -> None:
    rates = ConnectionRates(per_address, per_station)
    pace_s = 60 / min(per_address, per_station)
    assert {rates.admit("10.0.0.1", "CP-1", now_s) for now_s in accumulate(gap_s + pace_s for gap_s in gaps)} <= {0.0}


@given(st.integers(1, 30), knocks)
def test_law_who_waits_as_told_comes_in_and_not_much_earlier(
    per_minute: int, attempts: list[tuple[str, str, float]]
) -> None:
    """Retry-After is neither too short nor too long, and refused attempts make nobody wait longer."""
    rates, now_s = ConnectionRates(per_minute, per_minute), 0.0
    for address, identity, gap_s in attempts:
        now_s += gap_s
        wait_s = rates.admit(address, identity, now_s)
        if wait_s > ROUNDING_S:
            assert rates.admit(address, identity, now_s + wait_s / 2) == pytest.approx(wait_s / 2, abs=ROUNDING_S)
            now_s += wait_s + ROUNDING_S
            assert rates.admit(address, identity, now_s) == 0.0


@given(st.integers(1, 20), st.lists(st.tuples(st.ip_addresses().map(str), st.text(max_size=8)), max_size=200))
def test_law_memory_is_bounded_whoever_comes(remembered: int, attempts: list[tuple[str, str]]) -> None:
    rates = connection_rates(remembered)
    for second, (address, identity) in enumerate(attempts):
        rates.admit(address, identity, float(second))
        assert len(rates) <= 2 * remembered


@pytest.mark.requirement("LC-033")
def test_a_power_cut_brings_a_whole_site_back_at_once_behind_one_address() -> None:
    """500 stations behind a router, all within a second, each a second time because the CSMS was not ready: no one waits."""
    rates = connection_rates()
    waits_s = [
        rates.admit("192.168.1.1", f"CP-{n}", 10.0 + n / 500 + 5.0 * again) for again in (0, 1) for n in range(500)
    ]
    assert set(waits_s) == {0.0}


def test_a_stranger_who_tries_passwords_is_slowed_down_and_the_station_is_not() -> None:
    rates = connection_rates()
    tried = sum(rates.admit("10.9.9.9", "CP-1", number / 50) == 0.0 for number in range(50 * 60))
    assert tried == pytest.approx(2 * DEFAULTS.connections_per_minute_per_station, abs=1)
    assert rates.admit("10.0.0.1", "CP-1", 60.0) == 0.0


def test_a_refused_connection_counts_for_neither_bucket() -> None:
    rates = ConnectionRates(10, 2)
    assert [rates.admit("10.0.0.1", "CP-1", 0.0) > 0 for _ in range(10)] == [False] * 2 + [True] * 8
    assert [rates.admit("10.0.0.1", f"CP-{n}", 0.0) > 0 for n in range(2, 12)] == [False] * 8 + [True] * 2


def test_before_tls_only_the_address_counts_and_after_it_only_the_identity() -> None:
    rates = ConnectionRates(3, 2)
    assert [rates.knock("10.0.0.1", 0.0) for _ in range(4)] == pytest.approx([0, 0, 0, 20], abs=0.1)
    assert [rates.enter("10.0.0.1", "CP-1", 0.0) for _ in range(3)] == pytest.approx([0, 0, 30], abs=0.1)


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),  # a machine chooses the lower 64 bits as it likes
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.2", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("unix:socket", "unix:other", False),
    ],
)
def test_who_counts_as_one_address(one: str, other: str, is_same: bool) -> None:
    rates = ConnectionRates(1, 1)
    assert rates.knock(one, 0.0) == 0.0
    assert (rates.knock(other, 0.0) > 0) == is_same
