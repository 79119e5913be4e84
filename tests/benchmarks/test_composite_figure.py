"""The benchmark of the composite: does it measure what it says, and does the engine agree with the evaluator there?"""

from __future__ import annotations

import pytest

from benchmarks.composite import DAY_S, START, document, measured
from local_controller.profiles.explained import explained
from local_controller.profiles.lines import Window
from local_controller.profiles.units import RateUnit
from local_controller.station import composite_file
from tests.profiles.oracle import VERSIONS


@pytest.mark.parametrize("version", VERSIONS)
def test_each_profile_leads_at_some_time(version: str) -> None:
    question = composite_file.read(document(version, 4))
    (context,) = question.station.evses
    found = explained(question.installed, context, RateUnit.A, Window.of(START, DAY_S))
    leading = {lead.entry.profile.id for stretch in found for lead in stretch.leading}
    assert leading == {entry.profile.id for entry in question.installed}
    assert len(leading) == 20


@pytest.mark.requirement("LC-081")
def test_engine_and_evaluator_agree_on_a_day() -> None:
    line = measured("1.6", 4)
    assert (line["profiles"], line["disagreements"]) == (20, 0)
    assert line["ratio"] > 100
