"""How long before a limit falls by the clock are cars told?"""

from __future__ import annotations

import pytest

from local_controller.site.lead import lead_s


@pytest.mark.parametrize(("settle_s", "lead"), [(0.0, 20.0), (10.0, 20.0), (60.0, 70.0), (86_400.0, 300.0)])
def test_it_follows_the_slowest_within_bounds(settle_s: float, lead: float) -> None:
    assert lead_s(settle_s) == lead
