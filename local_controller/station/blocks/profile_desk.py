"""What do all share who answer the CSMS about charging profiles?"""

from __future__ import annotations

from collections.abc import Sequence

from local_controller.clock import Instant
from local_controller.profiles.rules import Reason, StationFacts, Verdict
from local_controller.station.block import Answer, AnswerError, BlockEffect
from local_controller.station.blocks.news import News
from local_controller.station.blocks.profile_places import ProfilePlaces
from local_controller.station.blocks.virtual_store import MOST_PERIODS
from local_controller.station.blocks.writer import ProfileWriter
from local_controller.station.dialects.base import Dialect
from local_controller.station.effects import Peer
from local_controller.station.empty import EMPTY
from local_controller.station.state import StationState
from local_controller.station.words import OcppVersion


class ProfileDesk:
    """One station's state with those who write its profiles and tell the site, and the words for the CSMS."""

    def __init__(
        self, state: StationState, dialect: Dialect, evses: Sequence[int], writer: ProfileWriter, news: News
    ) -> None:
        """All of them are of one connection."""
        self.state = state
        self.dialect = dialect
        self.evses = tuple(evses)
        self.writer = writer
        self.news = news
        self.places = ProfilePlaces(state, evses)
        self.clearing: frozenset[int] = EMPTY
        """What the station is told to clear just now, or is about to be, by the CSMS's id."""

    def answer(self, message_id: str, status: str, reason: str | None = None) -> Answer:
        """A status for the CSMS."""
        return Answer(Peer.CSMS, message_id, self.dialect.status_answer(status, reason))

    def refusal(self, message_id: str, verdict: Verdict) -> BlockEffect:
        """1.6 answers a connector that does not exist with an error (errata 3.39), all else with Rejected."""
        if self.state.version is OcppVersion.V16 and verdict.reason is Reason.UNKNOWN_EVSE:
            return AnswerError(Peer.CSMS, message_id, "PropertyConstraintViolation", verdict.detail)
        return self.answer(message_id, "Rejected", verdict.reason)

    def no_answer(self, message_id: str, what: str) -> BlockEffect:
        """The station left us without what the CSMS asked for; nothing is made up in its place."""
        return AnswerError(Peer.CSMS, message_id, "GenericError", what)

    def changed(self, now: Instant) -> list[BlockEffect]:
        """The CSMS's profiles are others than before: what follows is written, and the site learns of it."""
        return [*self.writer.reconsider(now, retry=True), *self.news.latest(now)]

    def facts(self) -> StationFacts:
        """What the station knows of itself when it judges a profile: what it says it takes, though we could convert."""
        said, running, awaited = self.state.said, self.state.transactions, self.state.awaited
        earlier = {evse: transaction.transaction_id for evse, transaction in awaited.items()}
        return StationFacts(
            evses=frozenset(self.evses),
            transactions=earlier | {evse: transaction.transaction_id for evse, transaction in running.items()},
            rate_units=said.units or self.state.capability.units_taken,
            max_stack_level=said.max_stack_level,
            max_periods=min(said.max_periods or MOST_PERIODS, MOST_PERIODS),
            max_installed=self.places.most,
            charging_needs=frozenset(evse for evse, transaction in running.items() if transaction.needs is not None),
        )
