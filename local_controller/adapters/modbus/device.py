"""Which models of meters do we know? One YAML file per device in `devices/`, named after the device."""

from __future__ import annotations

import json
from importlib import resources
from importlib.resources.abc import Traversable

import pydantic
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from local_controller.config.meter_devices import Device
from local_controller.errors import SourceError


def known_devices() -> list[str]:
    """The names of the shipped devices that a site file may use as a meter's `device`, sorted."""
    return sorted(file.name.removesuffix(".yaml") for file in _folder().iterdir() if file.name.endswith(".yaml"))


def load_device(device_id: str) -> Device:
    """The data of a known device; SourceError names the known ones, or what is wrong with its file."""
    if device_id not in known_devices():
        raise SourceError(f"no meter data for {device_id!r}; known are: {', '.join(known_devices())}")
    return parse_device(device_id, (_folder() / f"{device_id}.yaml").read_text(encoding="utf-8"))


def parse_device(device_id: str, text: str) -> Device:
    """A device file's content; SourceError lists every mistake in it with its place."""
    try:
        content = YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise SourceError(f"meter data {device_id}: {error}") from error
    if not isinstance(content, dict):
        raise SourceError(f"meter data {device_id}: expected keys and values, found {content!r}")
    try:
        return Device.model_validate_json(json.dumps({"id": device_id, **content}))
    except pydantic.ValidationError as error:
        mistakes = [f"{'.'.join(map(str, each['loc'])) or 'file'}: {each['msg']}" for each in error.errors()]
        raise SourceError(f"meter data {device_id}: {'; '.join(mistakes)}") from error


def _folder() -> Traversable:
    """Where the device files lie, also inside a wheel."""
    return resources.files("local_controller.adapters.modbus") / "devices"
