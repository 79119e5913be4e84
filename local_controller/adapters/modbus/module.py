"""Where does an I/O module of this model keep its digital inputs, and which models do we know?

One YAML file per model in `modules/`, named after it. Function codes 1 and 2 read bits, 3 and 4 words of sixteen
channels each, the first channel in the lowest bit. Addresses are those on the wire, counted from 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final, Literal

import pydantic
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from local_controller.errors import SourceError

WORD_BITS: Final = 16


class Module(pydantic.BaseModel):
    """One model of I/O module.

    first_channel: how the module itself numbers its first channel; channels: how many a model of the family has at
    most; port: if it is not 502; sources: where the addresses were read, none is measured on hardware.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    id: str
    vendor: str
    models: tuple[str, ...]
    sources: tuple[str, ...] = pydantic.Field(min_length=1)
    notes: tuple[str, ...] = ()
    port: int = pydantic.Field(default=502, ge=1, le=65535)
    function_code: Literal[1, 2, 3, 4]
    first_address: int = pydantic.Field(ge=0, le=0xFFFF)
    first_channel: Literal[0, 1]
    channels: int = pydantic.Field(ge=1, le=2000)

    def asked_for(self, channels: int) -> int:
        """How many bits or words a read of so many channels asks for."""
        return channels if self.function_code in {1, 2} else -(-channels // WORD_BITS)

    def closed(self, answer: Sequence[int | bool], channels: int) -> tuple[bool, ...]:
        """The channels in an answer: what conducts is closed."""
        bits = answer if self.function_code in {1, 2} else list(_bits(answer))
        return tuple(bool(bit) for bit in bits[:channels])


def _bits(words: Sequence[int]) -> Iterator[int]:
    for word in words:
        yield from (word >> bit & 1 for bit in range(WORD_BITS))


def known_modules() -> list[str]:
    """The names that a site file may use as `device` of an I/O module, sorted."""
    return sorted(file.name.removesuffix(".yaml") for file in _folder().iterdir() if file.name.endswith(".yaml"))


def load_module(module_id: str) -> Module:
    """The data of a known module; SourceError names the known ones, or what is wrong with its file."""
    if module_id not in known_modules():
        raise SourceError(f"no data for the I/O module {module_id!r}; known are: {', '.join(known_modules())}")
    try:
        content = YAML(typ="safe", pure=True).load((_folder() / f"{module_id}.yaml").read_text(encoding="utf-8"))
        return Module(**{"id": module_id, **content})
    except (YAMLError, TypeError, pydantic.ValidationError) as error:
        raise SourceError(f"data of the I/O module {module_id}: {error}") from error


def _folder() -> Traversable:
    """Where the files lie, also inside a wheel."""
    return resources.files("local_controller.adapters.modbus") / "modules"
