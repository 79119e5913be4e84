"""How is a dialogue with an outage played? A proxy, a deputy and a journal in memory, wired as `adapters.uplink` wires them.

Beside the lines of `tests.transcripts.dialogue`:

    csms gone                    its connection is lost
    csms back                    it is there again
    station comes                another connection of the station, of which the CSMS hears nothing until it is back
    disk is full / disk is free  nothing can be kept, or again
    disk is slow / disk is fast  it does nothing, then all that it was asked
    station knows CARD           an identifier that the CSMS would let charge; all others are refused
    aside < 3                    the message with this number is put aside

A dialogue begins with the CSMS there, unless "# begins: alone" stands in it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from local_controller.deputy.deputy import Deputy
from local_controller.deputy.effects import (
    DeputyEffect,
    Drop,
    EndStation,
    Entry,
    Fetch,
    Keep,
    PutAside,
    Rename,
    ToCsms,
    ToStation,
)
from local_controller.deputy.station_view import StationView
from local_controller.deputy.transaction_names import Pairs
from local_controller.station.authorization import ACCEPTED, IdToken, UnknownPolicy
from local_controller.station.authorization_memory import AuthorizationMemory
from local_controller.station.build import StationSettings, observing_proxy
from local_controller.station.effects import Close, Effect, Peer, Send
from local_controller.station.remembered import Remembered
from local_controller.station.sealed import KEY_BYTES
from local_controller.station.words import OcppVersion, RegistrationStatus
from tests.transcripts.dialogue import START, header, own_ids, version_of


class OutageStage:
    """One station, its gateway, and a CSMS that comes and goes. came: what the peers saw since somebody looked."""

    def __init__(self, version: OcppVersion, *, is_accepted: bool) -> None:
        self.now = START
        self.came: list[str] = []
        self.rows: dict[int, Entry] = {}
        self.pairs: dict[int, int] = {}
        self.ended: set[int] = set()
        self.aside: list[Entry] = []
        self.authorizations = AuthorizationMemory(bytes(KEY_BYTES)).of("CP-7", "csms")
        self.disk_is_full = False
        self._jobs: list[tuple[Deputy | None, DeputyEffect]] | None = None  # of a slow disk, and who waits for them
        self._number = 0
        self._ids = own_ids()
        verdict = RegistrationStatus.ACCEPTED if is_accepted else None
        self._settings = StationSettings(
            authorizations=self.authorizations,
            is_traced=False,
            remembered=Remembered(version, registration=verdict, boot_interval_s=900),
        )
        self._version = version
        self._state: Any = None
        self.comes()

    def comes(self) -> None:
        """A connection of the station begins, alone."""
        if self._jobs is not None:
            self._jobs = [(None, job) for _, job in self._jobs]
        self._catch_up()
        self.proxy, self._state = observing_proxy("CP-7", self._version, self._settings, self._state, self._ids)
        view = StationView(self._state, self.authorizations, UnknownPolicy.REJECT, serves_unaccepted=False)
        shown = [(number, without_text(entry)) for number, entry in self.rows.items()]
        self.deputy = Deputy(view, shown, Pairs(dict(self.pairs), frozenset(self.ended)), self._ids)
        self._carry_out(self.proxy.connected(self.now))

    # --- lines ---------------------------------------------------------------------------------------------------

    def play(self, line: str) -> None:
        match line.split():
            case ["csms", "gone"]:
                asked = self.proxy.awaited(Peer.CSMS)
                self._do(self.deputy.lost(self.proxy.unanswered(Peer.CSMS), asked, self.now))
            case ["csms", "back"]:
                self._do(self.deputy.returned(self.now))
            case ["station", "comes"]:
                self.comes()
            case ["station", "knows", card]:
                kind = "" if self._version is OcppVersion.V16 else "ISO14443"
                self.authorizations.learn(IdToken(card, kind), ACCEPTED, self.now.utc)
            case ["disk", "is", "slow" | "fast" as how]:
                self._catch_up()
                self._jobs = [] if how == "slow" else None
            case ["disk", "is", how]:
                self.disk_is_full = how == "full"
            case ["wait", seconds]:
                self.wait(float(seconds.removesuffix("s")))
            case ["station", ">", *_]:
                self._carry_out(self.proxy.receive(Peer.STATION, line[10:], self.now))
            case ["csms", ">", *_]:
                self._do(self.deputy.heard(line[10:], self.now))
            case _:
                raise AssertionError(f"not an input: {line}")

    def wait(self, seconds: float) -> None:
        """Deadlines of both are kept on the way."""
        end, left = self.now.after(seconds), 1000
        while (due_s := min(self.proxy.deadline or 1e9, self.deputy.deadline or 1e9)) <= end.monotonic_s:
            assert (left := left - 1), "a deadline that does not move"
            self.now = self.now.after(max(0.0, due_s - self.now.monotonic_s))
            self._carry_out(self.proxy.expire(self.now))
            self._do(self.deputy.expire(self.now))
        self.now = end

    # --- wiring --------------------------------------------------------------------------------------------------

    def _carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(Peer.STATION, text):
                    self.came.append(f"station < {text}")
                case Send(Peer.CSMS, text):
                    self._do(self.deputy.said(text, self.now))
                case Close(Peer.STATION, code):
                    self.came.append(f"station x {code}")

    def _do(self, effects: list[DeputyEffect]) -> None:
        for effect in effects:
            match effect:
                case ToCsms(text):
                    self.came.append(f"csms    < {text}")
                case ToStation(text):
                    self._carry_out(self.proxy.receive(Peer.CSMS, text, self.now))
                case EndStation(code, reason):
                    self._carry_out(self.proxy.closed(Peer.CSMS, self.now, code, reason))
                case _ if self._jobs is not None:
                    self._jobs.append((self.deputy, effect))
                case _:
                    self._journalize(self.deputy, effect)

    def _catch_up(self) -> None:
        """The disk has done what it was asked, in order; what follows from it, it is asked afterwards."""
        while self._jobs:
            jobs, self._jobs = self._jobs, []
            for deputy, job in jobs:
                self._journalize(deputy, job)

    def _journalize(self, deputy: Deputy | None, effect: DeputyEffect) -> None:
        """deputy: who hears of it; None: its connection is over."""
        match effect:
            case Keep(ticket, entry):
                number = self._keep(entry)
                if deputy is not None:
                    self._do(
                        deputy.not_kept(ticket, "disk full", self.now)
                        if number is None
                        else deputy.kept(ticket, number, self.now)
                    )
            case Fetch(number) if deputy is not None:
                self._do(deputy.fetched(number, self.rows.get(number), self.now))
            case Drop(numbers):
                self.rows = {number: entry for number, entry in self.rows.items() if number not in numbers}
            case PutAside(number) if number in self.rows:
                self.aside.append(self.rows.pop(number))
                self.came.append(f"aside < {number}")
            case Rename(provisional, real):
                if real is None:
                    self.ended.add(provisional)
                else:
                    self.pairs[provisional] = real

    def _keep(self, entry: Entry) -> int | None:
        if self.disk_is_full:
            return None
        self._number += 1
        self.rows[self._number] = entry
        return self._number


def without_text(entry: Entry) -> Entry:
    """As the journal gives it at the beginning of a connection: without the text."""
    return Entry(entry.kind, entry.action, "", entry.at, entry.rank, entry.subject, entry.sample_of)


def play_outage(path: Path, then: Callable[[OutageStage], None] = lambda _: None) -> None:
    """Plays a file; the AssertionError shows the first line that went differently."""
    how = header(path, "begins")
    stage = OutageStage(version_of(path), is_accepted=how != ["new"])
    if "alone" not in how:
        stage.play("csms back")
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        if line[8:9] in {"<", "x"} or line.startswith("aside <"):
            assert stage.came, f"{path.name}:{number}: did not come: {line}"
            output = stage.came.pop(0)
            assert line == output, f"{path.name}:{number}: instead came {output}"
            continue
        assert stage.came == [], f"{path.name}:{number}: not in the dialogue, but came {stage.came}"
        stage.play(line)
    assert stage.came == [], f"{path.name}: after the last line came {stage.came}"
    then(stage)
