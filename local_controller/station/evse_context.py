"""Which facts about an EVSE of a station decide what its charging profiles allow?"""

from __future__ import annotations

import zlib
from dataclasses import replace

from local_controller.profiles.context import Context, ToldInWatts
from local_controller.profiles.units import lowest_voltage_v
from local_controller.station.state import StationState

_SHARES = 16


def context_of(state: StationState, evse: int, *, with_transaction: bool = True) -> Context:
    """The EVSE with its running transaction, if any; instants are in the station's clock."""
    transaction = state.transactions.get(evse) if with_transaction else None
    offline_since = None if state.csms_lost is None else state.to_station_time(state.csms_lost.utc)
    if transaction is None:
        return Context(
            evse,
            offline_since=offline_since,
            time_zone=state.time_zone,
            nominal_voltage_v=state.wiring.phase_v,
            wired_phases=state.wiring.most_lines,
        )
    return Context(
        evse,
        transaction.transaction_id,
        offline_since=offline_since,
        energy_since=state.to_station_time(transaction.started.utc),
        soc_percent=transaction.soc_percent,
        priority_charging=transaction.has_priority,
        time_zone=state.time_zone,
        nominal_voltage_v=state.wiring.phase_v,
        wired_phases=state.wiring.most_lines,
        delay_shares=_delay_shares(transaction.transaction_id),
    )


def watts_context_of(state: StationState, evse: int, *, with_transaction: bool = True) -> Context:
    """The same for an EVSE that is told watts: those of the CSMS pass unchanged."""
    context, (phases, _) = context_of(state, evse, with_transaction=with_transaction), sharing(state, evse)
    return replace(context, told_in_watts=ToldInWatts(phases, lowest_voltage_v(state.wiring.phase_v)))


def sharing(state: StationState, evse: int) -> tuple[int, int]:
    """How many phases share the watts of the running transaction's limits, and how many those of the hardware's own."""
    transaction = state.transactions.get(evse)
    in_use = None if transaction is None else transaction.phases_in_use
    return (1, state.wiring.phases(state.wiring.lines)) if in_use is None else (in_use, 1)


def _delay_shares(transaction_id: str) -> tuple[float, ...]:
    """Drawn from the transaction's id, so that they stay the same all along (K01.FR.93) and differ from the next one's."""
    names = (f"{number} {transaction_id}" for number in range(_SHARES))
    return tuple(zlib.crc32(name.encode("utf-8", "surrogatepass")) / 2**32 for name in names)
