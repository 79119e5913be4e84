"""An answer that shows the CSMS its own value: the trace's diff says what differs, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from local_controller.adapters.trace_diff import Pairing, described
from local_controller.adapters.trace_store import GATEWAY, Record
from local_controller.rpc import frame as rpc
from local_controller.station.effects import Effect, Fate, Peer, Trace
from local_controller.station.shown_values import key
from local_controller.station.words import OcppVersion
from tests.station.conftest import Bench, StationSettings


def records(effects: Iterable[Effect]) -> Iterable[Record]:
    traces = [effect for effect in effects if isinstance(effect, Trace)]
    for number, trace in enumerate(traces, 1):
        frame = rpc.parse(trace.text)
        head = (number, "12:00", "CP", trace.sender or GATEWAY, trace.fate)
        yield Record(*head, frame.message_id, frame.action or "", trace.detail, trace.text)


@pytest.mark.requirement("LC-126")
def test_the_one_value_that_was_changed_in_an_answer_is_named() -> None:
    b = Bench(OcppVersion.V16, StationSettings())
    b.smart.state.shown.write(key("CentralSystemURL"), "ws://gateway", "wss://csms")
    effects = b.proxy.receive(Peer.CSMS, '[2,"q","GetConfiguration",{}]', b.now)
    entry = '{"key":"CentralSystemURL" ,"readonly":false,"value":"ws://gateway"}'
    effects += b.proxy.receive(Peer.STATION, f'[3,"q",{{"configurationKey":[{entry}]}}]', b.now)
    events = list(Pairing(()).events(records(effects)))
    assert [event.record.fate for event in events] == [Fate.PASSED, Fate.ABSORBED, Fate.ALTERED]
    head, *lines = described(events[-1])
    assert head.endswith('station to csms: altered answer "q"')
    assert lines == ['    /2/configurationKey/0/value: "ws://gateway" -> "wss://csms"']
