"""What do messages say of what a station is going to have? Sessions to come, and what cars say they will draw (H, F, K; LC-078, LC-140, LC-148).

All of it passes unchanged. A remote stop foretells nothing more: it names a transaction that runs, and its end tells itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import Final

from local_controller.clock import Instant
from local_controller.errors import PayloadError
from local_controller.profiles.profile import OperationMode, SchedulePeriod
from local_controller.profiles.schedule import Schedule
from local_controller.profiles.units import RateUnit, amps_from_watts, lowest_voltage_v
from local_controller.rpc.frame import Frame
from local_controller.station.block import UNCHANGED, Block, BlockEffect, Wanted
from local_controller.station.blocks.remote_starts import WAIT_S
from local_controller.station.dialects.base import CarSchedule, Dialect, ForetoldSession
from local_controller.station.dialects.reading import Fields
from local_controller.station.effects import Peer, Tell
from local_controller.station.expected_sessions import ExpectedSession
from local_controller.station.state import StationState
from local_controller.station.words import CarPlans, ExpectationOver, Foretold, SessionExpected

_CANCEL: Final = "CancelReservation"
_RESERVATION_OVER: Final = "ReservationStatusUpdate"  # Expired, Removed, and NoTransaction of 2.1: each time it is over
_MOST_PHASES: Final = 3


class Forecasts(Block):
    """Looks on."""

    called_only = frozenset({_RESERVATION_OVER, "NotifyEVChargingSchedule"})
    observe_only = frozenset({"ReserveNow", _CANCEL, "RemoteStartTransaction", "RequestStartTransaction"})

    def __init__(self, state: StationState, dialect: Dialect, evses: Collection[int]) -> None:
        """Keeps the expected sessions of `state`, on these EVSEs."""
        self._state = state
        self._dialect = dialect
        self._evses = tuple(evses)

    def observe(self, sender: Peer, call: Frame, answer: Frame | None, now: Instant) -> Wanted:
        """What the station has accepted will be, or no longer; what it refused, or did not answer, is no news."""
        if sender is not Peer.CSMS or answer is None or answer.is_error or call.action is None:
            return UNCHANGED
        said = Fields(call.action, answer.payload)
        if (said.text("status") or "").lower() != "accepted":
            return UNCHANGED
        if call.action == _CANCEL:
            return self._over(call)
        found = self._dialect.foretold(call.action, call.payload)
        if found is None or found.evse not in {0, *self._evses} or said.text("transactionId") is not None:
            return UNCHANGED  # F02: what it starts runs already, and waited for its driver
        return self._expected(found, call.message_id, now)

    def called(self, sender: Peer, call: Frame, now: Instant) -> Wanted:  # noqa: ARG002 - says its own times
        """What the station says of reservations and of cars."""
        if sender is not Peer.STATION or call.action is None:
            return UNCHANGED
        if call.action == _RESERVATION_OVER:
            return self._over(call)
        told = self._dialect.car_schedule(call.action, call.payload)
        return UNCHANGED if told is None or told.evse not in self._evses else [Tell(self._plans(told))]

    def _expected(self, found: ForetoldSession, message_id: str, now: Instant) -> list[BlockEffect]:
        """A reservation without an end is waited for as long as a remote start; what runs already is not."""
        by, key = Foretold.RESERVED, f"reservation {found.reservation_id}"
        if found.reservation_id is None:
            by, key = Foretold.REMOTE_START, f"start {found.remote_start_id or message_id}"
        lasts_s = WAIT_S
        if found.expires is not None:
            lasts_s = (found.expires - self._state.station_time(now)).total_seconds()
        until_s = now.monotonic_s + lasts_s
        ids = found.reservation_id, found.remote_start_id
        one = ExpectedSession(key, found.evse, found.id_token, until_s, *ids)
        if any(one.is_met_by(transaction, None) for transaction in self._state.transactions.values()):
            return []
        replaced = self._state.expected.expect(one, now)
        return [*_told_over(replaced), Tell(SessionExpected(found.evse, key, by, lasts_s, found.id_token))]

    def _over(self, call: Frame) -> list[BlockEffect]:
        reservation_id = Fields(str(call.action), call.payload).need_integer("reservationId")
        return [*_told_over(self._state.expected.reservation_over(reservation_id))]

    def _plans(self, told: CarSchedule) -> CarPlans:
        """In our time, in A per phase; after the end of the schedule nothing is said."""
        schedule, start = told.schedule, self._state.to_our_time(told.start)
        steps: list[tuple[datetime, float | None]] = [
            (start + timedelta(seconds=period.start_s), self._most_a(period, schedule.rate_unit, told.evse))
            for period in schedule.periods
        ]
        if schedule.duration_s is not None:
            end = start + timedelta(seconds=schedule.duration_s)
            steps = [*(step for step in steps if step[0] < end), (end, None)]
        try:
            return CarPlans(told.evse, Schedule(tuple(steps)))
        except ValueError as error:  # periods that do not ascend
            raise PayloadError("NotifyEVChargingSchedule", "$.chargingSchedule", str(error)) from error

    def _most_a(self, period: SchedulePeriod, unit: RateUnit, evse: int) -> float | None:
        """The most that may flow on any phase: watts on as few phases, at as low a voltage as may be."""
        values = [one for one in (period.limit, period.limit_l2, period.limit_l3) if one is not None]
        if not values or period.operation_mode is not OperationMode.CHARGING_ONLY:
            return None
        if unit is RateUnit.A:
            return max(values)
        transaction = self._state.transactions.get(evse)
        phases = period.number_phases or (transaction and transaction.phases_in_use) or 1
        wiring = self._state.wiring
        shared_by = wiring.phases(max(1, min(phases, _MOST_PHASES)))
        return amps_from_watts(sum(values), shared_by, lowest_voltage_v(wiring.phase_v))


def _told_over(over: list[ExpectedSession]) -> Iterator[BlockEffect]:
    return (Tell(ExpectationOver(one.evse, one.key)) for one in over)
