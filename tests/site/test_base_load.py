"""How much of a reading is not charging? Readings and what the cars may draw, and the estimate that follows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from local_controller.site.base_load import BaseLoad
from local_controller.site.per_phase import equal
from tests.site.virtual_site import START


def test_without_cars_the_reading_is_the_base_load() -> None:
    base = BaseLoad()
    assert base.update(equal(12.0), equal(0.0), equal(0.0), START) == equal(12.0)
    assert base.update(equal(5.0), equal(0.0), equal(0.0), START.after(1)) == equal(5.0)


def test_a_car_that_takes_up_a_raise_is_no_new_load() -> None:
    base = BaseLoad(current_a=equal(10.0))
    assert base.update(equal(26.0), equal(6.0), equal(16.0), START) == equal(10.0)


def test_what_no_car_may_draw_is_a_new_load_at_once() -> None:
    base = BaseLoad(current_a=equal(10.0))
    assert base.update(equal(30.0), equal(6.0), equal(16.0), START) == equal(14.0)


def test_generation_does_not_make_it_negative() -> None:
    assert BaseLoad().update((-20.0, 3.0, 0.0), equal(0.0), equal(0.0), START) == (0.0, 3.0, 0.0)


def test_a_fall_is_believed_only_by_what_was_measured_since() -> None:
    base, measured_at = BaseLoad(current_a=equal(10.0)), START.after(-1)
    base.update(equal(30.0), equal(20.0), equal(20.0), START, measured_at)
    for second in range(1, 40):  # the car of 20 A rests, or the building does
        base.update(equal(20.0), equal(20.0), equal(20.0), START.after(second), measured_at)
    assert base.current_a == equal(10.0)
    assert base.update(equal(20.0), equal(20.0), equal(20.0), START.after(40), START.after(40)) == equal(0.0)


def test_the_peak_is_that_of_the_last_quarter_of_an_hour() -> None:
    base = BaseLoad()
    base.update(equal(40.0), equal(0.0), equal(0.0), START)
    for second in range(1, 1100):
        base.update(equal(float(second % 10)), equal(0.0), equal(0.0), START.after(second))
        assert base.peak() == equal(40.0) or second > 840
    assert base.peak() == equal(9.0)
    assert len(base._peaks) <= 17
    assert len(base._highs) <= 152


AMPS = st.floats(0.0, 60.0)


@given(st.lists(st.tuples(AMPS, AMPS, AMPS, st.booleans()), min_size=1, max_size=40))
def test_estimate_and_what_cars_may_draw_always_explain_the_reading(
    rows: list[tuple[float, float, float, bool]],
) -> None:
    base, sampled_at = BaseLoad(), START
    for second, (measured_a, a, b, is_new) in enumerate(rows):
        now = START.after(second)
        sampled_at = now if is_new else sampled_at
        estimate = base.update(equal(measured_a), equal(min(a, b)), equal(max(a, b)), now, sampled_at)
        assert estimate[0] + max(a, b) >= measured_a - 1e-9
        assert estimate[0] >= 0.0
