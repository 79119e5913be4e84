"""Does a message keep the spelling of what did not change?"""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_controller.rpc import frame as rpc
from local_controller.rpc.rewriting import rewritten
from tests.payloads import spelt

PAYLOAD = '{"x" : 1.10,"y":[ {"v":"1", "w":1E3},{"v":"\\u00e9"} ],  "z":{}}'
SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=4)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
)


@pytest.mark.requirement("LC-126")
@pytest.mark.parametrize(
    ("payload", "third"),
    [
        ({"x": 1.1, "y": [{"v": "1", "w": 1e3}, {"v": "é"}], "z": {}}, PAYLOAD),
        ({"x": 1.1, "y": [{"v": "2", "w": 1e3}, {"v": "é"}], "z": {}}, PAYLOAD.replace('"1"', '"2"')),
        ({"x": 1.1, "y": [{"v": "é"}], "z": {}}, '{"x" : 1.10,"y":[ {"v":"\\u00e9"} ],  "z":{}}'),
        ({"x": 1.1, "z": {"n": None}}, '{"x" : 1.10,  "z":{"n":null}}'),
        ({"z": {}, "new": "é"}, '{"z":{},"new":"\\u00e9"}'),
        ({"x": True, "z": 1}, '{"x" : true,  "z":1}'),
        ({}, "{}"),
        ({"y": [1, {"v": "é"}, 2]}, '{"y":[ 1,{"v":"\\u00e9"},2 ]}'),
    ],
    ids=json.dumps,
)
def test_only_what_changed_is_written_anew(payload: Any, third: str) -> None:
    call = '[2 , "a",\t"SetVariables", {} , "more"]'
    assert rewritten(call.replace("{}", PAYLOAD), 3, json.loads(PAYLOAD), payload) == call.replace("{}", third)


@pytest.mark.requirement("LC-126")
@given(old=VALUES, new=VALUES, seed=st.integers(0, 2**20))
def test_the_new_text_always_says_the_new_value(old: Any, new: Any, seed: int) -> None:
    text = f" [3,\t{spelt(old, random.Random(seed))} ,0]\n"
    assert json.loads(rewritten(text, 1, old, new)) == [3, new, 0]
    assert rewritten(text, 1, old, json.loads(json.dumps(old))) == text


@given(value=st.dictionaries(st.text(max_size=3), VALUES, min_size=1, max_size=5), data=st.data())
def test_a_changed_member_leaves_all_others_to_the_byte(value: dict[str, Any], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(value)))
    text = f"[3,{spelt(value, random.Random(1))}]"
    marked = rewritten(text, 1, value, value | {name: "NEW"})
    old = text.replace(" ", "").replace("\n", "")
    assert marked.count('"NEW"') == 1 + old.count('"NEW"') - json.dumps(value[name]).count('"NEW"')
    before, _, after = marked.partition('"NEW"')
    assert text.startswith(before)
    assert text.endswith(after)


@pytest.mark.requirement("LC-126")
def test_entries_that_were_copied_keep_their_spelling_where_others_are_left_out() -> None:
    """Who leaves entries out may hand over copies of those that stay: what they say counts, not who made them."""
    text = '[3,"a",{"list":[ {"limit" : 1.10},{"limit":2},{"limit":3E0} ]}]'
    kept = {"list": [{"limit": 1.1}, {"limit": 3.0}]}
    assert rewritten(text, 2, json.loads(text)[2], kept) == '[3,"a",{"list":[ {"limit" : 1.10},{"limit":3E0} ]}]'


def test_a_name_that_stands_twice_is_written_once() -> None:
    for text in ('[0,{"a":1,"a":2}]', '[0,{"a":1,"a":22, "b":1}]', '[0,{"a":"}","a":2}]', '[0,{"a":1,"b":2,"a":3}]'):
        old = json.loads(text)[1]
        assert rewritten(text, 1, old, old | {"a": 5}) == f"[0,{json.dumps(old | {'a': 5}, separators=(',', ':'))}]"


def test_1_is_neither_true_nor_1_0() -> None:
    old = {"a": 1, "b": 1.0, "c": True, "d": [1, 2]}
    for new in ({"a": 1.0}, {"b": True}, {"c": 1}, {"d": [True, 2]}, {"d": [1.0]}):
        text = f"[0,{json.dumps(old)}]"
        assert json.dumps(json.loads(rewritten(text, 1, old, old | new))[1]) == json.dumps(old | new)


def test_a_message_without_a_payload_gets_one() -> None:
    assert rpc.altered(rpc.parse('[2,"a","X"]'), {"b": 1}).text == '[2,"a","X",{"b":1}]'
    assert rpc.altered(rpc.parse('[3, "a", {"b":1.0}]'), {"b": 1.0, "c": 2}).text == '[3, "a", {"b":1.0,"c":2}]'


@pytest.mark.requirement("LC-020", "LC-126")
def test_an_endless_number_of_a_peer_stays_one_where_all_must_be_written_anew() -> None:
    """A lone surrogate and a name said twice leave no place to put a value into; the number beside it is still the peer's."""
    for odd in ('"k":"\\ud800"', '"k":1,"k":2'):
        text = f'[3,"a",{{{odd},"value":"20","Infinity":[1E400,-1E400,"-Infinity"]}}]'
        answer = rpc.parse(text)
        changed = rpc.altered(answer, answer.payload | {"value": "10"})
        assert json.loads(changed.text)[2] == answer.payload | {"value": "10"}
        assert "Infinity,1e999" not in changed.text
        assert changed.text.endswith('"Infinity":[1e999,-1e999,"-Infinity"]}]')


def test_a_number_of_ours_that_is_none_is_never_put_into_a_message_of_a_peer() -> None:
    call = rpc.parse('[2,"a","X",{"limit":16}]')
    with pytest.raises(ValueError, match="not JSON compliant"):
        rpc.altered(call, {"limit": float("inf")})
