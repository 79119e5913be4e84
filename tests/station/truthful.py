"""A station that tells what it holds: its composite schedule and its profiles, also what somebody else told it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from local_controller.errors import PayloadError
from local_controller.profiles.composite import composite
from local_controller.profiles.context import Context
from local_controller.station.blocks.virtual_store import RULES
from local_controller.station.dialects import dialect
from local_controller.station.words import OcppVersion
from tests.station.conftest import Bench, stamp

V16 = OcppVersion.V16


class Truthful:
    """Reports are the bench's; `foreign` is the bench's list. most_a: a setting of the station's own.

    shows: what it makes of its limit before it tells it.
    """

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.most_a: float | None = None
        self.shows: Callable[[float | None], float | None] = lambda limit_a: limit_a
        bench.station["GetCompositeSchedule"] = self._composite

    @property
    def foreign(self) -> list[tuple[int, str, dict[str, Any]]]:
        return self.bench.foreign

    def hides_profiles(self) -> None:
        """It says that it has none."""
        self.bench.station["GetChargingProfiles"] = {"status": "NoProfiles"}

    def live(self, seconds: float) -> None:
        self.bench.wait(seconds)

    def installs_itself(
        self, evse: int = 1, purpose: str = "TxDefaultProfile", limit: float = 10.0, **more: Any
    ) -> None:
        """Somebody else, by another way than OCPP, gives it a profile with id 7."""
        self.foreign.append((evse, "CSO", self.bench.csms_profile(purpose, limit, 7, **more)))

    def limit_a(self, evse: int = 1) -> float | None:
        """What really holds."""
        b, installed = self.bench, self.bench.installed
        for at, _, raw in self.foreign:
            names = ("connectorId", "csChargingProfiles") if b.version is V16 else ("evseId", "chargingProfile")
            try:
                read = dialect(b.version).profile_set(dict(zip(names, (at, raw), strict=True)))
            except PayloadError:
                continue
            installed = installed.recorded(read.profile, at, RULES[b.version])
        transaction = b.smart.state.transactions.get(evse)
        since = None if transaction is None else transaction.started.utc
        context = Context(evse, None if transaction is None else transaction.transaction_id, energy_since=since)
        at = b.smart.state.station_time(b.now)
        known = [one for one in (composite(installed, context, at, 1.0).at(at), self.most_a) if one is not None]
        return min(known, default=None)

    def _composite(self, payload: dict[str, Any]) -> dict[str, Any]:
        evse = payload["connectorId" if self.bench.version is V16 else "evseId"]
        shown = self.shows(self.limit_a(evse))
        inner = {
            "chargingRateUnit": payload["chargingRateUnit"],
            "duration": payload["duration"],
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": -1 if shown is None else shown}],
        }
        start = stamp(self.bench.now, self.bench.csms_ahead_s)
        if self.bench.version is V16:
            return {"status": "Accepted", "connectorId": evse, "scheduleStart": start, "chargingSchedule": inner}
        return {"status": "Accepted", "schedule": {"evseId": evse, "scheduleStart": start} | inner}
