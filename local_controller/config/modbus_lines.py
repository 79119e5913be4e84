"""What may a site file say about how a Modbus device is reached, whatever it is?"""

from __future__ import annotations

from typing import Final, Literal, Self

from pydantic import Field, model_validator

from local_controller.config.section import Host, Id, Port, Section, Text, wrong

Baud = Literal[2400, 4800, 9600, 19200, 38400, 57600, 115200]
Parity = Literal["none", "even", "odd"]

_SERIAL_ONLY: Final = ("baud", "parity", "stop_bits")
_NETWORK_ONLY: Final = ("port", "framing")


class ModbusPlace(Section):
    """Where something is read over Modbus, in the network or on a serial line."""

    host: Host | None = Field(default=None, examples=["192.168.1.20"])
    """Address of the device, or of the gateway in front of it; needed unless `serial` is there."""
    port: Port | None = None
    """TCP port; that of its kind if left out, mostly 502."""
    unit_id: int = Field(default=1, ge=0, le=255)
    """Modbus unit id (slave address)."""
    framing: Literal["tcp", "rtu_over_tcp"] = "tcp"
    """rtu_over_tcp for converters that pass serial frames through unchanged."""
    serial: Text | None = Field(default=None, examples=["/dev/ttyUSB0"])
    """In place of host, port and framing: the serial line (Modbus RTU over RS-485) of this machine that it is wired to."""
    baud: Baud = 9600
    """Bits per second on the serial line."""
    parity: Parity = "none"
    """Parity bit on the serial line."""
    stop_bits: Literal[1, 2] = 1
    """Stop bits on the serial line."""

    @model_validator(mode="after")
    def _one_way_to_it(self) -> Self:
        if self.host is None and self.serial is None:
            raise wrong("host", "is missing - for example `host: 192.168.1.20`, or `serial: /dev/ttyUSB0`")
        if self.host is not None and self.serial is not None:
            raise wrong("serial", "a device is reached by its host or over a serial line: delete one of the two")
        strangers = _SERIAL_ONLY if self.serial is None else _NETWORK_ONLY
        for key in strangers:
            if key in self.model_fields_set:
                raise wrong(key, f"means nothing {'without' if self.serial is None else 'beside'} `serial`: delete it")
        return self


class ModbusSection(ModbusPlace):
    """A device that is read over Modbus, in the network or on a serial line."""

    id: Id = Field(examples=["main"])
    """Short name that other parts of the file refer to."""
    device: str
    """Kind of device."""
