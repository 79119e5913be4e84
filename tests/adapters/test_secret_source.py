"""Do secrets come from files and the environment only, with a word about who else can read them?"""

from __future__ import annotations

from pathlib import Path

import pytest

from local_controller.adapters.secret_source import read_secret, readable_by_others
from local_controller.errors import LocalControllerError


def complaint(file: str | None, variable: str | None = None, environment: dict[str, str] | None = None) -> str:
    with pytest.raises(LocalControllerError) as caught:
        read_secret("broker ems", file, variable, environment or {})
    return str(caught.value)


def test_a_file_without_the_line_end_that_editors_add(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("correct horse\n", encoding="utf-8")
    assert read_secret("broker ems", str(tmp_path / "password"), None) == "correct horse"


def test_the_environment_goes_first(tmp_path: Path) -> None:
    assert read_secret("broker ems", str(tmp_path / "missing"), "EMS", {"EMS": "battery staple"}) == "battery staple"


def test_no_secret_is_needed() -> None:
    assert read_secret("broker ems", None, None) is None


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    assert complaint(None, "EMS") == "broker ems: set the environment variable EMS"
    assert complaint(None, "EMS", {"EMS": ""}) == "broker ems: set the environment variable EMS"
    missing = tmp_path / "missing"
    assert complaint(str(missing)).endswith(f"{missing}: No such file or directory; create it or correct the path")


def test_an_empty_file_is_no_password(tmp_path: Path) -> None:
    (tmp_path / "password").write_text(" \n", encoding="utf-8")
    assert complaint(str(tmp_path / "password")).endswith("is empty; write the password into it")


def test_a_file_that_is_no_text_is_not_quoted(tmp_path: Path) -> None:
    (tmp_path / "password").write_bytes(b"hush\xff")
    told = complaint(str(tmp_path / "password"))
    assert "is no text in UTF-8" in told
    assert "hush" not in told


@pytest.mark.parametrize(
    ("mode", "who"), [(0o644, "everybody on this machine"), (0o640, "its group"), (0o604, "everybody on this machine")]
)
def test_who_else_can_read_it(tmp_path: Path, mode: int, who: str) -> None:
    file = tmp_path / "password"
    file.touch()
    file.chmod(mode)
    assert readable_by_others(file) == f"{who} can read {file} (mode {mode:04o}); make it 0600"


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_file_of_its_owner_alone(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "password"
    file.touch()
    file.chmod(mode)
    assert readable_by_others(file) is None


def test_a_file_that_is_not_there_is_nobodys(tmp_path: Path) -> None:
    assert readable_by_others(tmp_path / "missing") is None
