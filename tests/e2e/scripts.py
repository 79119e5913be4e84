"""What do a station and a CSMS say to each other, word by word? One script per OCPP version, odd on purpose.

Spacing, order of members, 1.10, 1E3, é, unknown members and vendor actions are as no library would write them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Says:
    """A CALL of one side with the other's answer. The texts are sent as they stand."""

    by: str
    call: str
    answer: str


@dataclass(frozen=True, slots=True)
class Sends:
    """What the station sends and nobody answers."""

    text: str


@dataclass(frozen=True, slots=True)
class Reports:
    """What follows from a GetChargingProfiles: the station's report, or the gateway's in its place."""

    call: str
    answer: str


@dataclass(frozen=True, slots=True)
class Reconnects:
    """The station drops the connection and dials again."""


Step = Says | Sends | Reports | Reconnects


def station(call: str, answer: str) -> Says:
    return Says("station", call, answer)


def csms(call: str, answer: str) -> Says:
    return Says("csms", call, answer)


def script(version: str, now: datetime) -> list[Step]:
    """The whole dialogue; `now` is the time that both sides show all along."""
    at = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    return _v16(at) if version == "ocpp1.6" else _v2x(at, is_v21=version == "ocpp2.1")


def _v16(at: str) -> list[Step]:
    boot = '"BootNotification", {"chargePointModel":"M-1",  "chargePointVendor":"Véndor" , "x":{"a":1.10,"b":1E3} } ]'
    registered = f'{{"interval":300 ,"currentTime":"{at}","status":"Accepted"}}]'
    schedule = (
        f'{{"chargingRateUnit":"A","startSchedule":"{at}","chargingSchedulePeriod":[{{"limit":16.0,"startPeriod":0}}]}}'
    )
    default = f'{{"chargingProfileId":11,"stackLevel":1,"chargingProfilePurpose":"TxDefaultProfile","chargingProfileKind":"Absolute","chargingSchedule":{schedule}}}'
    starting = f'{{"chargingProfileId":12,"stackLevel":0,"chargingProfilePurpose":"TxProfile","chargingProfileKind":"Absolute","chargingSchedule":{schedule}}}'
    value = '{"value":"1.10","measurand":"Current.Import","phase":"L1","unit":"A","vendor":{"é":1E3}}'
    return [
        station('[2, "s1",' + boot, '[3,"s1",' + registered),
        station(
            f'[2,"s2","StatusNotification",{{"connectorId":1,"status":"Available","errorCode":"NoError","timestamp":"{at}"}}]',
            '[3, "s2" ,{}]',
        ),
        csms(
            '[2,"c1","GetConfiguration",{ "key" : ["HeartbeatInterval","Vendor.Key"] }]',
            '[3,"c1",{"unknownKey":["Vendor.Key"],"configurationKey":[{"key":"HeartbeatInterval","value":"300","readonly":false}]} ]',
        ),
        csms(
            f'[2,"c2","SetChargingProfile",{{"connectorId":1,"csChargingProfiles":{default}}}]',
            '[3,"c2",{"status":"Accepted"}]',
        ),
        csms('[2,"c3","TriggerMessage",{"requestedMessage":"Heartbeat"}]', '[3,"c3",{"status" : "Accepted"}]'),
        station('[2,"s3","Heartbeat",{}]', f'[3,"s3",{{"currentTime":"{at}"}}]'),
        station(
            '[2,"s4","DataTransfer",{"vendorId":"é.example","data":"{\\"n\\":1.10}" ,"messageId":"1E3"}]',
            '[3,"s4",{"status":"UnknownVendorId"}]',
        ),
        csms(
            '[2,"c4","DataTransfer",{"vendorId":"Müller","data":"\\u00e9"}]',
            '[3,"c4",{"data":"1.10","status":"Accepted"}]',
        ),
        station('[2,"s5","VendorNews",{"n":1.10,"m":null}]', '[4,"s5","NotImplemented","what is this?",{}]'),
        csms('[2,"c5","VendorOrder",{"list":[1E3, 1.10]}]', '[4,"c5","NotSupported","é",{"hint":1E3}]'),
        csms(
            f'[2,"c6","RemoteStartTransaction",{{"idTag":"CARD-1","connectorId":1,"chargingProfile":{starting}}}]',
            '[3,"c6",{"status":"Accepted"}]',
        ),
        station('[2,"s6","Authorize",{"idTag":"CARD-1"}]', '[3,"s6",{"idTagInfo":{"status":"Accepted"}}]'),
        station(
            f'[2,"s7","StartTransaction",{{"connectorId":1,"idTag":"CARD-1","meterStart":1000,"timestamp":"{at}"}}]',
            '[3,"s7",{"transactionId":4711 , "idTagInfo":{"status":"Accepted"}}]',
        ),
        station(
            f'[2,"s8","MeterValues",{{"connectorId":1,"transactionId":4711,"meterValue":[{{"timestamp":"{at}","sampledValue":[{value}]}}]}}]',
            '[3,"s8",{}]',
        ),
        csms(
            '[2,"c7","ClearChargingProfile",{"connectorId":1,"chargingProfilePurpose":"TxDefaultProfile"}]',
            '[3,"c7",{"status":"Accepted"}]',
        ),
        csms(
            '[2,"c8","ClearChargingProfile",{"chargingProfilePurpose":"TxDefaultProfile"}]',
            '[3,"c8",{"status":"Unknown"}]',
        ),
        csms('[2,"c9","RemoteStopTransaction",{"transactionId":4711}]', '[3,"c9",{ "status":"Accepted"}]'),
        station(
            f'[2,"s9","StopTransaction",{{"transactionId":4711,"meterStop":1500,"timestamp":"{at}","reason":"Remote"}}]',
            '[3,"s9",{}]',
        ),
        csms('[2,"c10","Reset",{"type":"Soft"}]', '[3,"c10",{"status":"Accepted"}]'),
        Reconnects(),
        station('[2,"t1",' + boot, '[3,"t1",' + registered),
    ]


