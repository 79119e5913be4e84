"""What do cars get while a grid operator's control box speaks, falls silent and comes back?"""

from __future__ import annotations

import pytest

from local_controller.site.capacity import capacity
from local_controller.site.limits import Bound
from local_controller.site.lpc import LpcHeartbeat, LpcLimit, LpcSettings, LpcWord
from local_controller.site.snapshot import LimitSourceView, snapshot
from tests.site.virtual_site import Car, VirtualSite, topology


class Dimmed(VirtualSite):
    """One station on one phase and a control box."""

    def __init__(self) -> None:
        super().__init__(topology(63.0, 1, rotations=("R",)), boxes={"box": LpcSettings(failsafe_s=600.0)})
        self.shows_volts = True
        self.connect()
        self.run(5)
        self.plug("CP-1", Car(phases=1))

    def hear(self, *said: LpcWord) -> None:
        for word in said:
            self.carry_out(self.controller.control_box_said("box", word, self.now))

    def beat(self, seconds: int) -> None:
        for _ in range(seconds // 50):
            self.hear(LpcHeartbeat())
            self.run(50)

    @property
    def view(self) -> LimitSourceView:
        (view,) = snapshot(self.controller, self.now).limits
        return view


@pytest.mark.requirement("LC-116")
def test_cars_follow_a_control_box_through_all_its_states() -> None:
    site = Dimmed()
    site.run(100)
    assert site.drawn() == pytest.approx([18.2], abs=0.3), "4.2 kW from the start"
    assert (site.view.state, site.view.trouble, site.view.power_w) == ("init", "no heartbeat", 4200.0)
    site.run(120)
    assert site.drawn() == [32.0], "two minutes without a limit"
    site.hear(LpcHeartbeat(), LpcLimit(2300.0))
    site.run(10)
    assert site.drawn() == [10.0]
    assert (site.view.state, site.view.reason, site.view.trouble, site.view.ends_in_s) == (
        "fresh",
        "limited",
        "",
        110.0,
    )
    site.beat(200)
    site.hear(LpcLimit(None))
    site.beat(200)
    assert site.drawn() == [32.0]
    site.run(80)
    assert site.drawn() == pytest.approx([18.2], abs=0.3), "no heartbeat for two minutes"
    assert (site.view.state, site.view.reason) == ("stale", "failsafe")
    site.hear(LpcLimit(7000.0), LpcHeartbeat())
    site.run(30)
    assert site.drawn() == pytest.approx([18.2], abs=0.3), "in the wrong order"
    site.hear(LpcLimit(7000.0))
    site.beat(100)
    assert site.drawn() == pytest.approx([7000 / 230], abs=0.5)
    site.run(30 + 600 + 120)
    assert site.drawn() == [32.0]
    assert [n.text.split(": ")[1] for n in site.notices if n.code == "limit_changed"] == [
        "unlimited, autonomous",
        "limited",
        "unlimited, controlled",
        "failsafe",
        "limited",
        "failsafe",
        "unlimited, autonomous",
    ]


def test_nothing_is_raised_while_a_heartbeat_is_late() -> None:
    site = Dimmed()
    site.hear(LpcHeartbeat(), LpcLimit(2300.0))
    site.run(30)
    site.hear(LpcHeartbeat(), LpcLimit(None))
    site.run(9)
    before_a = site.drawn()[0]
    site.run(51.5 + 5)
    risen_a = site.drawn()[0]
    site.run(30)
    assert before_a < risen_a == site.drawn()[0], "it rose while the heartbeat was fresh"
    assert site.view.state == "suspect"


@pytest.mark.requirement("LC-116")
def test_nonsense_counts_as_silence_and_the_words_of_a_limit_name_its_state() -> None:
    site = Dimmed()
    site.hear(LpcHeartbeat(), LpcLimit(6900.0))
    site.run(100)
    room = capacity(site.controller.nodes["grid"], site.controller.book, site.now)
    assert room.together is not None
    assert room.together.sentence() == "limit 'box' (limited) 6900 W / 230 V: 30.0 A over all phases"
    site.carry_out(site.controller.limit_source_failed("box", "box on topic t: no JSON", site.now))
    assert site.controller.book.sources["box"].bound(site.now) == Bound(power_w=4200.0)
    assert site.view.trouble == "box on topic t: no JSON"
    site.run(20)
    assert site.drawn() == pytest.approx([18.2], abs=0.3)


def test_a_message_for_another_kind_of_source_is_a_fault_of_ours() -> None:
    site = Dimmed()
    del site.controller.book.sources["box"]
    with pytest.raises(KeyError):
        site.hear(LpcHeartbeat())
