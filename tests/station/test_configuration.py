"""Does the CSMS read what it wrote, and all else as the station says it, to the byte?"""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local_controller.rpc import frame as rpc
from local_controller.station.blocks.smart_charging import REVIEW_S
from local_controller.station.effects import Effect, Fate, Peer, Send, Trace
from local_controller.station.guard_policy import GuardPolicy, Policy
from local_controller.station.shown_values import MOST_SHOWN, Setting, ShownValues, key
from local_controller.station.words import OcppVersion
from tests.station.test_memory import remembered

V16, V201, V21 = OcppVersion
V2X = pytest.mark.parametrize("version", [V201, V21])
ALL = pytest.mark.parametrize("version", list(OcppVersion))

ASKED_S = 30.0  # by then a station that was accepted has been asked what it can do
GATEWAY = "ws://192.168.1.10:9310"
ELSEWHERE = "wss://user:secret@new.example.com/ocpp?t=1"
REWRITING = GuardPolicy(network=Policy.REWRITE, public_url=GATEWAY)
SAMPLING = GuardPolicy(sample_interval_s=60)
INTERVAL_KEY = "MeterValueSampleInterval"
INTERVAL = {"component": {"name": "SampledDataCtrlr"}, "variable": {"name": "TxUpdatedInterval"}}
URL = {"component": {"name": "NetworkConfiguration", "instance": "1"}, "variable": {"name": "OcppCsmsUrl"}}
SLOT = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "ActiveNetworkProfile"}}
PRIORITY = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "NetworkConfigurationPriority"}}


class Store:
    """A station's configuration: keys of 1.6, or variables of 2.x by component, instance and name."""

    def __init__(self, b: Any, **values: str) -> None:
        self.b = b
        self.values: dict[tuple[str, str, str], str] = {("", "", name): value for name, value in values.items()}
        self.verdict = "Accepted"
        b.station |= self.handlers()

    def handlers(self) -> dict[str, Any]:
        return {
            "ChangeConfiguration": self._change,
            "GetConfiguration": self._get,
            "SetVariables": self._set_variables,
            "GetVariables": self._get_variables,
            "SetNetworkProfile": self._set_profile,
        }

    @property
    def interval(self) -> str | None:
        name = ("", "", INTERVAL_KEY) if self.b.version is V16 else place(INTERVAL)
        return self.values.get(name)

    @interval.setter
    def interval(self, value: str) -> None:
        self.values[("", "", INTERVAL_KEY) if self.b.version is V16 else place(INTERVAL)] = value

    def _write(self, name: tuple[str, str, str], value: str) -> str:
        if self.verdict != "Rejected":
            self.values[name] = value
        return self.verdict

    def _change(self, payload: dict[str, Any]) -> dict[str, Any]:
        return {"status": self._write(("", "", payload["key"]), payload["value"])}

    def _get(self, payload: dict[str, Any]) -> dict[str, Any]:
        asked = payload.get("key") or [name for _, _, name in self.values]
        known = [name for name in asked if ("", "", name) in self.values]
        entries = [{"key": name, "readonly": False, "value": self.values["", "", name]} for name in known]
        return {"configurationKey": entries, "unknownKey": [name for name in asked if name not in known]}

    def _set_variables(self, payload: dict[str, Any]) -> dict[str, Any]:
        results = [
            {k: entry[k] for k in ("component", "variable")}
            | {"attributeStatus": self._write(place(entry), entry["attributeValue"])}
            for entry in payload["setVariableData"]
        ]
        return {"setVariableResult": results}

    def _get_variables(self, payload: dict[str, Any]) -> dict[str, Any]:
        results = []
        for entry in payload["getVariableData"]:
            about = {k: entry[k] for k in ("component", "variable")}
            value = self.values.get(place(entry))
            told = {"attributeStatus": "Accepted", "attributeValue": value} if value is not None else {}
            results.append(about | (told or {"attributeStatus": "UnknownVariable"}))
        return {"getVariableResult": results}

    def _set_profile(self, payload: dict[str, Any]) -> dict[str, Any]:
        name = ("NetworkConfiguration", str(payload["configurationSlot"]), "OcppCsmsUrl")
        return {"status": self._write(name, payload["connectionData"]["ocppCsmsUrl"])}


def place(entry: dict[str, Any]) -> tuple[str, str, str]:
    component = entry["component"]
    return component["name"], component.get("instance", ""), entry["variable"]["name"]


