"""Does a CSMS that wants few samples get few, although the site has its station sample often? (1.6)"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from local_controller.rpc import frame as rpc
from local_controller.station.effects import Fate, Peer, Send, Trace
from local_controller.station.guard_policy import GuardPolicy
from local_controller.station.words import Measured, OcppVersion
from tests.station.conftest import stamp
from tests.station.test_configuration import Store, csms_reads_interval, csms_writes_interval

V16 = OcppVersion.V16
THINNING = GuardPolicy(sample_interval_s=60, thins_samples=True)
pytestmark = pytest.mark.requirement("LC-077")


def charging(bench: Any, wish: str = "300", policy: GuardPolicy = THINNING) -> Any:
    """A station whose CSMS wants a sample as seldom as it wishes, and that samples every 60 s."""
    b = bench(V16, guards=policy)
    Store(b)
    b.boot()
    assert csms_writes_interval(b, wish) == "Accepted"
    b.start(7)
    return b


def samples(
    b: Any, contexts: Sequence[str | None] = ("Sample.Periodic",), transaction: int | None = 7, amps: float = 9.0
) -> None:
    values = [
        {"value": str(amps), "measurand": "Current.Import", "phase": f"L{n}"}
        | ({} if one is None else {"context": one})
        for n, one in enumerate(contexts, 1)
    ]
    named = {} if transaction is None else {"transactionId": transaction}
    moment = {"timestamp": stamp(b.now), "sampledValue": values}
    (answer,) = b.calls(Peer.STATION, "MeterValues", {"connectorId": 1, **named, "meterValue": [moment]})
    assert (answer.message_type, answer.payload) == (rpc.CALLRESULT, {})


def came(b: Any) -> int:
    return len(b.calls_to(Peer.CSMS, "MeterValues"))


def known(b: Any) -> int:
    return sum(isinstance(fact, Measured) for fact in b.facts)


@pytest.mark.parametrize(
    ("wish", "every"), [("300", 5), ("120", 2), ("0", None), ("60", 1), ("30", 1), (5000 * "9", None)]
)
def test_the_csms_gets_what_it_would_get_without_us_and_the_site_gets_all(
    bench: Any, wish: str, every: int | None
) -> None:
    b = bench(V16, guards=THINNING)
    b.unchecked = frozenset({"ChangeConfiguration", "GetConfiguration"})
    Store(b)
    b.boot()
    csms_writes_interval(b, wish)
    b.start(7)
    arrived = []
    for number in range(1, 21):
        b.wait(60 + number % 3 - 1)  # clocks are never exact
        samples(b, amps=number / 2)
        assert known(b) == number
        arrived.append(came(b))
    assert csms_reads_interval(b) == wish
    assert arrived == [0 if every is None else number // every for number in range(1, 21)]


def test_all_messages_of_one_moment_go_up_or_none(bench: Any) -> None:
    """A station that sends each measurand by itself; else its CSMS would never again hear of the second one."""
    b = charging(bench, "300")
    arrived = []
    for _ in range(10):
        b.wait(60)
        samples(b, amps=9.0)
        samples(b, amps=8.0)
        arrived.append(came(b))
    assert arrived == [0, 0, 0, 0, 2, 2, 2, 2, 2, 4]


def test_what_goes_up_is_what_the_station_wrote(bench: Any) -> None:
    b = charging(bench, "30")
    text = '[2, "m1","MeterValues",{"connectorId":1 ,"transactionId":7,"meterValue":[{"timestamp":"2026-06-01T12:00:00Z","sampledValue":[{"value":"1.50","context":"Sample.Periodic"}]}]}]'
    assert b.proxy.receive(Peer.STATION, text, b.now)[0] == Send(Peer.CSMS, text)


@pytest.mark.parametrize(
    ("contexts", "transaction"),
    [
        (["Trigger"], 7),
        (["Sample.Clock"], 7),
        (["Transaction.Begin"], 7),
        ([None], 7),
        (["Sample.Periodic", "Sample.Clock"], 7),
        (["Sample.Periodic", None], 7),
        ([], 7),
        (["Sample.Periodic"], None),
        (["Sample.Periodic"], 8),
    ],
)
def test_what_may_have_another_cause_goes_up(
    bench: Any, contexts: Sequence[str | None], transaction: int | None
) -> None:
    b = charging(bench)
    b.wait(60)
    samples(b, contexts, transaction)
    assert came(b) == 1


def test_each_transaction_begins_anew(bench: Any) -> None:
    b = charging(bench, "120")
    for _ in range(2):
        b.wait(60)
        samples(b)
    assert came(b) == 1
    b.stop(7)
    b.start(8)
    b.wait(60)
    samples(b, transaction=8)
    assert came(b) == 1
    b.wait(60)
    samples(b, transaction=8)
    assert came(b) == 2


@pytest.mark.parametrize("policy", [GuardPolicy(sample_interval_s=60), GuardPolicy(thins_samples=True)])
def test_who_did_not_ask_for_it_gets_every_sample(bench: Any, policy: GuardPolicy) -> None:
    b = charging(bench, policy=policy)
    for number in range(1, 11):
        b.wait(60)
        samples(b)
        assert came(b) == number


@pytest.mark.parametrize("version", [OcppVersion.V201, OcppVersion.V21])
def test_in_2_x_every_event_of_a_transaction_is_owed_to_the_csms(bench: Any, version: OcppVersion) -> None:
    b = bench(version, guards=THINNING)
    Store(b)
    b.boot()
    csms_writes_interval(b, "300")
    b.start(7)
    for _ in range(5):
        b.wait(60)
        b.transaction_event("Updated", "7")
    assert len(b.calls_to(Peer.CSMS, "TransactionEvent")) == 6


def test_a_trace_says_that_a_sample_stayed_here(bench: Any) -> None:
    b = charging(bench)
    value = {"value": "1", "context": "Sample.Periodic"}
    moment = {"timestamp": stamp(b.now), "sampledValue": [value]}
    text = rpc.call("m1", "MeterValues", {"connectorId": 1, "transactionId": 7, "meterValue": [moment]}).text
    effects = b.proxy.receive(Peer.STATION, text, b.now)
    assert [effect for effect in effects if isinstance(effect, Trace)] == [
        Trace(Peer.STATION, text, Fate.ABSORBED, "claimed"),
        Trace(None, '[3,"m1",{}]', Fate.INJECTED),
    ]
