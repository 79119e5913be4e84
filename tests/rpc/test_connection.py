"""Laws of the one slot: who is next, for how long, and whose answer it is."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_controller.rpc import frame as rpc
from local_controller.rpc.connection import LATE_LIMIT, QUEUE_LIMIT, Call, RpcConnection

SAFETY, FOREIGN, RAISE, QUERY = range(4)


def call(name: str, urgency: int = FOREIGN, since_s: float = 0.0, size: int = 0) -> Call[str]:
    """A CALL whose id and origin are `name`; foreign ones have 30 s, our own 8 s."""
    frame = rpc.call(name, "X", {"blob": "x" * size})
    return Call(frame, urgency, *((30.0, 30.0) if urgency == FOREIGN else (8.0, None)), name, since_s)


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("submit"), st.sampled_from([SAFETY, FOREIGN, RAISE, QUERY])),
        st.tuples(st.just("answer"), st.integers(0, 12)),
        st.tuples(st.just("wait"), st.sampled_from([0.0, 0.5, 3.0, 8.0, 31.0])),
    ),
    max_size=60,
)


@pytest.mark.requirement("LC-022", "LC-025", "LC-031")
@given(ACTIONS)
def test_one_call_at_a_time_in_order_and_each_ends_once(actions: list[tuple[str, float]]) -> None:
    leg: RpcConnection[str] = RpcConnection()
    names, now_s = itertools.count(), 0.0
    submitted, sent, ended = [], [], []
    open_until_s = 0.0
    for what, value in actions:
        match what:
            case "submit":
                one = call(f"{next(names)}", int(value), now_s)
                assert leg.submit(one)
                submitted.append(one)
            case "answer":
                found = leg.answered(f"{value}", now_s)
                if found and not found[1]:
                    ended.append(found[0])
                    open_until_s = now_s
            case "wait":
                end_s = now_s + value
                while leg.deadline is not None and leg.deadline <= end_s:
                    now_s = max(now_s, leg.deadline)
                    expired = leg.expire(now_s)
                    assert expired.timed_out or expired.discarded, "a deadline without a reason"
                    ended += [*([expired.timed_out] if expired.timed_out else []), *expired.discarded]
                    assert all(one.urgency == FOREIGN for one in expired.discarded)
                now_s = end_s
        if one := leg.next_to_send(now_s):
            assert now_s >= open_until_s
            sent.append(one)
        assert leg.next_to_send(now_s) is None, "two CALLs at once"
    foreign_sent = [int(one.origin) for one in sent if one.urgency == FOREIGN]
    assert foreign_sent == sorted(foreign_sent)
    ended += leg.close()
    assert sorted(one.origin for one in ended) == sorted(one.origin for one in submitted)
    assert leg.deadline is None


@pytest.mark.requirement("LC-031")
def test_the_queue_is_bounded_by_number_and_by_size_but_a_flood_does_not_shut_out_our_reduction() -> None:
    leg: RpcConnection[str] = RpcConnection()
    assert all(leg.submit(call(f"{n}")) for n in range(QUEUE_LIMIT))
    assert not leg.submit(call("too many"))
    assert leg.submit(call("ours", SAFETY))
    big: RpcConnection[str] = RpcConnection()
    assert big.submit(call("8 MiB", size=8 << 20))
    assert not big.submit(call("9 MiB", size=9 << 20))
    assert big.submit(call("small"))


@pytest.mark.requirement("LC-024")
def test_answered_reductions_go_first_until_they_held_up_the_csms_for_one_time_out() -> None:
    leg: RpcConnection[str] = RpcConnection()
    for n in range(6):
        leg.submit(call(f"own {n}", SAFETY))
    leg.submit(call("reset"))
    order = []
    for second in range(0, 21, 3):
        sent = leg.next_to_send(float(second))
        assert sent
        order.append(sent.origin)
        leg.answered(sent.origin, second + 3.0)
    assert order == ["own 0", "own 1", "own 2", "reset", "own 3", "own 4", "own 5"]


@pytest.mark.requirement("LC-024")
@pytest.mark.parametrize("asked_at_s", [0.0, 3.0, 7.5])
def test_one_dead_reduction_is_all_that_a_call_of_the_csms_waits_for(asked_at_s: float) -> None:
    """However late it came: the next reduction, too, might not be answered, and the one after that."""
    leg: RpcConnection[str] = RpcConnection()
    for n in range(3):
        leg.submit(call(f"own {n}", SAFETY))
    assert leg.next_to_send(0.0)
    leg.submit(call("reset", FOREIGN, asked_at_s))
    order = []
    for free_at_s in (8.0, 16.0, 24.0):
        assert leg.expire(free_at_s).timed_out
        sent = leg.next_to_send(free_at_s)
        assert sent
        order.append(sent.origin)
    assert order == ["reset", "own 1", "own 2"]


@pytest.mark.requirement("LC-022", "LC-024", "LC-027")
@pytest.mark.parametrize(("waits_from_s", "free_at_s"), [(0.0, 8.0), (5.0, 8.0), (20.0, 20.0), (29.0, 29.0)])
def test_a_reduction_waits_for_a_dead_call_of_the_csms_no_longer_than_for_one_of_ours(
    waits_from_s: float, free_at_s: float
) -> None:
    leg: RpcConnection[str] = RpcConnection()
    leg.submit(call("diagnostics"))
    assert leg.next_to_send(0.0)
    assert leg.submit(call("reduction", SAFETY, waits_from_s))
    assert leg.next_to_send(waits_from_s) is None
    assert leg.deadline is not None
    assert max(waits_from_s, leg.deadline) == free_at_s
    assert leg.expire(free_at_s).timed_out
    sent = leg.next_to_send(free_at_s)
    assert sent
    assert sent.origin == "reduction"
    found = leg.answered("diagnostics", free_at_s + 1.0)
    assert found
    assert (found[0].origin, found[1]) == ("diagnostics", True), "it is passed on all the same"


@pytest.mark.requirement("LC-022", "LC-025")
@pytest.mark.parametrize(("next_at_s", "free_at_s"), [(0.0, 8.0), (2.0, 8.0), (10.0, 10.0), (29.0, 29.0)])
def test_who_sends_the_next_call_awaits_no_answer_to_the_last_and_it_holds_nothing_up_for_longer(
    next_at_s: float, free_at_s: float
) -> None:
    """A sender whose time-out is 10 s goes on then, and would think the next one lost as well (Part 4 §4.1.1)."""
    leg: RpcConnection[str] = RpcConnection()
    leg.submit(call("never answered"))
    assert leg.next_to_send(0.0)
    assert leg.submit(call("heartbeat", FOREIGN, next_at_s))
    assert leg.deadline is not None
    assert max(next_at_s, leg.deadline) == free_at_s
    assert leg.expire(free_at_s).timed_out
    sent = leg.next_to_send(free_at_s)
    assert sent
    assert (sent.origin, leg.deadline) == ("heartbeat", free_at_s + 30.0)
    late = leg.answered("never answered", free_at_s + 1.0)
    assert late
    assert late[1], "it is passed on all the same"


@pytest.mark.requirement("LC-024")
def test_who_takes_the_slot_while_a_reduction_waits_has_it_no_longer_either() -> None:
    leg: RpcConnection[str] = RpcConnection()
    leg.submit(call("dead", SAFETY))
    leg.submit(call("reduction", SAFETY))
    leg.submit(call("diagnostics"))
    assert leg.next_to_send(0.0)
    assert leg.expire(8.0).timed_out
    sent = leg.next_to_send(8.0)
    assert sent
    assert (sent.origin, leg.deadline) == ("diagnostics", 16.0)


@pytest.mark.parametrize("urgency", [RAISE, QUERY])
def test_what_is_less_urgent_waits_as_long_as_the_csms_itself_would(urgency: int) -> None:
    leg: RpcConnection[str] = RpcConnection()
    leg.submit(call("diagnostics"))
    assert leg.next_to_send(0.0)
    assert leg.submit(call("raise", urgency))
    assert leg.deadline == 30.0


def test_a_withdrawn_call_is_gone_unless_it_was_sent() -> None:
    leg: RpcConnection[str] = RpcConnection()
    leg.submit(call("raise", RAISE))
    leg.submit(call("another", RAISE))
    assert leg.next_to_send(0.0)
    assert leg.withdraw(lambda origin: origin == "raise") == []
    assert [one.origin for one in leg.withdraw(lambda origin: origin == "another")] == ["another"]
    assert leg.answered("raise", 1.0)
    assert leg.next_to_send(1.0) is None


@pytest.mark.requirement("LC-027")
def test_late_answers_are_known_for_the_last_few_calls_only() -> None:
    leg: RpcConnection[str] = RpcConnection()
    for n in range(LATE_LIMIT + 1):
        leg.submit(call(f"{n}", QUERY))
        leg.next_to_send(10.0 * n)
        assert leg.expire(10.0 * n + 8.0).timed_out
    assert leg.answered("0", 100.0) is None
    for n in range(1, LATE_LIMIT + 1):
        found = leg.answered(f"{n}", 100.0)
        assert found
        assert (found[0].origin, found[1]) == (f"{n}", True)
        assert leg.answered(f"{n}", 100.0) is None
