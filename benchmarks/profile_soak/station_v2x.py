"""How does a conforming OCPP 2.0.1 or 2.1 station answer?"""

from __future__ import annotations

from itertools import groupby

from benchmarks.profile_soak.evaluator import Json
from benchmarks.profile_soak.station import Ask, Fault, Station, Transaction, stamp
from benchmarks.profile_soak.store import ANY

_ENTRIES = ("SmartChargingCtrlr", "Entries", "ChargingProfiles")
_PURPOSES = {
    "2.0.1": {"ChargingStationExternalConstraints", "ChargingStationMaxProfile", "TxDefaultProfile", "TxProfile"},
}
_PURPOSES["2.1"] = _PURPOSES["2.0.1"] | {"PriorityCharging", "LocalGeneration"}


class Station2x(Station):
    """Both versions; what only 2.1 knows is refused by its schema in 2.0.1."""

    def variables(self) -> dict[tuple[str, str, str], str]:
        """Component, variable and instance with its value."""
        facts = self.facts
        own = "SmartChargingCtrlr"
        return {
            (own, "Available", ""): "true",
            (own, "Enabled", ""): "true",
            (own, "RateUnit", ""): ",".join(facts.units),
            (own, "ProfileStackLevel", ""): str(facts.max_level),
            (own, "PeriodsPerSchedule", ""): str(facts.max_periods),
            _ENTRIES: str(len(self.store.profiles)),
            ("SampledDataCtrlr", "TxUpdatedInterval", ""): "60",
        }

    # --- profiles ------------------------------------------------------------------------------------------------

    def on_SetChargingProfile(self, payload: Json) -> Json:  # noqa: N802 - the action's name
        """Accepted, or Rejected with a reason."""
        profile = payload["chargingProfile"]
        units = {schedule["chargingRateUnit"] for schedule in profile["chargingSchedule"]}
        if profile["chargingProfilePurpose"] not in _PURPOSES[self.facts.version] or not units <= {"A", "W"}:
            raise Fault("PropertyConstraintViolation")
        self.reasons = self.store.install(payload["evseId"], profile, self.clock())
        return self._rejected(*self.reasons) if self.reasons else {"status": "Accepted"}

    @staticmethod
    def _rejected(*reasons: str) -> Json:
        code = next((reason for reason in reasons if reason != ANY), "InvalidProfile")
        return {"status": "Rejected", "statusInfo": {"reasonCode": code}}

    def on_ClearChargingProfile(self, payload: Json) -> Json:  # noqa: N802
        """By id or by criteria (K10)."""
        criteria = payload.get("chargingProfileCriteria", {})
        names = ("evseId", "chargingProfilePurpose", "stackLevel")
        cleared = self.store.clear(payload.get("chargingProfileId"), *(criteria.get(name) for name in names))
        return {"status": "Accepted" if cleared else "Unknown"}

    def on_GetChargingProfiles(self, payload: Json) -> Json:  # noqa: N802
        """The answer, then one report per EVSE (K09)."""
        wanted = payload["chargingProfile"]
        is_meant = "CSO" in wanted.get("chargingLimitSource", ["CSO"])
        names = ("chargingProfilePurpose", "stackLevel")
        found = self.store.matching(
            wanted.get("chargingProfileId"), payload.get("evseId"), *(wanted.get(name) for name in names)
        )
        if not found or not is_meant:
            return {"status": "NoProfiles"}
        by_evse = groupby(sorted(found, key=lambda one: one.evse), key=lambda one: one.evse)
        groups = [(evse, [dict(one.raw) for one in members]) for evse, members in by_evse]
        for left, (evse, raws) in zip(reversed(range(len(groups))), groups, strict=True):
            report = {"requestId": payload["requestId"], "chargingLimitSource": "CSO", "evseId": evse}
            report |= {"chargingProfile": raws, "tbc": left > 0}
            self.outbox.append(Ask("ReportChargingProfiles", report))
        return {"status": "Accepted"}

    def on_GetCompositeSchedule(self, payload: Json) -> Json:  # noqa: N802
        """From now on (K08)."""
        evse, duration_s = payload["evseId"], payload["duration"]
        unit = payload.get("chargingRateUnit", self.facts.units[0])
        if not 0 <= evse <= self.facts.evses:
            return self._rejected("UnknownEVSE")
        if unit not in self.facts.units:
            return self._rejected("UnsupportedRateUnit")
        schedule = {
            "evseId": evse,
            "duration": duration_s,
            "scheduleStart": stamp(self.clock()),
            "chargingRateUnit": unit,
            "chargingSchedulePeriod": self.composite_periods(evse, unit, duration_s),
        }
        return {"status": "Accepted", "schedule": schedule}

    # --- only 2.1 ------------------------------------------------------------------------------------------------

    def on_UsePriorityCharging(self, payload: Json) -> Json:  # noqa: N802
        """For a running transaction that has such a profile (K21)."""
        for evse, transaction in self.transactions.items():
            if transaction.id == payload["transactionId"]:
                if not self.store.has_priority_profile(evse):
                    return {"status": "NoProfile"}
                transaction.has_priority = payload["activate"]
                return {"status": "Accepted"}
        return self._rejected("TxNotFound")

    def on_UpdateDynamicSchedule(self, payload: Json) -> Json:  # noqa: N802
        """A new limit for a Dynamic profile (K28)."""
        updated = self.store.update(payload["chargingProfileId"], payload["scheduleUpdate"], self.clock())
        return {"status": "Accepted"} if updated else self._rejected(ANY)

    # --- device model --------------------------------------------------------------------------------------------

    def on_GetVariables(self, payload: Json) -> Json:  # noqa: N802
        """Each value, or why there is none."""
        variables = self.variables()
        results = []
        for asked in payload["getVariableData"]:
            component, variable = asked["component"]["name"], asked["variable"]["name"]
            value = variables.get((component, variable, asked["variable"].get("instance", "")))
            is_known = any(component == known for known, _, _ in variables)
            status = "UnknownVariable" if is_known else "UnknownComponent"
            result = {"component": asked["component"], "variable": asked["variable"]}
            given = {"attributeStatus": status}
            if value is not None:
                given = {"attributeStatus": "Accepted", "attributeValue": value}
            results.append(result | given)
        return {"getVariableResult": results}

    def on_GetBaseReport(self, payload: Json) -> Json:  # noqa: N802
        """The variables follow in one report (B07)."""
        data = [
            {
                "component": {"name": component},
                "variable": {"name": name} | ({"instance": instance} if instance else {}),
                "variableAttribute": [{"type": "Actual", "value": value, "mutability": "ReadOnly"}],
                "variableCharacteristics": self._characteristics((component, name, instance)),
            }
            for (component, name, instance), value in self.variables().items()
        ]
        report = {"requestId": payload["requestId"], "generatedAt": stamp(self.clock()), "seqNo": 0, "tbc": False}
        self.outbox.append(Ask("NotifyReport", report | {"reportData": data}))
        return {"status": "Accepted"}

    def _characteristics(self, name: tuple[str, str, str]) -> Json:
        if name == _ENTRIES:
            return {"dataType": "integer", "maxLimit": self.facts.max_installed, "supportsMonitoring": False}
        return {"dataType": "string", "supportsMonitoring": False}

    # --- transactions --------------------------------------------------------------------------------------------

    def on_RequestStartTransaction(self, payload: Json) -> Json:  # noqa: N802
        """Of an EVSE that is free."""
        token, profile = payload["idToken"]["idToken"], payload.get("chargingProfile")
        taken = self.accept_remote_start(payload.get("evseId"), token, payload["remoteStartId"], profile)
        return {"status": "Accepted" if taken else "Rejected"}

    def on_RequestStopTransaction(self, payload: Json) -> Json:  # noqa: N802
        """Of a running transaction."""
        for evse, transaction in list(self.transactions.items()):
            if transaction.id == payload["transactionId"]:
                self.end(evse)
                return {"status": "Accepted"}
        return {"status": "Rejected"}

    def on_TriggerMessage(self, payload: Json) -> Json:  # noqa: N802
        """The message follows."""
        evse = payload.get("evse", {}).get("id", 1)
        match payload["requestedMessage"]:
            case "StatusNotification":
                status = "Occupied" if evse in self.transactions else "Available"
                said = {"timestamp": stamp(self.clock()), "connectorStatus": status, "evseId": evse, "connectorId": 1}
                self.outbox.append(Ask("StatusNotification", said))
            case "TransactionEvent" if evse in self.transactions:
                self.say_amps(evse)
            case "TransactionEvent":
                return {"status": "Rejected"}
            case _:
                return {"status": "NotImplemented"}
        return {"status": "Accepted"}

    def answered(self, ask: Ask, answer: Json) -> None:
        """The next limit of a Dynamic profile changes something (2.1 K28)."""
        if ask.action == "PullDynamicScheduleUpdate" and answer["status"] == "Accepted":
            self.updates_pulled += 1
            self.store.update(ask.payload["chargingProfileId"], answer["scheduleUpdate"], self.clock())

    def say_start(self, evse: int, transaction: Transaction, number: int | None) -> None:
        """TransactionEvent Started."""
        self._event("Started", evse, transaction, {} if number is None else {"remoteStartId": number})

    def say_end(self, evse: int, transaction: Transaction) -> None:
        """TransactionEvent Ended."""
        self._event("Ended", evse, transaction, {})

    def say_amps(self, evse: int) -> None:
        """TransactionEvent Updated with samples."""
        transaction = self.transactions.get(evse)
        if transaction is None:
            return
        values = [
            {"value": amps, "measurand": "Current.Import", "phase": f"L{number}"}
            for number, amps in enumerate(self.amps.get(evse, (0.0, 0.0, 0.0)), start=1)
        ]
        if transaction.socs:
            values.append({"value": transaction.socs[-1][1], "measurand": "SoC", "unitOfMeasure": {"unit": "Percent"}})
        self._event("Updated", evse, transaction, {})
        self.outbox[-1].payload["meterValue"] = [{"timestamp": stamp(self.clock()), "sampledValue": values}]

    def _event(self, event: str, evse: int, transaction: Transaction, info: Json) -> None:
        token = {"idToken": {"idToken": transaction.token, "type": "ISO14443"}} if event == "Started" else {}
        payload: Json = {
            "eventType": event,
            "timestamp": stamp(self.clock()),
            "triggerReason": "MeterValuePeriodic" if event == "Updated" else "CablePluggedIn",
            "seqNo": transaction.seq_no,
            "transactionInfo": {"transactionId": transaction.id} | info,
            "evse": {"id": evse, "connectorId": 1},
        }
        transaction.seq_no += 1
        offline = {} if self.is_online else {"offline": True}
        self.outbox.append(Ask("TransactionEvent", payload | token | offline))

    def boot_message(self) -> Ask:
        """BootNotificationRequest."""
        station = {"vendorName": "Reference", "model": "Two"}
        return Ask("BootNotification", {"reason": "PowerUp", "chargingStation": station})
