"""What flows at the plug of one station, given its installed profiles, its firmware and the car?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from site_simulator.habits import CONFORMING, Habits
from site_simulator.installed import InstalledProfiles
from site_simulator.profiles import Profile, Situation, limit_a, lines_told
from site_simulator.readings import Reading, Spelling
from site_simulator.vehicle import MINIMUM_A, NOMINAL_V, DelayLine, Vehicle, VehicleSpec


class Product(NamedTuple):
    """How a station introduces itself."""

    vendor: str = "Example Works"
    model: str = "Simulated Station"
    firmware: str = "1.0"


EXAMPLE = Product()


@dataclass(frozen=True, slots=True)
class StationSpec:
    """A charging station with one EVSE: its facts and the habits of its firmware.

    phases, max_a: as wired (1 or 3) and protected, amperes per phase. rotation: grid phases at L1, L2, L3, or two lines, "R-S".
    obey_delay_s: from the answer to a profile until the pilot signal follows.
    units: the rate units it takes. vehicles: in the order of their arrival.
    password: for Basic auth, None for none. autostart: whether drivers show their card by themselves.
    switches_phases: it disconnects two of three phases when it is told to use one (numberPhases), and leaves the one that it is
    told (phaseToUse, OCPP 2.x, if takes_phase_to_use) or one_phase.
    product: vendor, model and firmware as it introduces itself. habits: what else its firmware does in its own way.
    volts: nominal, of each of its phases.
    """

    identity: str
    version: str
    phases: int = 3
    max_a: float = 32.0
    rotation: str = "RST"
    circuit: str = "grid"
    vehicles: tuple[VehicleSpec, ...] = ()
    spelling: Spelling = Spelling.FULL
    meter_interval_s: float = 10.0
    password: str | None = None
    autostart: bool = True
    obey_delay_s: float = 1.0
    units: tuple[str, ...] = ("A", "W")
    takes_station_max: bool = True
    ignores_profiles: bool = False
    switches_phases: bool = False
    takes_phase_to_use: bool = False
    one_phase: int = 1
    product: Product = EXAMPLE
    habits: Habits = CONFORMING
    volts: float = NOMINAL_V


@dataclass(slots=True)
class Transaction:
    """A running transaction; in 1.6 the id is pending until the CSMS has given one."""

    transaction_id: str
    started: datetime
    started_at_wh: float
    last_seq_no: int = -1

    def next_seq_no(self) -> int:
        """The number of the next TransactionEvent, from 0 (E01.FR.07)."""
        self.last_seq_no += 1
        return self.last_seq_no


class Outlet:
    """The EVSE: call `advance` often and in the order of time, read currents and state in between."""

    def __init__(self, spec: StationSpec) -> None:
        self.spec = spec
        self.installed = InstalledProfiles(
            is_v16=spec.version == "ocpp1.6",
            units=spec.units,
            takes_station_max=spec.takes_station_max,
            habits=spec.habits,
        )
        self.key_limit_a: float | None = None
        self.vehicle: Vehicle | None = None
        self.transaction: Transaction | None = None
        self.energy_wh = 0.0
        self._pilot = DelayLine(0.0)
        self._pilot_a = 0.0
        self.lines = tuple(range(spec.phases))
        self.moved_at_a: list[float] = []
        self._contactor = DelayLine(0.0)
        self._known: tuple[list[Profile], Transaction | None, int, float | None] | None = None
        self._evaluate_again_s = 0.0

    @property
    def phases_in_use(self) -> int:
        """Phases that carry current while charging: the fewer of station and car."""
        return len(self.lines) if self.vehicle is None else min(len(self.lines), self.vehicle.spec.phases)

    @property
    def currents_a(self) -> tuple[float, ...]:
        """Amperes on L1.. of the station, as many as are wired."""
        current_a = 0.0 if self.vehicle is None else self.vehicle.current_a
        used = self.lines[: self.phases_in_use]
        return tuple(current_a if phase in used else 0.0 for phase in range(self.spec.phases))

    @property
    def reading(self) -> Reading:
        """What the station's own meter shows."""
        return Reading(self.currents_a, self.energy_wh, self.spec.volts)

    @property
    def offered_a(self) -> float:
        """The pilot signal now; 0 for none."""
        return self._pilot_a

    @property
    def charging_state(self) -> str:
        """ChargingStateEnumType of 2.x."""
        if self.vehicle is None:
            return "Idle"
        if self.transaction is None:
            return "EVConnected"
        if self.vehicle.says_no:
            return "SuspendedEV"
        return "Charging" if self._pilot_a >= MINIMUM_A else "SuspendedEVSE"

    def situation(self) -> Situation:
        """What the profiles' meaning depends on."""
        if self.transaction is None:
            return Situation(phases=self.phases_in_use, volts=self.spec.volts)
        return Situation(self.transaction.transaction_id, self.transaction.started, self.phases_in_use, self.spec.volts)

    def plug_in(self, vehicle: Vehicle) -> None:
        """A car arrives."""
        self.vehicle = vehicle

    def unplug(self) -> None:
        """The car leaves; nothing flows any more."""
        self.vehicle = None

    def take_profile(self, evse: int, raw: Mapping[str, Any], now: datetime) -> str:
        """SetChargingProfile; the reason of a refusal or an empty text."""
        transaction_id = None if self.transaction is None else self.transaction.transaction_id
        paused = self.transaction is not None and self._allowed_a(now) == 0.0
        return self.installed.install(evse, raw, transaction_id, now, paused=paused)

    def start(self, transaction_id: str, now: datetime) -> Transaction:
        """Energy may flow from now on, as much as the profiles allow from the first moment on."""
        self.transaction = Transaction(transaction_id, now, self.energy_wh)
        self._pilot = DelayLine(self._allowed_a(now))
        return self.transaction

    def stop(self) -> None:
        """The pilot signal ends, so that the car winds down; the transaction's profiles are gone."""
        self.transaction = None
        self.installed.transaction_ended()

    def advance(self, now_s: float, now: datetime, dt_s: float) -> None:
        """Let `dt_s` seconds pass."""
        self._steer(now_s, now)
        self._pilot_a = 0.0 if self.transaction is None else self._pilot.at(now_s)
        self._connect(int(self._contactor.at(now_s)))
        if self.vehicle is not None:
            before_wh = self.vehicle.charged_wh
            self.vehicle.advance(self._pilot_a, len(self.lines), now_s, dt_s, self.spec.volts)
            self.energy_wh += self.vehicle.charged_wh - before_wh

    def _steer(self, now_s: float, now: datetime) -> None:
        """Evaluate the profiles when they or the situation change, else once a second."""
        known = (self.installed.profiles, self.transaction, self.phases_in_use, self.key_limit_a)
        if known == self._known and now_s < self._evaluate_again_s:
            return
        self._known, self._evaluate_again_s = known, now_s + 1.0
        self._pilot.set(self._allowed_a(now), now_s + self.spec.obey_delay_s)
        self._contactor.set(float(self._only_line(now)), now_s + self.spec.obey_delay_s)

    def _only_line(self, now: datetime) -> int:
        """The one phase that stays connected, from 1; 0 for all of them."""
        phases, phase_to_use = lines_told(self.installed.profiles, now, self.situation())
        if phases != 1 or not self.spec.switches_phases or self.spec.phases == 1:
            return 0
        return phase_to_use if phase_to_use is not None and self.spec.takes_phase_to_use else self.spec.one_phase

    def _connect(self, only_line: int) -> None:
        """The contactor; `moved_at_a` keeps what flowed whenever it moved."""
        lines = (only_line - 1,) if only_line else tuple(range(self.spec.phases))
        if lines != self.lines:
            self.moved_at_a.append(max(self.currents_a))
            self.lines = lines

    def _allowed_a(self, now: datetime) -> float:
        """The pilot signal that the profiles ask for: nothing below the minimum (IEC 61851-1)."""
        if self.spec.ignores_profiles:
            return self.spec.max_a
        limit = limit_a(self.installed.profiles, now, self.situation(), self.spec.habits.divides_by)
        limits = [one for one in (limit, self.key_limit_a) if one is not None]
        return self.spec.habits.offered_a(min([*limits, self.spec.max_a]))