def _v2x(at: str, *, is_v21: bool) -> list[Step]:
    boot = '"BootNotification", { "reason":"PowerUp","chargingStation":{"model":"M-2","vendorName":"Véndor"} ,"customData":{"vendorId":"x","a":1.10,"b":1E3} } ]'
    registered = f'{{"status":"Accepted","currentTime":"{at}" ,"interval":300}}]'
    schedule = f'[{{"id":1,"startSchedule":"{at}","chargingRateUnit":"A","chargingSchedulePeriod":[{{"startPeriod":0,"limit":16.0}}]}}]'
    default = f'{{"id":11,"stackLevel":1,"chargingProfilePurpose":"TxDefaultProfile","chargingProfileKind":"Absolute","chargingSchedule":{schedule}}}'
    starting = f'{{"id":12,"stackLevel":0,"chargingProfilePurpose":"TxProfile","chargingProfileKind":"Absolute","chargingSchedule":{schedule}}}'
    info = '"transactionInfo":{"transactionId":"tx-é","chargingState":"Charging"}'
    remote_info = '"transactionInfo":{"transactionId":"tx-é","chargingState":"Charging","remoteStartId":7}'
    value = f'{{"timestamp":"{at}","sampledValue":[{{"value":1.10,"measurand":"Current.Import","phase":"L1"}},{{"value":1E3,"measurand":"Energy.Active.Import.Register"}}]}}'
    variable = '{"component":{"name":"OCPPCommCtrlr"},"variable":{"name":"HeartbeatInterval"}'
    steps: list[Step] = [
        station('[2, "s1",' + boot, '[3,"s1",' + registered),
        station(
            f'[2,"s2","StatusNotification",{{"timestamp":"{at}","connectorStatus":"Available","evseId":1,"connectorId":1}}]',
            '[3, "s2" ,{}]',
        ),
        csms(
            '[2,"c1","GetVariables",{ "getVariableData" : [' + variable + "}]}]",
            '[3,"c1",{"getVariableResult":[' + variable + ',"attributeStatus":"Accepted","attributeValue":"300"}]} ]',
        ),
        csms(
            f'[2,"c2","SetChargingProfile",{{"evseId":1,"chargingProfile":{default}}}]',
            '[3,"c2",{"status":"Accepted"}]',
        ),
        csms(
            '[2,"c3","GetChargingProfiles",{"requestId":5,"chargingProfile":{"chargingProfilePurpose":"TxDefaultProfile"}}]',
            '[3,"c3",{"status":"Accepted"}]',
        ),
        Reports(
            f'[2,"s3","ReportChargingProfiles",{{"requestId":5,"chargingLimitSource":"CSO","chargingProfile":[{default}],"evseId":1,"tbc":false}}]',
            "{}",
        ),
        csms('[2,"c4","TriggerMessage",{"requestedMessage":"Heartbeat"}]', '[3,"c4",{"status" : "Accepted"}]'),
        station('[2,"s4","Heartbeat",{}]', f'[3,"s4",{{"currentTime":"{at}"}}]'),
        station(
            '[2,"s5","DataTransfer",{"vendorId":"é.example","data":{"n":1.10} ,"messageId":"1E3"}]',
            '[3,"s5",{"status":"UnknownVendorId"}]',
        ),
        csms(
            '[2,"c5","DataTransfer",{"vendorId":"Müller","data":"\\u00e9"}]',
            '[3,"c5",{"data":1.10,"status":"Accepted"}]',
        ),
        station('[2,"s6","VendorNews",{"n":1.10,"m":null}]', '[4,"s6","NotImplemented","what is this?",{}]'),
        csms('[2,"c6","VendorOrder",{"list":[1E3, 1.10]}]', '[4,"c6","NotSupported","é",{"hint":1E3}]'),
        csms(
            f'[2,"c7","RequestStartTransaction",{{"idToken":{{"idToken":"CARD-1","type":"Central"}},"remoteStartId":7,"evseId":1,"chargingProfile":{starting}}}]',
            '[3,"c7",{"status":"Accepted"}]',
        ),
        station(
            f'[2,"s7","TransactionEvent",{{"eventType":"Started","timestamp":"{at}","triggerReason":"RemoteStart","seqNo":0,{remote_info},"evse":{{"id":1,"connectorId":1}},"idToken":{{"idToken":"CARD-1","type":"Central"}}}}]',
            '[3,"s7",{"idTokenInfo":{"status":"Accepted"}, "totalCost":1.10}]',
        ),
        station(
            f'[2,"s8","TransactionEvent",{{"eventType":"Updated","timestamp":"{at}","triggerReason":"MeterValuePeriodic","seqNo":1,{info},"meterValue":[{value}]}}]',
            '[3,"s8",{}]',
        ),
        csms(
            '[2,"c8","ClearChargingProfile",{"chargingProfileId":11}]',
            '[3,"c8",{"status":"Accepted"}]',
        ),
        csms(
            '[2,"c9","ClearChargingProfile",{"chargingProfileCriteria":{"chargingProfilePurpose":"TxDefaultProfile"}}]',
            '[3,"c9",{"status":"Unknown"}]',
        ),
        csms(
            '[2,"c10","GetChargingProfiles",{"requestId":6,"chargingProfile":{"chargingProfilePurpose":"TxDefaultProfile"}}]',
            '[3,"c10",{"status":"NoProfiles"}]',
        ),
        csms('[2,"c11","RequestStopTransaction",{"transactionId":"tx-é"}]', '[3,"c11",{ "status":"Accepted"}]'),
        station(
            f'[2,"s9","TransactionEvent",{{"eventType":"Ended","timestamp":"{at}","triggerReason":"RemoteStop","seqNo":2,{info}}}]',
            '[3,"s9",{}]',
        ),
        csms('[2,"c12","Reset",{"type":"Immediate"}]', '[3,"c12",{"status":"Accepted"}]'),
        Reconnects(),
        station('[2,"t1",' + boot, '[3,"t1",' + registered),
    ]
    if is_v21:
        stream = f'{{"id":1,"pending":0,"basetime":"{at}","data":[{{"t":1.10,"v":"1E3"}}]}}'
        steps.insert(-3, Sends(f'[6,"e1","NotifyPeriodicEventStream", {stream}]'))
    return steps
