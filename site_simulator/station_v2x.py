"""How does a conforming OCPP 2.0.1 or 2.1 station answer its CSMS?"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from ocpp import v21, v201

from site_simulator.installed import ACCEPTED
from site_simulator.outlet import StationSpec
from site_simulator.peer import V21, VERSIONS, Peer, Spawn, after, on
from site_simulator.profiles import Profile
from site_simulator.wire import Wire
from site_simulator.words import stamp

if TYPE_CHECKING:
    from site_simulator.station import SimulatedStation

UPDATE_INTERVAL = "SampledDataCtrlr.TxUpdatedInterval"


def settings_2x(spec: StationSpec) -> dict[str, str]:
    """The variables as "Component.Variable" with their first values."""
    return {
        "OCPPCommCtrlr.HeartbeatInterval": "300",
        UPDATE_INTERVAL: f"{spec.meter_interval_s:.0f}",
        "SampledDataCtrlr.TxUpdatedMeasurands": "Current.Import,Voltage,Power.Active.Import",
        "SmartChargingCtrlr.Available": "true",
        "SmartChargingCtrlr.Enabled": "true",
        "SmartChargingCtrlr.RateUnit": ",".join(spec.units),
        "SmartChargingCtrlr.ProfileStackLevel": "8",
        "SmartChargingCtrlr.PeriodsPerSchedule": "24",
        "SmartChargingCtrlr.LimitChangeSignificance": "5",
        "SmartChargingCtrlr.Phases3to1": str(spec.switches_phases).lower(),
        "SmartChargingCtrlr.ACPhaseSwitchingSupported": str(spec.takes_phase_to_use).lower(),
    }


WRITABLE_2X = {"OCPPCommCtrlr.HeartbeatInterval", UPDATE_INTERVAL, "SampledDataCtrlr.TxUpdatedMeasurands"}


class _Station2x(Peer):
    """What both versions share; the payload classes come from the version's own module."""

    def __init__(self, host: SimulatedStation, wire: Wire, spawn: Spawn) -> None:
        super().__init__(host.spec.identity, wire, spawn)
        self._host = host
        self._installed = host.outlet.installed
        self._answer = VERSIONS[host.spec.version].call_result
        self._ask = VERSIONS[host.spec.version].call

    @on("SetChargingProfile")
    def set_profile(self, evse_id: int, charging_profile: dict[str, Any]) -> Any:
        """Accepted, or Rejected with the standard's reason code."""
        reason = self._host.install(evse_id, charging_profile)
        if reason == ACCEPTED:
            return self._answer.SetChargingProfile(status="Accepted")
        return self._answer.SetChargingProfile(status="Rejected", status_info={"reasonCode": reason})

    @on("ClearChargingProfile")
    def clear_profile(
        self, charging_profile_id: int | None = None, charging_profile_criteria: dict[str, Any] | None = None
    ) -> Any:
        """By id or by criteria (K10.FR.01-.09)."""
        criteria = charging_profile_criteria or {}
        found = self._installed.clear(
            charging_profile_id,
            criteria.get("evse_id"),
            criteria.get("charging_profile_purpose"),
            criteria.get("stack_level"),
        )
        return self._answer.ClearChargingProfile(status="Accepted" if found else "Unknown")

    @on("GetChargingProfiles")
    def get_profiles(self, request_id: int, charging_profile: dict[str, Any], evse_id: int | None = None) -> Any:
        """The profiles themselves follow in reports (K09)."""
        del request_id
        found = self._installed.matching(evse_id, charging_profile)
        return self._answer.GetChargingProfiles(status="Accepted" if found else "NoProfiles")

    @after("GetChargingProfiles")
    def after_get_profiles(self, request_id: int, charging_profile: dict[str, Any], evse_id: int | None = None) -> None:
        """Send the reports."""
        found = self._installed.matching(evse_id, charging_profile)
        self.spawn(self._report(request_id, sorted(found, key=lambda profile: profile.evse)))

    async def _report(self, request_id: int, profiles: list[Profile]) -> None:
        """One ReportChargingProfiles per EVSE, `tbc` on all but the last (K09.FR.02)."""
        groups = [(evse, [p.raw for p in group]) for evse, group in groupby(profiles, key=lambda p: p.evse)]
        for left, (evse, raws) in zip(reversed(range(len(groups))), groups, strict=True):
            report = self._ask.ReportChargingProfiles(
                request_id=request_id, charging_limit_source="CSO", charging_profile=raws, evse_id=evse, tbc=left > 0
            )
            await self.ask(report)

    @on("GetCompositeSchedule")
    def composite(self, duration: int, evse_id: int, charging_rate_unit: str = "A") -> Any:
        """Limits from now on."""
        periods = self._host.composite(duration, charging_rate_unit)
        if periods is None:
            return self._answer.GetCompositeSchedule(status="Rejected")
        schedule = {
            "evseId": evse_id,
            "duration": duration,
            "scheduleStart": stamp(self._host.utc()),
            "chargingRateUnit": charging_rate_unit,
            "chargingSchedulePeriod": [{"startPeriod": start_s, "limit": limit} for start_s, limit in periods],
        }
        return self._answer.GetCompositeSchedule(status="Accepted", schedule=schedule)

    @on("GetVariables")
    def get_variables(self, get_variable_data: list[dict[str, Any]]) -> Any:
        """Each variable's value, or why there is none."""
        return self._answer.GetVariables(get_variable_result=[self._get(asked) for asked in get_variable_data])

    @on("GetReport")
    def get_report(self, **_: Any) -> Any:
        """Of no variable there is more to say than its value (B08)."""
        return self._answer.GetReport(status="EmptyResultSet")

    def _get(self, asked: dict[str, Any]) -> dict[str, Any]:
        result = {"component": asked["component"], "variable": asked["variable"]}
        status = self._status(_name(asked))
        if status == "Accepted":
            result["attribute_value"] = self._host.settings[_name(asked)]
        return {**result, "attribute_status": status}

    @on("SetVariables")
    def set_variables(self, set_variable_data: list[dict[str, Any]]) -> Any:
        """Intervals and measurands can be changed; the choice of measurands changes nothing here."""
        return self._answer.SetVariables(set_variable_result=[self._set(wanted) for wanted in set_variable_data])

    def _set(self, wanted: dict[str, Any]) -> dict[str, Any]:
        status = self._status(_name(wanted))
        if status == "Accepted" and _name(wanted) not in WRITABLE_2X:
            status = "Rejected"
        if status == "Accepted":
            self._host.settings[_name(wanted)] = wanted["attribute_value"]
        return {"component": wanted["component"], "variable": wanted["variable"], "attribute_status": status}

    def _status(self, name: str) -> str:
        if name in self._host.settings:
            return "Accepted"
        components = {known.partition(".")[0] for known in self._host.settings}
        return "UnknownVariable" if name.partition(".")[0] in components else "UnknownComponent"

    @on("RequestStartTransaction")
    def request_start(
        self,
        id_token: dict[str, Any],
        remote_start_id: int,
        evse_id: int = 1,
        charging_profile: dict[str, Any] | None = None,
        **_: Any,
    ) -> Any:
        """Accepted while a car waits."""
        del remote_start_id
        accepted = evse_id == 1 and self._host.request_start(id_token["id_token"], charging_profile)
        return self._answer.RequestStartTransaction(status="Accepted" if accepted else "Rejected")

    @on("RequestStopTransaction")
    def request_stop(self, transaction_id: str) -> Any:
        """Accepted for the running transaction."""
        accepted = self._host.request_stop(transaction_id)
        return self._answer.RequestStopTransaction(status="Accepted" if accepted else "Rejected")

    @on("TriggerMessage")
    def trigger(self, requested_message: str, **_: Any) -> Any:
        """What can be triggered is sent after the answer."""
        known = self._host.triggered(requested_message) is not None
        return self._answer.TriggerMessage(status="Accepted" if known else "NotImplemented")

    @after("TriggerMessage")
    def after_trigger(self, requested_message: str, **_: Any) -> None:
        """Send the triggered message."""
        payload = self._host.triggered(requested_message)
        if payload is not None:
            self.spawn(self.ask(payload))

    @on("Reset")
    def reset(self, **_: Any) -> Any:
        """Ends the transaction in order and reboots."""
        return self._answer.Reset(status="Accepted")

    @after("Reset")
    def after_reset(self, **_: Any) -> None:
        """Reboot."""
        self._host.reset()

    @on("DataTransfer")
    def data_transfer(self, **_: Any) -> Any:
        """No vendor extension is known."""
        return self._answer.DataTransfer(status="UnknownVendorId")


def _name(asked: dict[str, Any]) -> str:
    return f"{asked['component']['name']}.{asked['variable']['name']}"


class Station201(_Station2x, v201.ChargePoint):  # type: ignore[misc]  # ocpp ships no type information
    """The station's end of an OCPP 2.0.1 connection."""


class Station21(_Station2x, v21.ChargePoint):  # type: ignore[misc]  # ocpp ships no type information
    """The station's end of an OCPP 2.1 connection."""


def station_2x(version: str) -> type[Station201 | Station21]:
    """The class for a WebSocket subprotocol."""
    return Station21 if version == V21 else Station201
