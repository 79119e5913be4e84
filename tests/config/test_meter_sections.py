"""What a site file says about meters: is a mistake told at its place, with its remedy?"""

from __future__ import annotations

import textwrap

from local_controller.config.load import examined, known_devices
from local_controller.config.models import SiteConfig

SITE = """\
site: {name: Shop, mode: control}
csms: {url: ws://csms/ocpp/}
grid_connection: {fuse_a: 63, assumed_base_load_a: 4, meter: main}
stations:
  - {id: CP-1}
"""


def examine(text: str) -> tuple[SiteConfig | None, list[str]]:
    """The config, and each mistake with the line of the text in which it stands, counted from 1."""
    config, mistakes = examined(SITE + textwrap.dedent(text), known_devices())
    lines = SITE.count("\n")
    return config, [f"{mistake.place.line - lines}: {mistake.message}" for mistake in mistakes]


def test_devices_behind_one_address_agree_on_how_it_is_spoken_to() -> None:
    config, told = examine(
        """\
        meters:
          - {id: main, device: eastron_sdm630, host: gateway, framing: rtu_over_tcp}
          - {id: wing, device: eastron_sdm630, host: gateway, unit_id: 2}
          - {id: shop, device: eastron_sdm630, host: gateway, unit_id: 3, port: 503}
        """
    )
    assert config is None
    reason = "main says rtu_over_tcp of gateway:502 and this says tcp: both share one connection"
    assert told == [f"3: meters[wing].framing: {reason}, so one of the two is wrong"]
