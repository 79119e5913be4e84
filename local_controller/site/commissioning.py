"""Which EVSE can be tested, by which meter, and what does a step test see of the site?"""

from __future__ import annotations

from local_controller.clock import Instant
from local_controller.errors import LocalControllerError
from local_controller.site.capacity import NodeState
from local_controller.site.controller import SiteController
from local_controller.site.effects import SiteEffect
from local_controller.site.evse import EvseState
from local_controller.site.known_evse import SETTLE_S
from local_controller.site.step_test import Drawn, Manner, Seen, StepTest
from local_controller.station.words import EvseId

LEASE_S = 10.0
"""So long a step test holds the car down without being gone on with; then the site shares as always."""

SELDOM_S = 40.0
"""A station that may be raised less often would not give the car its current back within `step_test.GIVEN_BACK_S`."""


class UntestableError(LocalControllerError):
    """This EVSE cannot be tested just now: what is missing, and what helps. is_known: the site file has it."""

    def __init__(self, text: str, remedy: str, *, is_known: bool = True) -> None:
        super().__init__(f"{text}: {remedy}")
        self.text = text
        self.remedy = remedy
        self.is_known = is_known


def metered_node(site: SiteController, evse: EvseId) -> NodeState | None:
    """The nearest place on the way to the grid that has a meter."""
    return next((site.nodes[node] for node in site.topology.path(evse) if site.nodes[node].meter is not None), None)


class SiteStepTest:
    """A step test of one EVSE of a site. While it runs, nobody else behind the same meter is raised.

    node, meter: what measures the EVSE. state: the EVSE itself.
    """

    def __init__(self, site: SiteController, evse: EvseId, now: Instant, *, may_pause: bool = False) -> None:
        """Raises UntestableError."""
        state = _state(site, evse)
        node = metered_node(site, evse)
        if node is None or node.meter is None:
            text = f"no meter measures {evse}, neither at {' nor at '.join(site.topology.path(evse))}"
            raise UntestableError(text, "name a `meter` for its circuit or for the grid connection")
        if state.session is None:
            if not state.connected:
                raise UntestableError(
                    f"{evse.station} is not connected", "it has to dial the gateway in place of its CSMS"
                )
            raise UntestableError(f"{evse} has no car", "plug a car in that charges")
        if state.every_s > SELDOM_S:
            text = f"{evse.station} may be written to for a raise only every {state.every_s / 60:.0f} min"
            raise UntestableError(
                f"{text}, so long the car would wait for its current", "prove this meter with another station behind it"
            )
        self.node = node.node.id
        self._site, self.state, self.meter = site, state, node.meter
        self._transaction = state.session.transaction_id
        self._others_a = {one.evse.id: one.ordered_a for one in site.tree.below(self.node) if one is not state}
        manner = Manner(settle_s=state.settle_s - SETTLE_S, limit_per_a=state.limit_per_a, may_pause=may_pause)
        self.test = StepTest(state.evse, node.meter.id, manner)
        if trouble := self._trouble(now):
            raise UntestableError(trouble, "repeat the test when that is in order")

    def step(self, now: Instant) -> list[SiteEffect]:
        """Looks at the site and holds the car to what the test wants; to be called about twice a second."""
        self.test.advance(self._seen(now), now)
        return self.stop(now) if self.test.verdict is not None else self._hold(now)

    def stop(self, now: Instant) -> list[SiteEffect]:
        """Everybody gets what the site shares out."""
        return self._site.hold_down({}, now, now)

    def _hold(self, now: Instant) -> list[SiteEffect]:
        caps_a = dict(self._others_a)
        if self.test.cap_a is not None:
            caps_a[self.state.evse.id] = self.test.cap_a
        return self._site.hold_down(caps_a, now.after(LEASE_S), now)

    def _seen(self, now: Instant) -> Seen:
        session = self.state.session
        trouble = self._trouble(now)
        if session is None or trouble:
            return Seen(trouble, None, 0.0, None, None)
        commands_s = [at.monotonic_s for at in (session.raised_at, session.lowered_at) if at is not None]
        drawn = None if session.drawn is None else Drawn(session.shown_a, session.drawn.at.monotonic_s)
        return Seen("", self.meter.reading, self.state.ordered_a, max(commands_s, default=None), drawn)

    def _trouble(self, now: Instant) -> str:
        state, evse = self.state, self.state.evse.id
        if not state.connected:
            return f"the connection of {evse.station} is lost"
        if state.is_silent:
            return f"{evse.station} says nothing over its open connection"
        if state.session is None or state.session.transaction_id != self._transaction:
            return f"the car at {evse} has gone"
        if state.defiant(now):
            return f"{evse} does not follow its limit"
        if not self.meter.watch.state(now).usable:
            return f"meter {self.meter.id} is silent"
        return ""


def _state(site: SiteController, evse: EvseId) -> EvseState:
    state = site.evses.get(evse)
    if state is None:
        known = ", ".join(map(str, site.evses))
        raise UntestableError(f"the site file knows no {evse}", f"it knows {known}", is_known=False)
    return state
