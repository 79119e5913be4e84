"""Does a gateway that is started again know the same drivers, and does its file tell nobody who they are?"""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from local_controller.adapters.authorization_file import NAME, AuthorizationFile
from local_controller.station.authorization import (
    ACCEPTED,
    UNKNOWN,
    AuthorizationStatus,
    IdToken,
    LocalListUpdate,
    UnknownPolicy,
    UpdateType,
    Verdict,
)
from local_controller.station.authorizations import Authorizations
from tests.patient_time import loop_clock

CARD, LISTED, GROUP = IdToken("04E12CA2B96F80"), IdToken("0A1B2C3D"), IdToken("Family Kim")
KNOWN = Verdict(AuthorizationStatus.ACCEPTED, group=GROUP)


def run(folder: Path) -> tuple[AuthorizationFile, Authorizations]:
    """A gateway that starts now, and what it knows at a station."""
    file = AuthorizationFile(folder, loop_clock(), None)
    station = file.memory.of("CP-1", "csms")
    file.restore()
    return file, station


def names(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


def decided(station: Authorizations, token: IdToken) -> Verdict:
    return station.decide(token, UnknownPolicy.REJECT, loop_clock().now().utc)


async def first(folder: Path) -> None:
    """A gateway that has heard of two cards, and is stopped."""
    file, station = run(folder)
    await file.start()
    station.learn(CARD, KNOWN, loop_clock().now().utc)
    station.local_list_sent(LocalListUpdate(UpdateType.FULL, 3, [(LISTED, ACCEPTED)]))
    await file.stop()


@pytest.mark.requirement("LC-047", "LC-063")
async def test_who_was_known_is_known_after_a_restart(tmp_path: Path) -> None:
    await first(tmp_path)
    file, station = run(tmp_path)
    assert decided(station, CARD) == KNOWN
    assert decided(station, LISTED) == ACCEPTED
    await file.start()
    await file.stop()
    assert decided(run(tmp_path)[1], CARD) == KNOWN, "who has learnt nothing more forgets nothing"


@pytest.mark.requirement("LC-068")
async def test_the_file_names_nobody_and_is_for_its_owner(tmp_path: Path) -> None:
    await first(tmp_path)
    text = (tmp_path / NAME).read_text(encoding="utf-8").lower()
    for token in (CARD, LISTED, GROUP):
        assert token.text.lower() not in text
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600


async def test_who_was_forgotten_is_not_in_the_file(tmp_path: Path) -> None:
    await first(tmp_path)
    file, _ = run(tmp_path)
    file.memory.forget(CARD.text)
    await file.start()
    await file.stop()
    assert decided(run(tmp_path)[1], CARD) == UNKNOWN


async def test_where_nothing_was_heard_nothing_is_kept(tmp_path: Path) -> None:
    file, _ = run(tmp_path)
    await file.start()
    await file.stop()
    assert names(tmp_path) == []


async def test_a_file_that_cannot_be_read_is_none_and_is_told(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text('{"format":1,"key":"00"}', encoding="utf-8")
    with capture_logs() as logs:
        _, station = run(tmp_path)
    assert decided(station, CARD) == UNKNOWN
    assert [one["event"] for one in logs] == ["authorizations_forgotten"]
