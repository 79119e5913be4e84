"""Do both validators of the simulated peers allow the same, and is a refusal told in the package's own words?"""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import ocpp.messages
import pytest
from jsonschema import ValidationError
from ocpp.exceptions import OCPPError, TypeConstraintViolationError
from ocpp.messages import Call

import site_simulator.peer  # noqa: F401  # which makes the package ask both
from local_controller.station.words import OcppVersion
from site_simulator.schemas import BothValidators
from tests.payloads import actions, payload

VERSIONS = {OcppVersion.V16: "1.6", OcppVersion.V201: "2.0.1", OcppVersion.V21: "2.1"}
CALL, CALLRESULT = 2, 3
IN_DECIMALS = {"SetChargingProfile", "RemoteStartTransaction", "GetCompositeSchedule"}
"""Of 1.6: their amperes have one decimal, which binary numbers have not."""

INSTEAD = (None, True, 0, -1, 1.0, 1.05, 16.15, 1e30, 2**70, "", "x" * 3000, "\ud83d", [], {}, [{}])
"""What a damaged member holds; some of it is right at some place."""


def number_of(version: str, action: str) -> Callable[[str], Any]:
    return Decimal if version == "1.6" and action in IN_DECIMALS else float


def both(version: str, action: str, message_type: int) -> BothValidators:
    found = ocpp.messages.get_validator(message_type, action, version, parse_float=number_of(version, action))
    assert isinstance(found, BothValidators)
    return found


def damaged(value: Any, rnd: random.Random) -> Any:
    """One member somewhere is missing, unknown or something else."""
    if not isinstance(value, dict) or not value or rnd.random() < 0.2:
        return rnd.choice(INSTEAD) if not isinstance(value, dict) else value | {"unknown": 1}
    name = rnd.choice(sorted(value))
    if rnd.random() < 0.3:
        return {key: child for key, child in value.items() if key != name}
    child = value[name]
    if isinstance(child, list) and child:
        return value | {name: [*child[:-1], damaged(child[-1], rnd)]}
    return value | {name: damaged(child, rnd)}


@pytest.mark.parametrize("version", list(OcppVersion))
def test_what_the_quick_one_allows_the_slow_one_allows(version: OcppVersion) -> None:
    """The other way round the slow one is asked anyway."""
    rnd, verdicts = random.Random(7), set[bool]()
    for action in actions(version):
        for message_type in (CALL, CALLRESULT):
            try:
                validator = both(VERSIONS[version], action, message_type)
            except OSError:  # one that the package does not know
                continue
            for _ in range(2):
                text = payload(version, action, rnd, is_answer=message_type == CALLRESULT)
                number = number_of(VERSIONS[version], action)
                for one in (json.loads(text), damaged(json.loads(text), rnd)):
                    one = json.loads(json.dumps(one), parse_float=number)  # noqa: PLW2901
                    try:
                        validator._slow.validate(one)
                        is_allowed = True
                    except ValidationError:
                        is_allowed = False
                    verdicts.add(is_allowed)
                    try:
                        assert is_allowed or not validator._quick.is_valid(one), (action, one)
                    except ValueError:
                        assert "\\ud83d" in json.dumps(one)
    assert verdicts == {True, False}


async def refusal(payload: dict[str, Any]) -> OCPPError:
    with pytest.raises(OCPPError) as caught:
        await ocpp.messages.validate_payload(Call("1", "Authorize", payload), "1.6")
    return caught.value


async def test_what_both_refuse_is_refused_in_the_words_of_the_package() -> None:
    found = await refusal({"idTag": "x" * 21})
    assert isinstance(found, TypeConstraintViolationError)
    assert found.details["cause"] == f"'{'x' * 21}' is too long"


async def test_half_a_letter_is_left_to_the_slow_one() -> None:
    await ocpp.messages.validate_payload(Call("1", "Authorize", {"idTag": "\ud83d"}), "1.6")


async def test_no_thread_is_asked() -> None:
    before = threading.enumerate()
    await ocpp.messages.validate_payload(Call("1", "Heartbeat", {}), "1.6")
    assert threading.enumerate() == before
