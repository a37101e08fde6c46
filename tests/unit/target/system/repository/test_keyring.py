"""A key is fetched in its package, and taken only when it is the right one."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.runtime.transfer import Options
from provisioner.target.system.repository import keyring
from provisioner.target.system.repository.keyring import Wanted, fetched, is_wanted, key_in
from provisioner.target.system.repository.openpgp import dearmoured
from tests.hub.server import Fault, Hub, Kind, serve

from .keyrings import ARMOURED, BOTH, FINGERPRINT, OTHER, OTHER_ARMOURED, package

DEB = package(dearmoured(ARMOURED))
SHA256 = hashlib.sha256(DEB).hexdigest()
PATH = "/compute/cuda/repos/debian12/x86_64/cuda-keyring_1.1-1_all.deb"
HURRY = Options(connections=1, stall_s=0.2, patience_s=0.3)
KEEPER = "ask the mirror's keeper, or correct nvidia_repository_mirror"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with serve({PATH: DEB, "/key.pub": ARMOURED}) as hub:
        yield hub


def of(hub: Hub, sha256: str = SHA256, fingerprint: str = FINGERPRINT, path: str = PATH) -> bytes:
    return fetched(Wanted(hub.url + path, sha256, fingerprint), {}, HURRY)


def refusal(hub: Hub, **changes: str) -> tuple[str, str | None]:
    with pytest.raises(TargetError) as caught:
        of(hub, **changes)
    return caught.value.message.replace(hub.url, "HUB"), caught.value.hint


def test_the_key_alone_comes_out_of_its_package(hub: Hub) -> None:
    assert of(hub) == dearmoured(ARMOURED)
    assert of(hub, sha256="") == dearmoured(ARMOURED)
    assert of(hub, fingerprint="067a eaf6 483b debc 16e7  e8bd 465b a9eb 87e9 1891") == dearmoured(ARMOURED)
    assert of(hub, fingerprint="") == dearmoured(ARMOURED)
    assert of(hub, sha256=SHA256.upper()) == dearmoured(ARMOURED)


def test_a_key_that_is_no_package_comes_as_it_is(hub: Hub) -> None:
    assert of(hub, sha256="", path="/key.pub") == dearmoured(ARMOURED)


def test_keys_that_nobody_asked_for_stay_behind(hub: Hub) -> None:
    hub.files[PATH] = package(BOTH)
    assert of(hub, sha256="") == dearmoured(ARMOURED)
    assert of(hub, sha256="", fingerprint=OTHER) == dearmoured(OTHER_ARMOURED)
    assert of(hub, sha256="", fingerprint="") == BOTH


def test_another_digest_is_refused_and_named(hub: Hub) -> None:
    hub.files[PATH] = package(dearmoured(ARMOURED), ".gz")
    assert refusal(hub) == (
        f"HUB{PATH} is not the file that is expected (SHA-256 {SHA256[:12]}…)", KEEPER
    )  # fmt: skip


def test_another_key_is_refused_and_both_are_named(hub: Hub) -> None:
    hub.files[PATH] = package(dearmoured(OTHER_ARMOURED))
    assert refusal(hub, sha256="") == (
        f"HUB{PATH} holds another key than NVIDIA's: {OTHER} instead of {FINGERPRINT}",
        KEEPER + "; do not trust that one",
    )


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"<html>", "holds no key: it is no Debian package"),
        (package(b""), "holds no key"),
        (package(b"<html>"), "holds no key: it is no OpenPGP key"),
    ],
)
def test_a_package_without_a_key_is_refused(hub: Hub, content: bytes, why: str) -> None:
    hub.files[PATH] = content
    assert refusal(hub, sha256="") == (f"HUB{PATH} {why}", KEEPER)


def test_one_that_is_far_too_large_is_not_even_fetched(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyring, "_LARGEST", 100)
    assert refusal(hub) == (f"HUB{PATH} has {len(DEB)} bytes: that is no key", KEEPER)
    assert hub.sent[PATH] == 0


LEAVE_OUT = "correct nvidia_repository_mirror, or leave it out"
LATER = "run again later, or name another server in nvidia_repository_mirror"


@pytest.mark.parametrize(
    ("fault", "why", "hint"),
    [
        (Fault(Kind.STATUS, status=404, times=None), "the server answers 404 Not Found", LEAVE_OUT),
        (Fault(Kind.STATUS, status=403, times=None), "the server answers 403 Forbidden", LEAVE_OUT),
        (Fault(Kind.STATUS, status=500, times=None), "the server answers 500 Internal Server Error", LATER),
        (
            Fault(Kind.TRUNCATE, at=200, times=None),
            "it ended N bytes too early (not one byte came for 0 s)",
            keyring.UNREACHED,
        ),
    ],
    ids=["404", "403", "500", "half a file"],
)
def test_a_server_that_fails_is_named_with_what_helps(hub: Hub, fault: Fault, why: str, hint: str) -> None:
    hub.faults.append(fault)
    said, next_step = refusal(hub)
    assert (re.sub(r"\d+ bytes", "N bytes", said), next_step) == (f"HUB{PATH}: {why}", hint)


def test_a_server_that_fails_once_is_asked_again(hub: Hub) -> None:
    hub.faults.append(Fault(Kind.STATUS, status=503))
    assert of(hub) == dearmoured(ARMOURED)


def test_no_server_is_named_too() -> None:
    with pytest.raises(TargetError) as caught:
        fetched(Wanted("http://127.0.0.1:9/key.deb", "", FINGERPRINT), {}, HURRY)
    assert caught.value.message.startswith("http://127.0.0.1:9/key.deb: ")
    assert caught.value.hint == keyring.UNREACHED


def test_a_login_in_an_address_is_never_said() -> None:
    with pytest.raises(TargetError) as caught:
        key_in(Wanted("https://me:secret@mirror/key.deb?token=t", "", FINGERPRINT), b"")
    assert caught.value.message == "https://mirror/key.deb holds no key: it is no Debian package"


def test_what_is_there_already_is_judged_by_the_same_fingerprint() -> None:
    wanted = Wanted("https://mirror/key.deb", "", FINGERPRINT)
    assert is_wanted(wanted, dearmoured(ARMOURED))
    assert is_wanted(wanted, ARMOURED)
    assert not is_wanted(wanted, BOTH)
    assert not is_wanted(wanted, OTHER_ARMOURED)
    assert not is_wanted(wanted, ARMOURED[:200])
    assert not is_wanted(wanted._replace(fingerprint=""), b"")
    assert is_wanted(wanted._replace(fingerprint=""), OTHER_ARMOURED)
