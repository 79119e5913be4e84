"""Is a block that names its actions asked about exactly these, as if it had sorted the others out by itself?"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from local_controller.station.block import Answer, Block, BlockEffect, OwnCall, Urgency
from local_controller.station.effects import Effect, Note, Peer
from local_controller.station.proxy import StationProxy
from local_controller.station.words import OcppVersion
from tests.station.conftest import EFFORT
from tests.station.test_proxy import NOW

ACTIONS = ["A", "B", "A-Signed", "C", ""]
METHODS = ("claims", "called", "observe")
Only = dict[str, frozenset[str] | None]


class Watcher(Block):
    """Writes down what it is shown, and claims, notes or asks, depending on its number and on what it sees."""

    def __init__(self, number: int, only: Only, seen: list[Any], *, sorts_out: bool) -> None:
        self.number = number
        self.seen = seen
        self.own = only if sorts_out else dict.fromkeys(METHODS)

    def means(self, method: str, action: str | None) -> bool:
        """What a block does that names nothing."""
        named = self.own[method]
        return named is None or action in named

    def claims(self, sender: Peer, frame: Any, now: Any) -> list[BlockEffect] | None:
        if not self.means("claims", frame.action):
            return None
        self.seen.append((self.number, "claims", sender, frame.text))
        return [Answer(sender, frame.message_id, {})] if self.number == 1 and sender is Peer.CSMS else None

    def called(self, sender: Peer, call: Any, now: Any) -> list[BlockEffect]:
        if not self.means("called", call.action):
            return []
        self.seen.append((self.number, "called", sender, call.text))
        return [Note("info", f"called {self.number}")]

    def observe(self, sender: Peer, call: Any, answer: Any, now: Any) -> list[BlockEffect]:
        if not self.means("observe", call.action):
            return []
        self.seen.append((self.number, "observe", sender, call.text, answer and answer.text))
        return [OwnCall(Peer.STATION, "Ask", {}, Urgency.QUERY, (self.number, call.text))]


class CallsOnly(Block):
    """Overrides one method, and is asked by this one only."""

    def __init__(self, seen: list[Any]) -> None:
        self.seen = seen

    def called(self, sender: Peer, call: Any, now: Any) -> list[BlockEffect]:
        self.seen.append(("called", sender, call.text))
        return []


def played(
    script: list[tuple[Peer, int, str]], onlys: list[Only], *, sorts_out: bool
) -> tuple[list[Any], list[Effect]]:
    """What the blocks see, and what comes of it."""
    seen: list[Any] = []
    blocks = []
    for number, only in enumerate(onlys):
        named = {} if sorts_out else {f"{method}_only": only[method] for method in METHODS}
        blocks.append(type("Named", (Watcher,), named)(number, only, seen, sorts_out=sorts_out))
    proxy = StationProxy("CP", OcppVersion.V21, [*blocks, CallsOnly(seen)], ids=lambda: "LC")
    effects = []
    for number, (peer, message_type, action) in enumerate(script):
        text = f'[3,"{number - 1}",{{}}]' if message_type == 3 else f'[{message_type},"{number}","{action}",{{}}]'
        effects += proxy.receive(peer, text, NOW)
    return seen, effects


ONLY = st.none() | st.frozensets(st.sampled_from(ACTIONS), max_size=3)
ONLYS = st.lists(st.fixed_dictionaries(dict.fromkeys(METHODS, ONLY)), min_size=1, max_size=3)
SCRIPT = st.lists(
    st.tuples(st.sampled_from(Peer), st.sampled_from([2, 2, 3, 3, 6]), st.sampled_from(ACTIONS)), max_size=12
)


@given(SCRIPT, ONLYS)
@settings(max_examples=300 * EFFORT)
def test_naming_actions_changes_nothing_but_the_cost(script: list[tuple[Peer, int, str]], onlys: list[Only]) -> None:
    assert played(script, onlys, sorts_out=False) == played(script, onlys, sorts_out=True)
