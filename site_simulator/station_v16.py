"""How does a conforming OCPP 1.6 station answer its CSMS?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ocpp import v16
from ocpp.exceptions import InternalError, PropertyConstraintViolationError
from ocpp.v16 import call_result

from site_simulator.installed import ACCEPTED
from site_simulator.outlet import StationSpec
from site_simulator.peer import Peer, Spawn, after, on
from site_simulator.wire import Wire
from site_simulator.words import stamp

if TYPE_CHECKING:
    from site_simulator.station import SimulatedStation

SAMPLE_INTERVAL = "MeterValueSampleInterval"


def settings_16(spec: StationSpec) -> dict[str, str]:
    """The configuration keys with their first values."""
    names = {"A": "Current", "W": "Power"}
    return {
        "HeartbeatInterval": "300",
        SAMPLE_INTERVAL: f"{spec.meter_interval_s:.0f}",
        "MeterValuesSampledData": "Current.Import,Voltage,Power.Active.Import,Energy.Active.Import.Register",
        "NumberOfConnectors": "1",
        "SupportedFeatureProfiles": "Core,RemoteTrigger"
        + ("" if spec.habits.hides_smart_charging else ",SmartCharging"),
        "ChargeProfileMaxStackLevel": "8",
        "ChargingScheduleAllowedChargingRateUnit": ",".join(names[unit] for unit in spec.units),
        "ChargingScheduleMaxPeriods": "24",
        "MaxChargingProfilesInstalled": "20",
        "ConnectorPhaseRotation": "1.NotApplicable" if "-" in spec.rotation else f"1.{spec.rotation}",
        "ConnectorSwitch3to1PhaseSupported": str(spec.switches_phases).lower(),
    }


WRITABLE_16 = {"HeartbeatInterval", SAMPLE_INTERVAL, "MeterValuesSampledData"}


class Station16(Peer, v16.ChargePoint):  # type: ignore[misc]  # ocpp ships no type information
    """The station's end of an OCPP 1.6 connection."""

    def __init__(self, host: SimulatedStation, wire: Wire, spawn: Spawn) -> None:
        super().__init__(host.spec.identity, wire, spawn)
        self._host = host
        self._installed = host.outlet.installed

    @on("SetChargingProfile")
    def set_profile(self, connector_id: int, cs_charging_profiles: dict[str, Any]) -> Any:
        """Same purpose and stack level replaces; an impossible connector is an error (errata 3.39)."""
        reason = self._host.install(connector_id, cs_charging_profiles)
        if reason == "UnknownEVSE":
            raise PropertyConstraintViolationError(details={"cause": "no such connector"})
        return call_result.SetChargingProfile("Accepted" if reason == ACCEPTED else "Rejected")

    @on("ClearChargingProfile")
    def clear_profile(
        self,
        id: int | None = None,  # noqa: A002  # the field's name in the standard
        connector_id: int | None = None,
        charging_profile_purpose: str | None = None,
        stack_level: int | None = None,
    ) -> Any:
        """An id alone decides, otherwise all criteria must match (errata 3.25/3.26)."""
        found = self._installed.clear(id, connector_id, charging_profile_purpose, stack_level)
        return call_result.ClearChargingProfile("Accepted" if found else "Unknown")

    @on("GetCompositeSchedule")
    def composite(self, connector_id: int, duration: int, charging_rate_unit: str = "A") -> Any:
        """Limits from now on; one decimal, rounded down."""
        periods = self._host.composite(duration, charging_rate_unit)
        if periods is None:
            return call_result.GetCompositeSchedule("Rejected")
        schedule = {
            "duration": duration,
            "chargingRateUnit": charging_rate_unit,
            "chargingSchedulePeriod": [{"startPeriod": s, "limit": math.floor(x * 10) / 10} for s, x in periods],
        }
        return call_result.GetCompositeSchedule("Accepted", connector_id, stamp(self._host.utc()), schedule)

    @on("GetConfiguration")
    def configuration(self, key: list[str] | None = None) -> Any:
        """All keys, or those asked for and the list of unknown ones."""
        settings = self._host.settings
        if any(self._host.suffers(name) for name in key or ()):
            raise InternalError(details={"cause": "restarting"})
        wanted = settings if key is None else key
        known = [
            {"key": name, "readonly": name not in WRITABLE_16, "value": settings[name]}
            for name in wanted
            if name in settings
        ]
        return call_result.GetConfiguration(known, [name for name in wanted if name not in settings])

    @on("ChangeConfiguration")
    def configure(self, key: str, value: str) -> Any:
        """Intervals and measurands can be changed; the choice of measurands changes nothing here."""
        if self._host.set_key(key, value):
            return call_result.ChangeConfiguration("Accepted")
        if key not in self._host.settings:
            return call_result.ChangeConfiguration("NotSupported")
        if key not in WRITABLE_16:
            return call_result.ChangeConfiguration("Rejected")
        self._host.settings[key] = value
        return call_result.ChangeConfiguration("Accepted")

    @on("RemoteStartTransaction")
    def remote_start(self, id_tag: str, connector_id: int = 1, charging_profile: dict[str, Any] | None = None) -> Any:
        """Accepted while a car waits."""
        accepted = connector_id == 1 and self._host.request_start(id_tag, charging_profile)
        return call_result.RemoteStartTransaction("Accepted" if accepted else "Rejected")

    @on("RemoteStopTransaction")
    def remote_stop(self, transaction_id: int) -> Any:
        """Accepted for the running transaction."""
        accepted = self._host.request_stop(str(transaction_id))
        return call_result.RemoteStopTransaction("Accepted" if accepted else "Rejected")

    @on("TriggerMessage")
    def trigger(self, requested_message: str, connector_id: int = 1) -> Any:
        """What can be triggered is sent after the answer."""
        del connector_id
        if self._host.suffers("TriggerMessage"):
            return call_result.TriggerMessage("Rejected")
        known = self._host.triggered(requested_message) is not None
        return call_result.TriggerMessage("Accepted" if known else "NotImplemented")

    @after("TriggerMessage")
    def after_trigger(self, requested_message: str, connector_id: int = 1) -> None:
        """Send the triggered message."""
        del connector_id
        payload = self._host.triggered(requested_message)
        if payload is not None:
            self.spawn(self.ask(payload))

    @on("Reset")
    def reset(self, type: str) -> Any:  # noqa: A002  # the field's name in the standard
        """Both kinds end the transaction in order and reboot."""
        del type
        return call_result.Reset("Accepted")

    @after("Reset")
    def after_reset(self, type: str) -> None:  # noqa: A002  # the field's name in the standard
        """Reboot."""
        del type
        self._host.reset()

    @on("ChangeAvailability")
    def availability(self, connector_id: int, type: str) -> Any:  # noqa: A002  # the field's name in the standard
        """Always possible; taking a station out of service is not simulated."""
        del connector_id, type
        return call_result.ChangeAvailability("Accepted")

    @on("DataTransfer")
    def data_transfer(self, **_: Any) -> Any:
        """No vendor extension is known."""
        return call_result.DataTransfer("UnknownVendorId")
