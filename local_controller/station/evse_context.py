"""Which facts about an EVSE of a station decide what its charging profiles allow?"""

from __future__ import annotations

import zlib

from local_controller.profiles.context import Context
from local_controller.station.state import StationState

_SHARES = 16


def context_of(state: StationState, evse: int, *, with_transaction: bool = True) -> Context:
    """The EVSE with its running transaction, if any; instants are in the station's clock."""
    transaction = state.transactions.get(evse) if with_transaction else None
    if transaction is None:
        return Context(evse, time_zone=state.time_zone, nominal_voltage_v=state.wiring.phase_v)
    return Context(
        evse,
        transaction.transaction_id,
        energy_since=state.to_station_time(transaction.started.utc),
        soc_percent=transaction.soc_percent,
        priority_charging=transaction.has_priority,
        time_zone=state.time_zone,
        nominal_voltage_v=state.wiring.phase_v,
        delay_shares=_delay_shares(transaction.transaction_id),
    )


def _delay_shares(transaction_id: str) -> tuple[float, ...]:
    """Drawn from the transaction's id, so that they stay the same all along (K01.FR.93) and differ from the next one's."""
    return tuple(zlib.crc32(f"{number} {transaction_id}".encode()) / 2**32 for number in range(_SHARES))
