"""How is a dialogue in a text file played against a StationProxy?

    # a comment; "# version: ocpp2.1" and "# proves: LC-018 LC-019" are read
    csms    > [2,"a","Reset",{"type":"Soft"}]       the CSMS sends this
    station < [2,"a","Reset",{"type":"Soft"}]       the station must now receive exactly this
    lc      ! SetChargingProfile {"connectorId":0}  we ask the station; "! raise ..." or "! query ..." in a lower order,
                                                    "! csms ..." asks the CSMS. Our ids count: LC1, LC2 ...
    site    ! EVSE 1 gets 10 A for 90 s             the site gives a transaction that much; "... on 1 phase", "... on L2",
                                                    "... on 3 phases" where it says on how many, or on which one
    wait 9s                                         time passes, deadlines are kept
    station x 1006                                  the station's connection is lost; "csms x 1001" is then expected

After each input exactly the following outputs, in this order, must come, to the byte.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from local_controller.clock import Instant
from local_controller.rpc import frame as rpc
from local_controller.station.block import Block, OwnCall, Urgency
from local_controller.station.blocks.wish import ANY_PHASES, OnPhases
from local_controller.station.effects import Close, Effect, Peer, Send
from local_controller.station.proxy import StationProxy
from local_controller.station.words import OcppVersion

START = Instant(1000.0, datetime(2026, 11, 22, 12, 0, tzinfo=UTC))
_LINE = re.compile(r"(?P<who>station|csms|lc|site|wait)\s*(?P<sign>[><!x]?) ?(?P<rest>.*)")
_GIVEN = re.compile(r"EVSE (\d+) gets ([\d.]+) A for ([\d.]+) s(?: on (?:(\d) phases?|L(\d)))?")
_OWN = re.compile(r"(?:(safety|raise|query) )?(?:(csms) )?(\w+) (\{.*\})")


Gives = Callable[[int, float, float, Instant, OnPhases], list[Effect]]


@dataclass
class Stage:
    """A proxy and the time of the play."""

    proxy: StationProxy
    now: Instant = START
    effects: list[Effect] = field(default_factory=list)
    gives: Gives | None = None

    def wait(self, seconds: float) -> list[Effect]:
        """Lets time pass as a driver would: `expire` at each deadline on the way."""
        end, effects = self.now.after(seconds), []
        while (deadline := self.proxy.deadline) is not None and deadline <= end.monotonic_s:
            self.now = self.now.after(max(0.0, deadline - self.now.monotonic_s))
            effects += self.proxy.expire(self.now)
        self.now = end
        return effects

    def play_input(self, line: str) -> list[Effect]:
        """Carries out one input line."""
        match = _LINE.fullmatch(line)
        assert match, f"not a line of a dialogue: {line}"
        who, sign, rest = match.group("who", "sign", "rest")
        match who, sign:
            case "wait", "":
                return self.wait(float(rest.removesuffix("s")))
            case "site", "!":
                given = _GIVEN.fullmatch(rest)
                assert given, f"not what a site gives: {line}"
                assert self.gives, "this stage has no site"
                on = OnPhases(1, int(given[5])) if given[5] else OnPhases(int(given[4])) if given[4] else ANY_PHASES
                return self.gives(int(given[1]), float(given[2]), float(given[3]), self.now, on)
            case "lc", "!":
                return self.proxy.perform([own_call(rest)], self.now)
            case (("station" | "csms"), ">"):
                return self.proxy.receive(Peer(who), rest, self.now)
            case (("station" | "csms"), "x"):
                return self.proxy.closed(Peer(who), self.now, int(rest))
        raise AssertionError(f"not an input: {line}")


def own_call(text: str) -> OwnCall:
    """`query csms Heartbeat {}` as the wish of a block."""
    match = _OWN.fullmatch(text)
    assert match, f"not a call: {text}"
    urgency, peer, action, payload = match.groups()
    return OwnCall(Peer(peer or "station"), action, json.loads(payload), Urgency[(urgency or "safety").upper()], text)


def outputs(effects: list[Effect]) -> list[str]:
    """What the peers see of these effects, as lines of a dialogue."""
    lines = []
    for effect in effects:
        match effect:
            case Send(peer, text):
                lines.append(f"{peer:<7} < {text}")
            case Close(peer, code):
                lines.append(f"{peer:<7} x {code}")
    return lines


def header(path: Path, name: str) -> list[str]:
    """The words of the comment `# name: words`."""
    return [
        word for line in path.read_text().splitlines() if line.startswith(f"# {name}:") for word in line.split()[2:]
    ]


def version_of(path: Path) -> OcppVersion:
    """The version that a dialogue is in."""
    return OcppVersion((header(path, "version") or ["ocpp1.6"])[0])


def proving(paths: Iterable[Path]) -> list[Any]:
    """A test of each dialogue, named as it and marked with the requirements that it proves."""
    return [pytest.param(path, id=path.stem, marks=pytest.mark.requirement(*header(path, "proves"))) for path in paths]


def spoken(path: Path, signs: str) -> Iterator[tuple[str, rpc.Frame]]:
    """The messages of a dialogue with the action each is about. signs: ">" for what peers send, "<" for what they get."""
    asked: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line[8:10] in {f"{sign} " for sign in signs}:
            frame = rpc.parse(line[10:])
            yield asked.setdefault(frame.message_id, frame.action or ""), frame


def own_ids() -> Callable[[], str]:
    """Our message ids as a dialogue writes them."""
    counter = itertools.count(1)
    return lambda: f"LC{next(counter)}"


def play(path: Path, *blocks: Block) -> None:
    """Plays a file; the AssertionError shows the first line that went differently."""
    play_with(StationProxy("CP-7", version_of(path), blocks, own_ids()), path)


def play_with(proxy: StationProxy, path: Path, gives: Gives | None = None) -> None:
    """Plays a file with this proxy. gives: carries out what the site gives an EVSE, in A for so many seconds."""
    stage = Stage(proxy, gives=gives)
    lines = [(n, line) for n, line in enumerate(path.read_text().splitlines(), 1) if line and line[0] != "#"]
    came: list[str] = []
    for number, line in lines:
        if came and (" < " in line[:10] or " x " in line[:10]):
            output = came.pop(0)
            assert line == output, f"{path.name}:{number}: instead came {output}"
            continue
        assert came == [], f"{path.name}:{number}: not in the dialogue, but came {came}"
        assert " < " not in line[:10], f"{path.name}:{number}: did not come: {line}"
        came = outputs(stage.play_input(line))
    assert came == [], f"{path.name}: after the last line came {came}"
