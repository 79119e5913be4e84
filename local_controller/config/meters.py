"""What may a site file say about a meter?"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from local_controller.config.section import Host, Id, Port, Section


class MeterSection(Section):
    """A meter read over Modbus."""

    id: Id = Field(examples=["main"])
    """Short name that other parts of the file refer to."""
    device: str = Field(examples=["eastron_sdm630"])
    """Kind of meter: one that the gateway knows, or one of the section `devices`."""
    host: Host = Field(examples=["192.168.1.20"])
    """Address of the meter, or of the gateway in front of it."""
    port: Port = 502
    """TCP port."""
    unit_id: int = Field(default=1, ge=0, le=255)
    """Modbus unit id (slave address)."""
    framing: Literal["tcp", "rtu_over_tcp"] = "tcp"
    """rtu_over_tcp for converters that pass serial frames through unchanged."""
    invert: bool = False
    """true if the current transformers look the wrong way: import is counted positive."""
    poll_s: float = Field(default=1.0, ge=0.2, le=2.0)
    """Seconds between two readings; 1 for TCP, up to 2 for serial buses."""
