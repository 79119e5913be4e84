"""Is a record of a product read strictly, and do its beliefs carry where they come from?"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from local_controller.errors import KnowledgeError
from local_controller.profiles.units import RateUnit
from local_controller.station.capability import BELIEFS, Capability, How, Origin
from local_controller.station.dialects.base import BootCall, StatedCapability
from local_controller.station.knowledge import Actuator, Knowledge, Loss, StartKind, VendorKey, VendorUnit
from local_controller.station.quirks import quirk_of, read_quirks

HEAD = "- name: Acme One\n  vendor: acme\n  note: a note\n"
SOURCE = "  source: https://example.org/1\n"
WHEN = datetime(2026, 11, 27, tzinfo=UTC)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("actuator: [tx_default]", "actuator: there is no such key: did you mean actuators?"),
        ("frobnicate: 1", "frobnicate: there is no such key: known are actuators"),
        ("actuators: [tx_magic]", "a list of tx_profile, tx_default, station_max, vendor_key"),
        ("actuators: [tx_default, tx_default]", "name each one once"),
        ("actuators: [vendor_key]", "vendor_key: actuators names it: say its name and unit"),
        ("vendor_key: {name: DynamicChargerCurrent, unit: kA}", "a mapping of name and unit (A, dA, mA)"),
        ("unit: kW", "A or W"),
        ("levels_a: [8, 6]", "from the lowest to the highest"),
        ("levels_a: [6, 8]\n  step_a: 1", "keep one of the two"),
        ("writes_per_day: 0", "writes_per_day"),
        ("version: 1.6", "in quotes"),
        ("model: 7", "model: 7 is no text: put it in quotes"),
        ("firmware: '('", "firmware: '(' is no regular expression"),
    ],
)
def test_a_mistake_is_told_with_record_key_and_remedy(line: str, complaint: str) -> None:
    with pytest.raises(KnowledgeError) as caught:
        read_quirks(f"{HEAD}{SOURCE}  {line}\n")
    assert str(caught.value).startswith("quirk Acme One: ")
    assert complaint in str(caught.value)


@pytest.mark.parametrize("source", ["", "  source: a friend\n", "  source: [https://example.org, hearsay]\n"])
def test_every_record_says_where_it_was_reported(source: str) -> None:
    with pytest.raises(KnowledgeError, match="source"):
        read_quirks(HEAD + source)


def test_a_full_record_becomes_beliefs_that_name_it() -> None:
    (quirk,) = read_quirks(
        f"{HEAD}  model: one\n  firmware: ^1[.]\n"
        "  source: [https://example.org/1, 'observed on Acme One 1.2, 2026-11-27']\n"
        "  actuators: [vendor_key, tx_default]\n  unit: A\n  kinds: [relative]\n  levels_a: [6, 8, 10, 13, 16]\n"
        "  writes_per_day: 25\n  vendor_key: {name: DynamicChargerCurrent, unit: dA}\n  forgets: [disconnect]\n"
    )
    assert quirk_of(BootCall("ACME", "One", "1.4", ""), [quirk]) is quirk
    assert quirk_of(BootCall("ACME", "One", "2.0", ""), [quirk]) is None
    believed = quirk.applied(Capability(), WHEN)
    assert believed.actuators == (Actuator.VENDOR_KEY, Actuator.TX_DEFAULT)
    assert believed.vendor_key == VendorKey("DynamicChargerCurrent", VendorUnit.DECI_A)
    assert (believed.units, believed.kinds, believed.forgets) == (
        (RateUnit.A,),
        (StartKind.RELATIVE,),
        {Loss.DISCONNECT},
    )
    assert believed.belief("levels_a").value == "6, 8, 10, 13, 16"
    assert believed.belief("levels_a").origin == Origin(How.QUIRK, WHEN, "Acme One")
    assert believed.belief("settle_s").origin.how is How.DEFAULT
    assert [belief.what for belief in believed.beliefs()] == [*BELIEFS]


def test_the_site_file_beats_the_record_and_both_beat_the_station() -> None:
    mine = Capability().knowing(Knowledge(unit=RateUnit.W, max_periods=3), Origin(How.SITE_FILE))
    (quirk,) = read_quirks(f"{HEAD}{SOURCE}  unit: A\n  max_periods: 7\n  stack_level: 2\n")
    believed = quirk.applied(mine, WHEN).stated(StatedCapability(frozenset({RateUnit.A}), 9, 20), WHEN)
    assert (believed.units, believed.max_periods, believed.stack_level) == ((RateUnit.W,), 3, 2)
    theirs = quirk.applied(Capability(), WHEN).stated(StatedCapability(frozenset({RateUnit.W}), 9, 20), WHEN)
    assert (theirs.units, theirs.max_periods) == ((RateUnit.A,), 7)
