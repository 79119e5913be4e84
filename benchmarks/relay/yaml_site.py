"""Which site does the product control while it is measured? One fuse that feeds all stations."""

from __future__ import annotations

_FUSE_A = 6300.0
_FALLBACK_A = 6.0


def site_file(port: int, csms_port: int, stations: int) -> str:
    """A site file."""
    max_a = min(32.0, max(_FALLBACK_A, 0.9 * _FUSE_A / stations))
    lines = [
        "site: {name: Benchmark}",
        f"csms: {{url: ws://127.0.0.1:{csms_port}}}",
        f"listen: {{host: 127.0.0.1, port: {port}}}",
        f"grid_connection: {{fuse_a: {_FUSE_A}, assumed_base_load_a: 10}}",
        "stations:",
        *(f"  - {{id: CP-{n}, max_a: {max_a:.1f}, fallback_a: {_FALLBACK_A}}}" for n in range(stations)),
    ]
    return "\n".join(lines) + "\n"
