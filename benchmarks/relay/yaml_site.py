"""Which site does the product control while it is measured? One fuse, panels of 24 stations, one limit over MQTT."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.relay.broker import TOPIC
from benchmarks.relay.certificate import Certificate

FUSE_A = 6300.0
"""The largest standard rating. It feeds 500 stations with 12 A each."""

# A saturated station says hundreds of messages a second, and all stations come back in every round from one address.
_LIMITS = "messages_per_second_per_station: 1e6, message_burst: 1000000, connections_per_minute_per_address: 1e6"
_PER_PANEL = 24
_PANEL_A = 630.0
_FED_AT_FALLBACK = 1000  # of more stations the fuse bears no fallback of 6 A: those of larger sites pause


@dataclass(frozen=True)
class Site:
    """What differs between the sites that are measured. mqtt_port: of a broker of limits, if there is one. trace: the file of a trace, if there is one."""

    port: int
    csms_port: int
    mqtt_port: int | None
    stations: int
    certificate: Certificate | None = None
    trace: Path | None = None

    def text(self) -> str:
        """The site file."""
        fallback_a = 6 if self.stations <= _FED_AT_FALLBACK else 0
        panels = range(-(-self.stations // _PER_PANEL))
        lines = [
            "site: {name: Benchmark, mode: control}",
            f"csms: {{url: 'ws://127.0.0.1:{self.csms_port}'}}",
            f"listen: {{host: 127.0.0.1, port: {self.port}, limits: {{{_LIMITS}}}{self._tls()}}}",
            f"grid_connection: {{fuse_a: {FUSE_A}, assumed_base_load_a: 10}}",
            *([] if self.mqtt_port is None else self._limits()),
            *([] if self.trace is None else [f"trace: {{file: '{self.trace}', max_size_mb: 1000}}"]),
            "circuits:",
            *(f"  - {{id: panel-{n}, fuse_a: {_PANEL_A}}}" for n in panels),
            "stations:",
            *(
                f"  - {{id: CP-{n}, circuit: panel-{n // _PER_PANEL}, max_a: 32, fallback_a: {fallback_a}}}"
                for n in range(self.stations)
            ),
        ]
        return "\n".join(lines) + "\n"

    def _limits(self) -> list[str]:
        return [
            f"brokers: [{{id: bench, host: 127.0.0.1, port: {self.mqtt_port}}}]",
            f"limits: [{{id: bench, broker: bench, topic: {TOPIC}, max_age_s: 3600, fallback_a: {FUSE_A}}}]",
        ]

    def _tls(self) -> str:
        if self.certificate is None:
            return ""
        return f", tls: {{certificates: [{{certificate: '{self.certificate.file}', key: '{self.certificate.key}'}}]}}"