def csms_writes_interval(b: Any, value: str) -> str:
    if b.version is V16:
        return str(b.from_csms("ChangeConfiguration", {"key": INTERVAL_KEY, "value": value})["status"])
    answer = b.from_csms("SetVariables", {"setVariableData": [INTERVAL | {"attributeValue": value}]})
    return str(answer["setVariableResult"][0]["attributeStatus"])


def csms_reads_interval(b: Any) -> str:
    if b.version is V16:
        return str(b.from_csms("GetConfiguration", {"key": [INTERVAL_KEY]})["configurationKey"][0]["value"])
    return str(b.from_csms("GetVariables", {"getVariableData": [INTERVAL]})["getVariableResult"][0]["attributeValue"])


def variable_read(b: Any, about: dict[str, Any]) -> str:
    return str(b.from_csms("GetVariables", {"getVariableData": [about]})["getVariableResult"][0]["attributeValue"])


def set_profile(b: Any, slot: int = 1) -> Any:
    data = {
        "ocppVersion": "OCPP20",
        "ocppTransport": "JSON",
        "ocppCsmsUrl": ELSEWHERE,
        "messageTimeout": 30,
        "securityProfile": 1,
        "ocppInterface": "Wired0",
    }
    return b.from_csms("SetNetworkProfile", {"configurationSlot": slot, "connectionData": data})


def asked(b: Any) -> list[str]:
    """What the gateway itself read and wrote of the station's configuration."""
    actions = {"GetConfiguration", "ChangeConfiguration", "GetVariables", "SetVariables"}
    return [f.action for f in b.sent[Peer.STATION] if f.action in actions and f.message_id.startswith("LC")]


# --- an address -------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("LC-126", "LC-128")
def test_a_csms_reads_the_address_that_it_wrote_and_the_station_keeps_ours(bench: Any) -> None:
    b = bench(V16, guards=REWRITING)
    store = Store(b, CentralSystemURL=GATEWAY, LocalPreAuthorize="true")
    b.from_csms("ChangeConfiguration", {"key": "centralSystemURL", "value": ELSEWHERE})
    store.values["", "", "CentralSystemURL"] = store.values.pop(("", "", "centralSystemURL"))
    assert store.values["", "", "CentralSystemURL"] == GATEWAY
    answer = b.from_csms("GetConfiguration", {"key": ["LocalPreAuthorize", "CentralSystemURL", "org.example.Led"]})
    assert answer == {
        "configurationKey": [
            {"key": "LocalPreAuthorize", "readonly": False, "value": "true"},
            {"key": "CentralSystemURL", "readonly": False, "value": ELSEWHERE},
        ],
        "unknownKey": ["org.example.Led"],
    }
    assert "secret" not in repr(b.smart.state)


@V2X
@pytest.mark.requirement("LC-126", "LC-129")
def test_a_csms_reads_back_each_network_profile_as_it_set_it(bench: Any, version: OcppVersion) -> None:
    b = bench(version, guards=REWRITING)
    store = Store(b)
    assert set_profile(b, slot=1) == {"status": "Accepted"}
    assert store.values[place(URL)] == GATEWAY
    assert variable_read(b, URL) == ELSEWHERE
    other = {"component": {"name": "NetworkConfiguration", "instance": "2"}, "variable": URL["variable"]}
    store.values[place(other)] = GATEWAY
    assert variable_read(b, other) == GATEWAY


@V2X
@pytest.mark.requirement("LC-128")
def test_what_the_station_refused_is_not_shown(bench: Any, version: OcppVersion) -> None:
    b = bench(version, guards=REWRITING)
    store = Store(b)
    store.values[place(URL)], store.verdict = GATEWAY, "Rejected"
    assert set_profile(b) == {"status": "Rejected"}
    assert variable_read(b, URL) == GATEWAY
    entry = URL | {"attributeValue": ELSEWHERE}
    b.from_csms("SetVariables", {"setVariableData": [entry]})
    assert variable_read(b, URL) == GATEWAY


@V2X
@pytest.mark.requirement("LC-128")
def test_what_somebody_changed_at_the_station_itself_is_shown_as_it_is(bench: Any, version: OcppVersion) -> None:
    b = bench(version, guards=REWRITING)
    store = Store(b)
    set_profile(b)
    store.values[place(URL)] = "ws://installer"
    assert variable_read(b, URL) == "ws://installer"


