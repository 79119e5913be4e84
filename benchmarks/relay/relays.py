"""Which relays are compared, and what does each of them take from the machine?"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.relay.yaml_site import Site

_CORES = sorted(os.sched_getaffinity(0))
RELAY_CORE, LOAD_CORE = _CORES[0], _CORES[-1]
_ROOT = Path(__file__).parents[2]

_NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 16384; }}
http {{
  access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen 127.0.0.1:{port}{tls} backlog=4096; {certificate}
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
        tasks = [task for pid in self.pids for task in Path(f"/proc/{pid}/task").iterdir()]
        return sum(map(_cpu_us, tasks))

    def loop_cpu_us(self) -> float:
        """CPU time of the main process's main thread, which is the event loop."""
        return _cpu_us(Path(f"/proc/{self.process.pid}/task/{self.process.pid}"))

    def planner_cpu_us(self) -> float:
        """CPU time of the processes that were niced: the planner."""
        niced = [pid for pid in self.pids if _is_niced(pid)]
        return sum(_cpu_us(task) for pid in niced for task in Path(f"/proc/{pid}/task").iterdir())

    def rss_kb(self) -> int:
        """Resident memory in kB."""
        return sum(_rss_kb(pid) for pid in self.pids)

    def peak_rss_kb(self) -> int:
        """The most resident memory in kB that each of its processes ever had, added up."""
        return sum(_peak_rss_kb(pid) for pid in self.pids)

    def in_real_time(self, priority: int | None) -> None:
        """SCHED_FIFO for the main process, where that is allowed, so that neighbours do not blur latencies."""
        for pid in self.pids:
            real_time(pid, priority)

    def tell(self, number: signal.Signals) -> bool:
        """Sends a signal, unless that would end the process; says whether it was sent."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        caught = next(int(line.split()[1], 16) for line in lines if line.startswith("SigCgt:"))
        is_caught = bool(caught >> (number - 1) & 1)
        if is_caught:
            self.process.send_signal(number)
        return is_caught


def real_time(pid: int, priority: int | None) -> None:
    """SCHED_FIFO at this priority, or the usual policy for None."""
    policy = os.SCHED_OTHER if priority is None else os.SCHED_FIFO
    with suppress(PermissionError, ProcessLookupError):
        if not (priority is not None and _is_niced(pid)):  # a niced worker stays what it is
            os.sched_setscheduler(pid, policy, os.sched_param(priority or 0))


def _is_niced(pid: int) -> bool:
    with suppress(ProcessLookupError):
        return os.getpriority(os.PRIO_PROCESS, pid) > 0
    return False


def _family(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):
            for child in (task / "children").read_text().split():
                yield from _family(int(child))


def _cpu_us(task: Path) -> float:
    with suppress(OSError):
        return int((task / "schedstat").read_text().split()[0]) / 1e3
    return 0.0


def _rss_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Rss:"))


def _peak_rss_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


@contextmanager
def running(name: str, site: Site, folder: Path) -> Iterator[Relay]:
    """Starts what `NAMES` calls by this name in front of the CSMS, on its core; ends it."""
    command = COMMANDS[name](site, folder)
    os.sched_setaffinity(0, {RELAY_CORE})
    try:
        with (folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=_ROOT)  # noqa: S603 - commands of ours
    finally:
        os.sched_setaffinity(0, {LOAD_CORE})
    try:
        _await_port(site.port, process, folder / f"{name}.log")
        yield Relay(site.port, process)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _nginx(site: Site, folder: Path) -> list[str]:
    nginx = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if nginx is None:
        raise RuntimeError("nginx is not installed")
    served = site.certificate
    certificate = "" if served is None else f"ssl_certificate {served.file}; ssl_certificate_key {served.key};"
    tls = "" if served is None else " ssl"
    text = _NGINX.format(folder=folder, port=site.port, csms_port=site.csms_port, tls=tls, certificate=certificate)
    config = folder / "nginx.conf"
    config.write_text(text)
    return [nginx, "-p", str(folder), "-e", str(folder / "nginx.log"), "-c", str(config)]


def _naive(site: Site, _: Path) -> list[str]:
    served = site.certificate
    tls = [] if served is None else ["--certificate", str(served.file), "--key", str(served.key)]
    return [*_module("naive"), str(site.port), f"ws://127.0.0.1:{site.csms_port}", *tls]


def _naive_limits(site: Site, _: Path) -> list[str]:
    return [*_module("naive_limits"), str(site.port)]


def _product(site: Site, folder: Path) -> list[str]:
    file = folder / "site.yaml"
    file.write_text(site.text())
    return [*_module("product"), "run", str(file), "--log-format", "json"]


def _module(name: str) -> list[str]:
    return [sys.executable, "-m", f"benchmarks.relay.{name}"]


COMMANDS = {"r1": _nginx, "r2": _naive, "product": _product, "limits": _naive_limits}


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _await_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end_s = time.monotonic() + 60
    while time.monotonic() < end_s and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            time.sleep(0.5)
            return
        time.sleep(0.05)
    raise RuntimeError(f"the relay did not start: {log.read_text(errors='replace')[-1000:]}")
