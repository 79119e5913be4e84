"""Are the shipped register maps those that were read in their sources, written down here a second time?

An image that is made from a map is decoded by it whatever the map says: a wrong word order, factor or sign needs a second opinion.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from ruamel.yaml import YAML

from local_controller.adapters.modbus.device import known_devices

WRITTEN = Path(__file__).with_name("register_maps.csv")


def shipped() -> Iterator[str]:
    """A line for each register: device, function code, word order, quantity, register, type, factor."""
    folder = resources.files("local_controller.adapters.modbus") / "devices"
    for name in sorted(known_devices()):
        device = YAML(typ="safe").load((folder / f"{name}.yaml").read_text("utf-8"))
        for quantity, point in device["points"].items():
            registers = point["at"] if isinstance(point["at"], list) else [point["at"]]
            for register in registers:
                head = f"{name},{device['function_code']},{device['word_order']},{quantity}"
                yield f"{head},{register},{point['type']},{point.get('factor', 1):g}"


def test_every_register_is_read_as_its_source_says() -> None:
    assert list(shipped()) == WRITTEN.read_text("utf-8").splitlines()[1:]
