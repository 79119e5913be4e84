"""How is a grid operator's control box a source of limits? The machine of LPC, as the site asks all its sources."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from local_controller.clock import Instant
from local_controller.site.freshness import Freshness
from local_controller.site.limit_source import LimitSource, ReceivedValue, SourceState
from local_controller.site.limits import AppliesTo, Bound, Limit
from local_controller.site.lpc import SILENT_S, Lpc, LpcSettings, LpcState, LpcWord


def control_box(
    id_: str, node: str, applies_to: AppliesTo, settings: LpcSettings, *, adds_surplus: bool = False
) -> ControlBox:
    """One that nobody has heard of yet."""
    label, least_w = f"limit {id_!r}", settings.failsafe_w
    source = LimitSource(
        id_, label, node, applies_to, None, fallback_w=least_w, adds_surplus=adds_surplus, ends_sessions=True
    )
    return ControlBox(source, settings=settings)


@dataclass(slots=True)
class ControlBox(SourceState):
    """A control box as it was last looked at. Its limits, and their ends, are those of its machine; told: what people know."""

    settings: LpcSettings = field(default_factory=LpcSettings)
    _lpc: Lpc | None = None
    _now: Instant | None = None
    _told: tuple[LpcState, Bound] | None = None

    def hear(self, word: LpcWord, now: Instant) -> None:
        """It said something, which was understood."""
        lpc = self._at(now)
        lpc.hear(word, now)
        self.failure = ""
        self.value = ReceivedValue(None, now, now)

    def lost(self, failure: str) -> None:
        """It said something unreadable."""
        self.failure = failure
        if self._lpc is not None and self._now is not None:
            self._lpc.lost(self._now)

    def look(self, now: Instant) -> str:
        """Lets time pass; what is news, for people."""
        lpc, bound = self._at(now), self.bound(now)
        if self.value is not None:
            until = lpc.changes_at() or (lpc.heartbeat_at or now).after(SILENT_S)
            self.value = replace(self.value, valid_until=until, reason=lpc.state.value, power_w=bound.power_w)
        before, self._told = self._told, (lpc.state, bound)
        return "" if before in {None, self._told} else self.sentence(now)

    def bound(self, now: Instant) -> Bound:
        """What counts now."""
        return Bound(power_w=self._at(now).power_w(now))

    def state(self, now: Instant) -> Freshness:
        """As of other sources: INIT and STALE while its failsafe limit counts, SUSPECT while its heartbeat is late."""
        lpc = self._at(now)
        if lpc.state is LpcState.INIT:
            return Freshness.INIT
        if lpc.state is LpcState.FAILSAFE:
            return Freshness.STALE
        return Freshness.FRESH if lpc.may_raise(now) else Freshness.SUSPECT

    @property
    def trouble(self) -> str:
        """What is wrong with it just now, for people; empty if nothing is."""
        if self.failure or self._lpc is None or self._now is None:
            return self.failure
        return self._lpc.trouble(self._now)

    def sentence(self, now: Instant) -> str:
        """What counts now, as people read it."""
        source = self.source
        return f"{source.label}: {self._at(now).state}: {self.bound(now)} ({source.applies_to}) at {source.node}"

    def limit(self, now: Instant) -> Limit | None:
        """The limit in force with its source in words."""
        lpc, bound = self._at(now), self.bound(now)
        if bound.is_none:
            return None
        label = f"{self.source.label} ({lpc.state})"
        source = self.source
        return Limit(source.node, None, source.applies_to, label, lpc.changes_at(), bound.power_w, source.adds_surplus)

    def _at(self, now: Instant) -> Lpc:
        """Its machine; its time begins when the site first looks."""
        if self._lpc is None:
            self._lpc = Lpc(self.settings, now)
        self._now = now
        self._lpc.advance(now)
        return self._lpc
