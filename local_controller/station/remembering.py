"""What is worth remembering of a station now, for the day when the gateway starts again?"""

from __future__ import annotations

from datetime import timedelta

import msgspec

from local_controller.clock import Instant
from local_controller.station.capability import TOLD
from local_controller.station.remembered import BELIEFS, EXPERIENCES, Remembered
from local_controller.station.shown_values import sample_interval
from local_controller.station.state import StationState


def worth_keeping(state: StationState, now: Instant) -> Remembered:
    """Its experience, without what the site file or a record says."""
    capability = state.capability
    own = {name: getattr(capability, name) for name in (*BELIEFS, *EXPERIENCES)}
    learnt = tuple(one for one in capability.learnt if one.what in BELIEFS and one.origin.how not in TOLD)
    left_s = state.writes.due_s - now.monotonic_s
    paid_off = now.utc + timedelta(seconds=left_s) if left_s > 0.0 else None
    verdict, shown = state.registration, state.shown.kept(sample_interval(state.version))
    others = Remembered(state.version, state.who, learnt=learnt, paid_off=paid_off, **own)
    priorities = dict(state.priorities.of_transactions)
    return msgspec.structs.replace(
        others,
        registration=verdict,
        sample_interval=shown,
        priorities=priorities,
        boot_interval_s=state.boot_interval_s,
        csms_ahead_s=round(state.csms_ahead_s, 1),
    )
