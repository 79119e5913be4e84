"""What does a tariff refuse, so that no plan is made on nonsense?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from optimizer.problem import Tariff
from tests.optimizer.samples import car, garage

FLAT = (0.3, 0.3, 0.3, 0.3)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"import_per_kwh": (float("nan"),)}, "import_per_kwh must be finite numbers, is nan"),
        ({"surplus_w": (-1.0,)}, "surplus_w must be finite numbers, 0 or more, is -1.0"),
        ({"background_w": (float("inf"),)}, "background_w must be finite numbers, 0 or more, is inf"),
        ({"peak_w": -5.0}, "peak_w must be finite, 0 or more, is -5.0"),
        ({"peak_per_kw": -0.1}, "peak_per_kw must be None or finite, 0 or more, is -0.1"),
    ],
)
def test_a_number_that_is_none_is_named(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=f"^Tariff: {told}$"):
        Tariff(**{"import_per_kwh": FLAT, **wrong})


@pytest.mark.parametrize(
    "wrong",
    [
        {"import_per_kwh": FLAT[:3]},
        {"import_per_kwh": ()},
        {"surplus_w": (1.0,)},
        {"export_per_kwh": FLAT[:3]},
        {"background_w": (*FLAT, 1.0)},
    ],
)
def test_a_tariff_has_an_entry_for_each_block(wrong: dict[str, Any]) -> None:
    (field,) = wrong
    with pytest.raises(ValueError, match=rf"^Tariff: {field} must be .*4 blocks, is {len(wrong[field])}$"):
        replace(garage(car("CP-1")), tariff=Tariff(**{"import_per_kwh": FLAT, **wrong}))


def test_prices_may_be_negative_and_a_worth_too() -> None:
    tariff = Tariff((-0.1, *FLAT[1:]), export_per_kwh=(-0.2, *FLAT[1:]))
    problem = replace(garage(car("CP-1", energy_worth_per_kwh=-0.05)), tariff=tariff)
    assert problem.tariff == tariff


def test_a_worth_is_a_number() -> None:
    with pytest.raises(ValueError, match="energy_worth_per_kwh must be None or finite, is inf"):
        car("CP-1", energy_worth_per_kwh=float("inf"))
