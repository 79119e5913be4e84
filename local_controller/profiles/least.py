"""Below which current do the CSMS's profiles want a car to pause rather than charge? (minChargingRate, LC-110)

It is a hint to whoever shares out the current and no limit (1.6 ch. 3.13.4, K01.FR.21): it takes no part in the merging.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from local_controller.profiles.context import Context
from local_controller.profiles.explained import STATION_WIDE, Leading, explained
from local_controller.profiles.installed import InstalledProfiles
from local_controller.profiles.lines import Window
from local_controller.profiles.profile import ChargingSchedule
from local_controller.profiles.units import PHASES_IF_ABSENT, RateUnit

_MOMENT_S: Final = 1.0


def least_a(installed: InstalledProfiles, context: Context, at: datetime) -> float:
    """The highest minimum rate of the profiles that lead the EVSE at this moment, in A per phase; 0 without one."""
    if not any(schedule.min_charging_rate for entry in installed for schedule in entry.profile.schedules):
        return 0.0
    stretches = explained(installed, context, RateUnit.A, Window.of(at, _MOMENT_S), but=STATION_WIDE)
    return max(
        [0.0, *(_asked_a(lead, context) for stretch in stretches[:1] for lead in stretch.leading if lead.counts)]
    )


def _asked_a(lead: Leading, context: Context) -> float:
    schedules = lead.entry.profile.schedules
    schedule = schedules[min(lead.choice, len(schedules) - 1)]
    rate = schedule.min_charging_rate or 0.0
    return context.converted(rate, schedule.rate_unit, RateUnit.A, _phases(schedule))


def _phases(schedule: ChargingSchedule) -> int:
    """Watts are of all phases of its first period."""
    return schedule.periods[0].number_phases or PHASES_IF_ABSENT