@V2X
@pytest.mark.requirement("LC-128")
def test_a_value_is_remembered_over_a_reconnection_and_without_an_answer(bench: Any, version: OcppVersion) -> None:
    b = bench(version, guards=REWRITING)
    b.station["SetNetworkProfile"] = None
    set_profile(b)
    b.wait(60)
    after = bench(version, guards=REWRITING, known=b.smart.state)
    Store(after).values[place(URL)] = GATEWAY
    assert variable_read(after, URL) == ELSEWHERE


REPORT = (
    '[2, "r1" ,"NotifyReport",{ "requestId":7,"generatedAt":"2026-11-22T12:00:00.000Z", "seqNo":0,"reportData":['
    '{"component":{"name":"networkCONFIGURATION","instance":"1"},"variable":{"name":"OcppCsmsUrl"},'
    '"variableAttribute":[{"type":"Target","value":"%s"},{"value" : "%s","mutability":"ReadWrite"}],'
    '"variableCharacteristics":{"dataType":"string","maxLimit":1.10,"supportsMonitoring":false}},'
    '{"component":{"name":"EVSE","evse":{"id":1}},"variable":{"name":"Power"},"variableAttribute":[{"value":"1E3"}]}]}]'
)


@V2X
@pytest.mark.requirement("LC-126")
def test_in_a_report_only_the_one_value_changes(bench: Any, version: OcppVersion) -> None:
    b = bench(version, guards=REWRITING)
    Store(b)
    set_profile(b)
    effects = b.proxy.receive(Peer.STATION, REPORT % (GATEWAY, GATEWAY), b.now)
    shown = REPORT % (GATEWAY, ELSEWHERE)
    assert [effect.text for effect in effects if isinstance(effect, Send)] == [shown]
    assert [effect.fate for effect in effects if isinstance(effect, Trace)][-1] is Fate.ALTERED
    answer = '[3,"r1", {} ]'
    assert b.proxy.receive(Peer.CSMS, answer, b.now)[0] == Send(Peer.STATION, answer)


@V2X
@pytest.mark.requirement("LC-126")
def test_a_report_without_values_of_ours_passes_byte_for_byte(bench: Any, version: OcppVersion) -> None:
    for text in (REPORT % ("x", "y"), '[2,"r2","NotifyReport",{"reportData": [7,{}] }]', '[2,"r3","NotifyReport",[]]'):
        b = bench(version, guards=REWRITING)
        Store(b)
        set_profile(b)
        sends = [e for e in b.proxy.receive(Peer.STATION, text, b.now) if isinstance(e, Send)]
        assert sends == [Send(Peer.CSMS, text)]


READS = [
    (V16, "GetConfiguration", f'{{"configurationKey":[{{"key":"{INTERVAL_KEY}" , "value":"60","x":1.0}},7],"unknownKey":["b","a"]}}'),
    (V201, "GetVariables", f'{{"getVariableResult":[{{"attributeValue" :"60",{json.dumps(INTERVAL)[1:]},{{}}, null ],"x":1E1}}'),
    (V21, "GetVariables", f'{{"getVariableResult":[{{"attributeValue" :"60",{json.dumps(INTERVAL)[1:]},{{}}, null ],"x":1E1}}'),
]  # fmt: skip


def answered(b: Any, action: str, answer: str) -> list[Effect]:
    b.proxy.receive(Peer.CSMS, f'[2,"q","{action}",{{}}]', b.now)
    return list(b.proxy.receive(Peer.STATION, answer, b.now))


@pytest.mark.requirement("LC-126")
@pytest.mark.parametrize(("version", "action", "answer"), READS)
def test_in_an_answer_only_the_one_value_changes(bench: Any, version: OcppVersion, action: str, answer: str) -> None:
    b = bench(version, guards=SAMPLING)
    Store(b)
    assert csms_writes_interval(b, "300") == "Accepted"
    text = f'[3 , "q",{answer} ]'
    effects = answered(b, action, text)
    expected = text.replace('"60"', '"300"')
    assert [e.text for e in effects if isinstance(e, Send)] == [expected]
    fates = [(e.fate, e.text) for e in effects if isinstance(e, Trace)]
    assert fates == [(Fate.ABSORBED, text), (Fate.ALTERED, expected)]


