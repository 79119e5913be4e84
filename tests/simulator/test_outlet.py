"""What does a simulated plug offer, whatever its firmware's pace?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from site_simulator.outlet import Outlet, StationSpec
from site_simulator.peer import V16
from site_simulator.vehicle import Vehicle, VehicleSpec

NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
FALLBACK = {
    "charging_profile_id": 1,
    "stack_level": 0,
    "charging_profile_purpose": "TxDefaultProfile",
    "charging_profile_kind": "Absolute",
    "charging_schedule": {
        "start_schedule": "2026-06-01T11:00:00Z",
        "charging_rate_unit": "A",
        "charging_schedule_period": [{"start_period": 0, "limit": 6.0}],
    },
}


def test_a_slow_firmware_begins_a_transaction_with_what_its_profiles_say() -> None:
    outlet = Outlet(StationSpec("CP-1", V16, obey_delay_s=5.0))
    outlet.plug_in(Vehicle(VehicleSpec(max_a=32.0)))
    assert outlet.take_profile(1, FALLBACK, NOON) == ""
    offered_a = []
    for step in range(100):
        if step == 20:
            outlet.start("1", NOON + timedelta(seconds=4))
        outlet.advance(0.2 * step, NOON + timedelta(seconds=0.2 * step), 0.2)
        offered_a.append(outlet.offered_a)
    assert offered_a == [0.0] * 20 + [6.0] * 80
