"""Which phases a car uses, by what was measured of it alone."""

from __future__ import annotations

from local_controller.site.used_phases import PHASE_PROOF_SAMPLES, UsedPhases

ALL = (0, 1, 2)


def test_a_phase_is_idle_after_enough_samples_and_used_again_after_one() -> None:
    uses = UsedPhases()
    for number in range(PHASE_PROOF_SAMPLES):
        assert uses.of(ALL) == ALL
        assert uses.would_learn is (number > 0)
        uses.shown((10.0, 0.0, 10.0), shows_phases=True, is_on_one=False)
    assert uses.of(ALL) == (0, 2)
    assert not uses.would_learn
    uses.shown((10.0, 1.5, 10.0), shows_phases=True, is_on_one=False)
    assert uses.of(ALL) == ALL


def test_of_phases_that_were_all_idle_any_may_be_used() -> None:
    uses = UsedPhases()
    for _ in range(PHASE_PROOF_SAMPLES):
        uses.shown((10.0, 0.0, 0.0), shows_phases=True, is_on_one=True)
    assert uses.of((1, 2)) == (1, 2)
    assert uses.has_drawn
    assert not uses.spans
    uses.forget()
    assert uses.of(ALL) == ALL


def test_a_meter_that_shows_no_phases_proves_none_idle() -> None:
    uses = UsedPhases()
    for _ in range(PHASE_PROOF_SAMPLES):
        uses.shown((10.0, 0.0, 0.0), shows_phases=False, is_on_one=False)
    assert uses.of(ALL) == ALL


def test_who_loads_three_alike_is_even_until_it_is_measured_otherwise_or_told_to_use_others() -> None:
    uses = UsedPhases()
    uses.shown((10.0, 10.4, 9.8), shows_phases=True, is_on_one=False)
    assert uses.is_even
    assert uses.spans
    uses.shown((1.0, 0.0, 0.0), shows_phases=True, is_on_one=False)
    assert uses.is_even, "too little to tell"
    uses.shown((16.0, 0.0, 0.0), shows_phases=True, is_on_one=False)
    assert not uses.is_even