@pytest.mark.requirement("LC-126")
@pytest.mark.parametrize(("version", "action", "answer"), READS)
def test_answers_pass_byte_for_byte_where_nothing_differs(
    bench: Any, version: OcppVersion, action: str, answer: str
) -> None:
    for policy in (GuardPolicy(), SAMPLING):
        for text in (f'[3,"q", {answer}]', '[3,"q",[]]', '[4, "q","NotSupported","",{}]', '[3,"q"]'):
            b = bench(version, guards=policy)
            b.smart.state.shown.write(key("Other"), "a", "b")
            effects = answered(b, action, text)
            assert [e for e in effects if isinstance(e, Send)] == [Send(Peer.CSMS, text)]


# --- the sampling interval --------------------------------------------------------------------------------------------


@ALL
@pytest.mark.requirement("LC-077", "LC-128")
@pytest.mark.parametrize("verdict", ["Accepted", "RebootRequired"])
def test_a_longer_interval_is_kept_short_and_read_back_as_it_was_set(
    bench: Any, version: OcppVersion, verdict: str
) -> None:
    b = bench(version, guards=SAMPLING)
    store = Store(b)
    store.verdict = verdict
    for wish, real in (("300", "60"), ("0", "60"), ("30", "30"), ("60", "60"), ("900", "60")):
        assert csms_writes_interval(b, wish) == verdict
        assert store.interval == real
        assert csms_reads_interval(b) == wish
    assert [n.event for n in b.notes] == 3 * ["setting_kept"]


@ALL
@pytest.mark.requirement("LC-077", "LC-128")
def test_a_rejected_interval_stays_what_it_was(bench: Any, version: OcppVersion) -> None:
    b = bench(version, guards=SAMPLING)
    store = Store(b)
    csms_writes_interval(b, "300")
    store.verdict = "Rejected"
    assert csms_writes_interval(b, "900") == "Rejected"
    assert csms_reads_interval(b) == "300"


@ALL
@pytest.mark.requirement("LC-128")
def test_an_interval_of_thousands_of_digits_is_just_too_long(bench: Any, version: OcppVersion) -> None:
    b = bench(version, guards=SAMPLING)
    b.unchecked = frozenset({"ChangeConfiguration", "SetVariables", "GetConfiguration", "GetVariables"})
    store = Store(b)
    assert csms_writes_interval(b, 5000 * "9") == "Accepted"
    assert store.interval == "60"


@ALL
@pytest.mark.requirement("LC-128")
@pytest.mark.parametrize("nonsense", ["", "often", "-1", "1.5"])
def test_what_is_no_interval_is_the_stations_to_judge(bench: Any, version: OcppVersion, nonsense: str) -> None:
    b = bench(version, guards=SAMPLING)
    store = Store(b)
    store.verdict = "Rejected"
    assert csms_writes_interval(b, nonsense) == "Rejected"
    assert b.notes == []


@ALL
@pytest.mark.requirement("LC-077", "LC-126", "LC-128")
def test_a_station_that_measures_seldom_is_set_once_accepted_and_the_csms_sees_no_difference(
    bench: Any, version: OcppVersion
) -> None:
    for before, after in (("900", "60"), ("0", "60"), ("30", "30"), ("60", "60"), ("?", "?"), (5000 * "9", "60")):
        b = bench(version, guards=SAMPLING)
        b.unchecked = frozenset({"GetConfiguration", "GetVariables"})  # it reads what the station holds, however long
        store = Store(b)
        store.interval = before
        assert asked(b) == []
        b.boot()
        b.wait(ASKED_S)
        assert store.interval == after
        assert csms_reads_interval(b) == before
        written = [action for action in asked(b) if action.startswith(("Change", "Set"))]
        assert len(written) == (after != before)


@V2X
@pytest.mark.requirement("LC-020", "LC-126")
def test_a_slot_that_is_no_number_of_a_slot_passes_as_it_is(bench: Any, version: OcppVersion) -> None:
    b = bench(version, guards=REWRITING)
    b.unchecked = frozenset({"GetVariables"})
    store = Store(b)
    b.boot()
    for told in (5000 * "9", "-1", "", "2"):
        store.values[place(SLOT)] = told
        assert variable_read(b, SLOT) == told
    assert b.smart.state.slots_here == {2}


