"""Do renewed certificates come into use by themselves, and do broken ones not? Files on a disk, looked at step by step."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import CapturingLogger

from local_controller.adapters.tls import CsmsTls, StationTls, TlsLeg
from local_controller.adapters.tls_watch import CertificateWatcher
from local_controller.clock import Clock
from tests.certificates import TODAY, YEAR, authority

ROOT = authority()


class Watched:
    """A watcher over one door whose certificate the test replaces."""

    def __init__(self, folder: Path, clock: Clock | None = None, **dates: datetime) -> None:
        self.folder = folder
        self.box = ROOT.issue("box", ["box.example"], **dates)
        self.files = self.box.save(folder, "box")
        self.leg = TlsLeg("listen.tls", StationTls((self.files,), public_host="box.example"))
        self.log = CapturingLogger()
        logger = structlog.wrap_logger(self.log, wrapper_class=structlog.make_filtering_bound_logger(0), processors=[])
        self.watcher = CertificateWatcher([self.leg], clock or Clock(), logger, poll_s=0.01)
        self.first = self.leg.context._newest

    @property
    def events(self) -> list[str]:
        return [call.kwargs["event"] for call in self.log.calls]

    @property
    def last(self) -> dict[str, Any]:
        return dict(self.log.calls[-1].kwargs)

    def replace(self, make: Callable[[], bytes], file: Path) -> None:
        """As a tool for renewals does it: a new file takes the old one's place."""
        fresh = file.with_suffix(".new")
        fresh.write_bytes(make())
        fresh.replace(file)


@pytest.mark.requirement("LC-137")
async def test_a_renewed_pair_is_used_after_it_has_settled(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    renewed = ROOT.issue("box-2027", ["box.example"], not_after=TODAY + 2 * YEAR)
    watched.replace(lambda: renewed.pem, watched.files.certificate)
    await watched.watcher.check()
    watched.replace(renewed.key_pem, watched.files.key)
    await watched.watcher.check()
    assert watched.leg.context._newest is watched.first, "half a pair is not tried"
    await watched.watcher.check()
    assert watched.leg.context._newest is not watched.first
    assert watched.last["event"] == "certificates_replaced"
    assert watched.last["certificates"] == [f"ECDSA 'box-2027' until {TODAY + 2 * YEAR:%Y-%m-%d}"]
    assert watched.leg.certificates[0].not_after == TODAY + 2 * YEAR


@pytest.mark.requirement("LC-137")
async def test_a_bad_file_leaves_the_old_one_in_use_and_is_told_once(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.replace(lambda: ROOT.issue("box", ["elsewhere.example"]).pem, watched.files.certificate)
    for _ in range(4):
        await watched.watcher.check()
    assert watched.events == ["certificates_not_taken"]
    assert watched.last["reason"].startswith(f"{watched.files.key}: this key does not belong to the certificate")
    assert watched.leg.context._newest is watched.first
    assert watched.leg.certificates[0].names == ("box.example",)


async def test_a_file_that_is_gone_and_comes_back(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.files.key.unlink()
    for _ in range(3):
        await watched.watcher.check()
    assert watched.events == ["certificates_not_taken"]
    watched.box.save(tmp_path, "box")
    for _ in range(3):
        await watched.watcher.check()
    assert watched.events == ["certificates_not_taken", "certificates_replaced"]


async def test_nothing_is_done_while_nothing_changes(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    for _ in range(3):
        await watched.watcher.check()
    assert watched.leg.context._newest is watched.first
    assert watched.events == []


async def test_authorities_are_watched_too(tmp_path: Path) -> None:
    roots = tmp_path / "roots.pem"
    roots.write_bytes(ROOT.pem)
    leg = TlsLeg("csms.tls", CsmsTls(roots))
    watcher = CertificateWatcher([leg], Clock(), structlog.wrap_logger(CapturingLogger(), processors=[]))
    first = leg.context._newest
    roots.write_bytes(authority("New root").pem)
    os.utime(roots, ns=(1, 1))
    await watcher.check()
    await watcher.check()
    assert leg.context._newest is not first
    assert [dict(one)["subject"][0][0][1] for one in leg.context._newest.get_ca_certs()] == ["New root"]


@pytest.mark.requirement("LC-137")
async def test_each_step_of_the_end_is_told_once(tmp_path: Path) -> None:
    origin = datetime.now(UTC)
    ends = Watched(tmp_path, not_after=origin + timedelta(days=20))
    await ends.watcher.check()
    await ends.watcher.check()
    assert ends.events == ["certificate_expires"]
    assert ends.last["days"] == 19
    ends.watcher._clock = Clock(origin_s=Clock().monotonic_s(), origin_utc=origin + timedelta(days=14))
    await ends.watcher.check()
    await ends.watcher.check()
    assert [call.method_name for call in ends.log.calls] == ["warning", "error"]
    assert [(one.level, one.step) for one in ends.watcher.expiries] == [("error", 7)]


async def test_a_key_that_others_can_read_is_told(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.files.key.chmod(0o644)
    await watched.watcher.start()
    await watched.watcher.stop()
    assert watched.events == ["certificates_in_use", "readable_secret", "certificate_kind_missing"]


async def test_it_looks_by_itself(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    await watched.watcher.start()
    assert watched.events == ["certificates_in_use", "certificate_kind_missing"]
    assert watched.last["text"].startswith(
        "listen.tls has no RSA certificate: stations that can only use one cannot connect"
    )
    renewed = ROOT.issue("box-2027", ["box.example"])
    renewed.save(tmp_path, "box")
    while watched.leg.context._newest is watched.first:  # noqa: ASYNC110 - its own task does it
        await asyncio.sleep(0.005)
    await watched.watcher.stop()
