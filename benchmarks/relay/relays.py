"""Which relays are compared, and what does each of them take from the machine?"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import yaml_site

RELAY_CORE, LOAD_CORE = 0, 1
_HERE = Path(__file__).parent

_NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 16384; }}
http {{
  access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://127.0.0.1:{csms_port}; proxy_http_version 1.1; proxy_read_timeout 1h;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;
    }}
  }}
}}
"""


@dataclass(frozen=True)
class Relay:
    """A running relay. Its children count with it, threads too."""

    port: int
    process: subprocess.Popen[bytes]

    @property
    def pids(self) -> list[int]:
        """The process and all below it."""
        return list(_family(self.process.pid))

    def cpu_us(self) -> float:
        """CPU time that the relay used so far, in microseconds."""
        spent_ns = 0
        for pid in self.pids:
            for task in Path(f"/proc/{pid}/task").iterdir():
                with suppress(OSError):
                    spent_ns += int((task / "schedstat").read_text().split()[0])
        return spent_ns / 1e3

    def rss_kb(self) -> int:
        """Resident memory in kB."""
        return sum(_rss_kb(pid) for pid in self.pids)

    def in_real_time(self, priority: int | None) -> None:
        """SCHED_FIFO for the main process, where that is allowed, so that neighbours do not blur latencies."""
        for pid in self.pids:
            real_time(pid, priority)


def real_time(pid: int, priority: int | None) -> None:
    """SCHED_FIFO at this priority, or the usual policy for None."""
    policy = os.SCHED_OTHER if priority is None else os.SCHED_FIFO
    with suppress(PermissionError, ProcessLookupError):
        if not (priority is not None and os.getpriority(os.PRIO_PROCESS, pid) > 0):  # a niced worker stays what it is
            os.sched_setscheduler(pid, policy, os.sched_param(priority or 0))


def _family(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):
            for child in (task / "children").read_text().split():
                yield from _family(int(child))


def _rss_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Rss:"))


@contextmanager
def running(name: str, csms_port: int, stations: int, folder: Path) -> Iterator[Relay]:
    """Starts a relay, one of "r1", "r2" and "product", on its core; ends it."""
    port = _free_port()
    os.sched_setaffinity(0, {RELAY_CORE})
    try:
        command = _COMMANDS[name](port, csms_port, stations, folder)
        with (folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603 - commands of ours
    finally:
        os.sched_setaffinity(0, {LOAD_CORE})
    try:
        _await_port(port, process)
        yield Relay(port, process)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _nginx(port: int, csms_port: int, _: int, folder: Path) -> list[str]:
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(folder=folder, port=port, csms_port=csms_port))
    return ["nginx", "-p", str(folder), "-e", str(folder / "nginx.log"), "-c", str(config)]


def _naive(port: int, csms_port: int, _: int, __: Path) -> list[str]:
    return [sys.executable, str(_HERE / "naive.py"), str(port), f"ws://127.0.0.1:{csms_port}"]


def _product(port: int, csms_port: int, stations: int, folder: Path) -> list[str]:
    site = folder / "site.yaml"
    site.write_text(yaml_site.site_file(port, csms_port, stations))
    return [sys.executable, "-m", "local_controller", "run", str(site), "--log-format", "json"]


_COMMANDS = {"r1": _nginx, "r2": _naive, "product": _product}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _await_port(port: int, process: subprocess.Popen[bytes]) -> None:
    end_s = time.monotonic() + 60
    while time.monotonic() < end_s and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            time.sleep(0.5)
            return
        time.sleep(0.05)
    raise RuntimeError(f"the relay did not start; see its log beside {process.args!r}")