@ALL
@pytest.mark.requirement("LC-077", "LC-128")
@pytest.mark.parametrize("is_told_by_csms", [True, False])
def test_the_csms_reads_its_own_interval_also_after_a_restart_of_ours(
    bench: Any, version: OcppVersion, is_told_by_csms: bool
) -> None:
    b = bench(version, guards=SAMPLING)
    store = Store(b)
    store.interval = "900"
    b.boot()
    b.wait(ASKED_S)
    if is_told_by_csms:
        csms_writes_interval(b, "300")
    b.wait(REVIEW_S)
    again = bench(version, guards=SAMPLING, remembered=remembered(b))
    kept = Store(again)
    kept.interval = store.interval
    assert csms_reads_interval(again) == ("300" if is_told_by_csms else "900")
    kept.interval = "45"
    assert csms_reads_interval(again) == "45", "somebody has set it at the station"


@ALL
@pytest.mark.requirement("LC-128")
def test_what_the_csms_wrote_before_a_boot_is_still_what_it_reads(bench: Any, version: OcppVersion) -> None:
    b = bench(version, guards=SAMPLING)
    store = Store(b)
    store.interval = "900"
    b.boot()
    b.wait(ASKED_S)
    csms_writes_interval(b, "300")
    store.interval = "1800"  # its maker's
    b.boot()
    b.wait(ASKED_S)
    assert store.interval == "60"
    assert csms_reads_interval(b) == "1800"


@ALL
@pytest.mark.requirement("LC-128")
def test_a_station_that_does_not_say_or_does_not_let_itself_be_set_is_left_alone(
    bench: Any, version: OcppVersion
) -> None:
    b = bench(version, guards=SAMPLING)
    Store(b)
    b.boot()
    b.wait(ASKED_S)
    assert [action for action in asked(b) if action.startswith(("Change", "Set"))] == []
    b = bench(version, guards=SAMPLING)
    store = Store(b)
    store.interval, store.verdict = "900", "Rejected"
    b.boot()
    b.wait(ASKED_S)
    assert csms_reads_interval(b) == "900"


@ALL
@pytest.mark.requirement("LC-126")
def test_by_default_no_interval_is_touched(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    store = Store(b)
    store.interval = "900"
    b.boot()
    b.wait(ASKED_S)
    assert csms_writes_interval(b, "0") == "Accepted"
    assert store.interval == "0"


@ALL
@pytest.mark.requirement("LC-127")
def test_no_report_is_ours_and_the_interval_is_read_and_written_alone(bench: Any, version: OcppVersion) -> None:
    b = bench(version, guards=SAMPLING)
    store = Store(b)
    store.interval = "900"
    b.boot()
    b.wait(ASKED_S)
    b.start()
    b.set_limit(16.0)
    b.wait(2000)
    ours = [frame for frame in b.sent[Peer.STATION] if frame.action and frame.message_id.startswith("LC")]
    assert [frame for frame in ours if "requestId" in frame.text] == []
    alone = [frame for frame in ours if frame.text.count('"variable"') == 1 or frame.text.count(INTERVAL_KEY) == 1]
    assert [
        frame.action for frame in alone if frame.action.startswith(("Change", "Set")) and "Interval" in frame.text
    ] == ["ChangeConfiguration" if version is V16 else "SetVariables"]


# --- which network profiles lead here ---------------------------------------------------------------------------------


@V2X
@pytest.mark.requirement("LC-129")
def test_the_profile_by_which_a_station_is_connected_leads_here(bench: Any, version: OcppVersion) -> None:
    b = bench(version, guards=REWRITING)
    store = Store(b)
    set_profile(b, slot=1)
    both = {"setVariableData": [PRIORITY | {"attributeValue": "1,0"}]}
    assert b.from_csms("SetVariables", both)["setVariableResult"][0]["attributeStatus"] == "Rejected"
    store.values[place(SLOT)] = "0"
    variable_read(b, SLOT)
    assert b.from_csms("SetVariables", both)["setVariableResult"][0]["attributeStatus"] == "Accepted"
    after = bench(version, guards=REWRITING, known=b.smart.state)
    Store(after)
    assert after.from_csms("SetVariables", both)["setVariableResult"][0]["attributeStatus"] == "Accepted"


# --- a cable ----------------------------------------------------------------------------------------------------------

URLS = ("ws://a.example.com", "wss://b.example.com/ocpp/CP", f"{GATEWAY}/CP", "ws://a.example.com/x/")
VALUES = {"url": URLS, "interval": ("0", "30", "60", "61", "900"), "other": ("true", "false")}
KEYS = {"url": "CentralSystemURL", "interval": INTERVAL_KEY, "other": "LocalPreAuthorize"}
OTHER = {"component": {"name": "AuthCtrlr"}, "variable": {"name": "LocalPreAuthorize"}}
VARIABLES = {"url": URL, "interval": INTERVAL, "other": OTHER}
WRITES = st.sampled_from([(name, value) for name, values in VALUES.items() for value in values])
STEPS = st.one_of(
    st.tuples(st.just("write"), st.lists(WRITES, min_size=1, max_size=3), st.sampled_from(["Accepted", "RebootRequired", "Rejected"])),
    st.tuples(st.just("read"), st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=4, unique=True)),
    st.sampled_from([("boot",), ("reconnect",)]),
)  # fmt: skip


