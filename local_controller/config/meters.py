"""What may a site file say about a meter?"""

from __future__ import annotations

from typing import Final, Literal, Self

from pydantic import Field, model_validator

from local_controller.config.section import Host, Id, Port, Section, Text, wrong

Baud = Literal[2400, 4800, 9600, 19200, 38400, 57600, 115200]
Parity = Literal["none", "even", "odd"]

SUNSPEC: Final = "sunspec"
"""The `device` that looks for its registers by itself."""

_SERIAL_ONLY: Final = ("baud", "parity", "stop_bits")
_NETWORK_ONLY: Final = ("port", "framing")


class MeterSection(Section):
    """A meter read over Modbus."""

    id: Id = Field(examples=["main"])
    """Short name that other parts of the file refer to."""
    device: str = Field(examples=["eastron_sdm630"])
    """Kind of meter: one that the gateway knows, one of the section `devices`, or sunspec."""
    host: Host | None = Field(default=None, examples=["192.168.1.20"])
    """Address of the meter, or of the gateway in front of it; needed unless `serial` is there."""
    port: Port = 502
    """TCP port."""
    unit_id: int = Field(default=1, ge=0, le=255)
    """Modbus unit id (slave address)."""
    framing: Literal["tcp", "rtu_over_tcp"] = "tcp"
    """rtu_over_tcp for converters that pass serial frames through unchanged."""
    serial: Text | None = Field(default=None, examples=["/dev/ttyUSB0"])
    """In place of host, port and framing: the serial line (Modbus RTU over RS-485) of this machine that the meter is wired to."""
    baud: Baud = 9600
    """Bits per second on the serial line."""
    parity: Parity = "none"
    """Parity bit on the serial line."""
    stop_bits: Literal[1, 2] = 1
    """Stop bits on the serial line."""
    invert: bool = False
    """true if the current transformers look the wrong way: import is counted positive."""
    poll_s: float = Field(default=1.0, ge=0.2, le=2.0)
    """Seconds between two readings; 1 for TCP, up to 2 for serial buses."""

    @model_validator(mode="after")
    def _one_way_to_it(self) -> Self:
        if self.host is None and self.serial is None:
            raise wrong("host", "is missing - for example `host: 192.168.1.20`, or `serial: /dev/ttyUSB0`")
        if self.host is not None and self.serial is not None:
            raise wrong("serial", "a meter is reached by its host or over a serial line: delete one of the two")
        strangers = _SERIAL_ONLY if self.serial is None else _NETWORK_ONLY
        for key in strangers:
            if key in self.model_fields_set:
                raise wrong(key, f"means nothing {'without' if self.serial is None else 'beside'} `serial`: delete it")
        return self
