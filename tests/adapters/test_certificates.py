"""What are installers told about certificate files? The file, the mistake and the remedy, or that all is well."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given
from hypothesis import strategies as st

from local_controller.adapters.certificates import WARN_DAYS, CertificateFacts, CertificateFiles, expiry, read_facts
from local_controller.adapters.tls import CsmsTls, StationTls, missing_kind
from local_controller.errors import LocalControllerError
from tests.certificates import TODAY, YEAR, Issued, authority, rsa_key

ROOT = authority()
BOX = ROOT.issue("box.example", ["box.example", "*.boxes.example", "192.0.2.7"])


def complaint(files: CertificateFiles, host: str | None = None) -> str:
    with pytest.raises(LocalControllerError) as caught:
        StationTls((files,), public_host=host).load()
    return str(caught.value)


# --- mistakes ------------------------------------------------------------------------------------------------------


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    files = BOX.save(tmp_path, "box")
    files.key.unlink()
    assert complaint(files) == f"{files.key}: no such file; create it or correct the path in the site file"


def test_a_folder_is_no_certificate(tmp_path: Path) -> None:
    files = BOX.save(tmp_path, "box")
    assert complaint(CertificateFiles(tmp_path, files.key)).startswith(f"{tmp_path}: Is a directory; correct the path")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    files = BOX.save(tmp_path, "box")
    files.key.chmod(0)
    assert complaint(files).startswith(f"{files.key}: must not be read by this process; give it to the user")


def test_text_that_is_no_certificate(tmp_path: Path) -> None:
    files = BOX.save(tmp_path, "box", chain=b"certificate to follow\n")
    assert "it must hold -----BEGIN CERTIFICATE----- blocks" in complaint(files)


def test_a_key_of_another_certificate(tmp_path: Path) -> None:
    files = BOX.save(tmp_path, "box")
    other = ROOT.issue("other").save(tmp_path, "other")
    told = complaint(CertificateFiles(files.certificate, other.key))
    assert told.startswith(
        f"{other.key}: this key does not belong to the certificate 'box.example' in {files.certificate};"
    )


def test_an_encrypted_key_is_refused_instead_of_asking_for_its_password(tmp_path: Path) -> None:
    files = BOX.save(tmp_path, "box")
    files.key.write_bytes(BOX.key_pem(b"secret"))
    assert "openssl pkey -in box.key" in complaint(files)


def test_a_certificate_in_the_place_of_the_key(tmp_path: Path) -> None:
    files = BOX.save(tmp_path, "box")
    assert "-----BEGIN PRIVATE KEY-----" in complaint(CertificateFiles(files.certificate, files.certificate))


def test_a_kind_of_key_that_stations_do_not_know(tmp_path: Path) -> None:
    files = ROOT.issue("box", key=ed25519.Ed25519PrivateKey.generate()).save(tmp_path, "box")
    assert "ECDSA and RSA keys only" in complaint(files)


def test_a_key_that_is_too_short(tmp_path: Path) -> None:
    files = ROOT.issue("box", key=rsa_key(bits=1024)).save(tmp_path, "box")
    assert "EE_KEY_TOO_SMALL" in complaint(files)
    assert "2048" in complaint(files)


def intermediate() -> tuple[Issued, Issued]:
    between = ROOT.issue("Sub CA", is_authority=True)
    return between, between.issue("box.example", ["box.example"])


def test_a_chain_in_its_order_is_taken(tmp_path: Path) -> None:
    _, box = intermediate()
    files = box.save(tmp_path, "box", chain=box.chain + ROOT.pem)
    assert read_facts(files).common_name == "box.example"


def test_the_issuer_before_the_own_certificate(tmp_path: Path) -> None:
    between, box = intermediate()
    files = box.save(tmp_path, "box", chain=between.pem + box.pem)
    assert complaint(files).startswith(
        f"{files.certificate}: wrong order: the gateway's own certificate is number 2 of 2; put it first"
    )


def test_issuers_that_are_in_no_order(tmp_path: Path) -> None:
    between, box = intermediate()
    files = box.save(tmp_path, "box", chain=box.pem + ROOT.pem + between.pem)
    assert "certificate number 2, 'Test root', did not issue the one before it, 'box.example'" in complaint(files)


def test_a_foreign_certificate_in_the_chain(tmp_path: Path) -> None:
    files = BOX.save(tmp_path, "box", chain=BOX.pem + authority("Test root").pem)
    assert "did not issue" in complaint(files)


@pytest.mark.parametrize("host", ["box.example", "BOX.example.", "a.boxes.example", "192.0.2.7"])
def test_hosts_that_the_certificate_names(tmp_path: Path, host: str) -> None:
    StationTls((BOX.save(tmp_path, "box"),), public_host=host).load()


@pytest.mark.parametrize("host", ["example", "a.b.boxes.example", "boxes.example", "192.0.2.8", "xbox.example"])
def test_hosts_that_it_does_not_name(tmp_path: Path, host: str) -> None:
    files = BOX.save(tmp_path, "box")
    told = complaint(files, host)
    assert told.startswith(
        f"{files.certificate}: stations dial {host} (listen.public_url), but the certificate names box.ex"
    )
    assert f"get one with {host} as subjectAltName" in told


def test_a_certificate_for_nobody(tmp_path: Path) -> None:
    assert "names no host at all" in complaint(ROOT.issue("box.example").save(tmp_path, "box"), "box.example")


def test_no_star_for_a_whole_top_level_domain() -> None:
    assert not facts(names=("*.example",)).covers("box.example")


def test_profile_3_needs_somebody_who_issues(tmp_path: Path) -> None:
    settings = StationTls((BOX.save(tmp_path, "box"),), require_certificate=True)
    with pytest.raises(LocalControllerError, match="station_authorities"):
        settings.load()


def test_a_door_needs_a_certificate() -> None:
    with pytest.raises(LocalControllerError, match=r"listen\.tls\.certificates: name at least one"):
        StationTls(()).load()


def test_authorities_that_are_none(tmp_path: Path) -> None:
    file = tmp_path / "roots.pem"
    file.write_text("-----BEGIN NONSENSE-----")
    with pytest.raises(LocalControllerError, match=rf"{file}: no certificates in PEM form"):
        CsmsTls(authorities=file).load()


def test_which_kind_of_certificate_is_missing(tmp_path: Path) -> None:
    of_rsa = ROOT.issue("box", key=rsa_key()).save(tmp_path, "rsa")
    of_ecdsa = BOX.save(tmp_path, "ecdsa")
    assert missing_kind(StationTls((of_rsa,)).load().certificates) == "ECDSA"
    assert missing_kind(StationTls((of_ecdsa,)).load().certificates) == "RSA"
    assert missing_kind(StationTls((of_rsa, of_ecdsa)).load().certificates) is None


# --- dates ------------------------------------------------------------------------------------------------------------


def facts(
    not_after: datetime = TODAY + YEAR, not_before: datetime = TODAY - YEAR, names: tuple[str, ...] = ()
) -> CertificateFacts:
    return CertificateFacts(Path("box.pem"), "box", names, "ECDSA", not_before, not_after)


END = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.requirement("LC-137")
@pytest.mark.parametrize(
    ("days", "level", "step"),
    [(30, "warning", 30), (15, "warning", 30), (14, "warning", 14), (7, "error", 7), (1, "error", 1)],
)
def test_the_end_is_announced_in_steps(days: int, level: str, step: int) -> None:
    told = expiry(facts(END), END - timedelta(days=days))
    assert told is not None
    assert (told.level, told.step, told.days) == (level, step, days)
    assert told.text == f"box.pem: ends on 2027-03-01 12:00 UTC, in {days} days; renew it and replace the file"


def test_a_month_before_nothing_is_said() -> None:
    assert expiry(facts(END), END - timedelta(days=30, seconds=1)) is None


def test_the_end_has_come() -> None:
    told = expiry(facts(END), END)
    assert told is not None
    assert (told.level, told.step, told.days) == ("error", 0, 0)
    assert "peers refuse it: replace the file now" in told.text


def test_a_clock_without_a_date() -> None:
    told = expiry(facts(), datetime(2000, 1, 1, tzinfo=UTC))
    assert told is not None
    assert (told.level, told.step) == ("error", None)
    assert "check the clock of this machine" in told.text


@given(st.integers(-40, 400).map(lambda hours: END - timedelta(hours=hours * 3)), st.integers(1, 1000))
def test_a_later_moment_never_sounds_better(moment: datetime, seconds: int) -> None:
    def urgency(now_utc: datetime) -> int:
        told = expiry(facts(END), now_utc)
        return 1000 if told is None else told.step if told.step is not None else -1

    assert urgency(moment) in {1000, 0, *WARN_DAYS}
    assert urgency(moment + timedelta(seconds=seconds)) <= urgency(moment)


def test_an_ended_certificate_still_opens_the_door(tmp_path: Path) -> None:
    ended = ROOT.issue("box", key=ec.generate_private_key(ec.SECP256R1()), not_after=TODAY - timedelta(days=1))
    (told,) = StationTls((ended.save(tmp_path, "box"),)).load().certificates
    assert told.not_after == TODAY - timedelta(days=1)