def written(version: OcppVersion, entries: list[tuple[str, str]]) -> list[tuple[str, dict[str, Any]]]:
    if version is V16:
        return [("ChangeConfiguration", {"key": KEYS[name], "value": value}) for name, value in entries]
    data = [VARIABLES[name] | {"attributeValue": value} for name, value in dict(entries).items()]
    return [("SetVariables", {"setVariableData": data})]


def read(version: OcppVersion, names: list[str]) -> list[tuple[str, dict[str, Any]]]:
    if version is V16:
        return [("GetConfiguration", {"key": [*(KEYS[name] for name in names), "org.example.unknown"]})]
    return [("GetVariables", {"getVariableData": [VARIABLES[name] for name in names]})]


@ALL
@pytest.mark.requirement("LC-126", "LC-128")
@given(steps=st.lists(STEPS, max_size=25))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_no_csms_can_tell_the_gateway_from_a_cable_by_its_configuration(
    bench: Any, version: OcppVersion, steps: list[tuple[Any, ...]]
) -> None:
    """Whatever a CSMS writes and reads, it hears what the station alone would answer; the station never leaves."""
    policy = GuardPolicy(network=Policy.REWRITE, sample_interval_s=60, public_url=GATEWAY)
    cable = Store(SimpleNamespace(version=version, station={}))
    b = bench(version, guards=policy)
    store = Store(b)
    for each in (cable, store):
        each.values |= {(("", "", KEYS[n]) if version is V16 else place(VARIABLES[n])): VALUES[n][0] for n in VALUES}
        each.values[("", "", KEYS["url"]) if version is V16 else place(URL)] = GATEWAY
        each.interval = "900"
    for step in steps:
        match step:
            case "write", entries, verdict:
                cable.verdict = store.verdict = verdict
                calls = written(version, entries)
            case "read", names:
                calls = read(version, names)
            case _:
                store.verdict = "Accepted"
                b = bench(version, guards=policy, known=b.smart.state) if step == ("reconnect",) else b
                store.b, calls = b, []
                b.station |= store.handlers()
                b.boot()
        b.wait(ASKED_S)
        for action, payload in calls:
            assert b.from_csms(action, payload) == cable.handlers()[action](payload)
        urls = [value for value in store.values.values() if "://" in value]
        assert [url for url in urls if not url.startswith(GATEWAY)] == []
        assert len(b.smart.state.shown._values) <= 2


# --- the memory -------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 99), st.sampled_from("ab"), st.sampled_from("ab"))))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_a_value_is_replaced_only_while_it_is_ours_and_the_memory_is_bounded(
    writes: list[tuple[int, str, str]],
) -> None:
    shown, last = ShownValues(), dict[int, tuple[str, str]]()
    for number, real, wished in writes:
        shown.write(key(number), real, wished)
        last[number] = (real, wished)
    for number, (real, wished) in last.items():
        assert shown.of(key(number), real) in ({None} if real == wished else {wished, None})
        assert shown.of(key(number), f"{real}!") is None
    assert sum(shown.of(key(n), real) is not None for n, (real, _) in last.items()) <= MOST_SHOWN


def test_settings_compare_without_case() -> None:
    assert key(" MeterValueSampleInterval") == Setting("", "", "", "metervaluesampleinterval", "")
    assert rpc.parse('[3,"a",{}]').payload == {}
