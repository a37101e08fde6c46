"""`scripts.locks` with the real uv, against a folder of tiny wheels: what breaks a lock is named."""

from __future__ import annotations

import hashlib
import sys
import zipfile
from pathlib import Path

import pytest

from provisioner.profiles.lockfiles import HERE, Lock, Platform, find
from scripts import locks
from scripts.locks import Uv

LINUX = Platform("linux-x86_64", "2.28", "")
LOCK = Lock(name="tiny", summary="", universal=True, python=("3.11",), platforms=(LINUX,))
VERSION = "2.0"


def wheel(folder: Path, name: str, version: str, requires: str = "", tag: str = "py3-none-any") -> str:
    """Makes a wheel with nothing in it; its SHA-256."""
    path, info = folder / f"{name}-{version}-{tag}.whl", f"{name}-{version}.dist-info"
    needs = f"Requires-Dist: {requires}\n" if requires else ""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}"
        )
        archive.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        archive.writestr(f"{info}/RECORD", "")
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def uv(tmp_path: Path) -> Uv:
    """alpha needs beta, of which there are two versions."""
    index, folder = tmp_path / "index", tmp_path / "locks"
    index.mkdir()
    folder.mkdir()
    (folder / "tiny.in").write_text("alpha\n", encoding="utf-8")
    wheel(index, "alpha", "1.0", "beta>=1")
    wheel(index, "beta", "1.0")
    wheel(index, "beta", VERSION)
    path = Path(sys.executable).parent / "uv"
    return Uv(str(path), (), ("--offline", "--no-index", "--find-links", str(index)), folder)


def check(uv: Uv, text: str, lock: Lock = LOCK) -> list[str]:
    (uv.folder / "tiny.txt").write_text(text, encoding="utf-8")
    [verdict] = locks.check_all(uv, [lock])
    assert verdict.lock == "tiny"
    return verdict.wrong


def test_a_lock_as_it_was_made_holds_also_when_newer_versions_come(uv: Uv) -> None:
    text = locks.compile_lock(uv, LOCK)
    wheel(Path(uv.index[-1]), "beta", "3.0")
    assert check(uv, text) == []


def test_a_flipped_hash_is_named(uv: Uv) -> None:
    text = locks.compile_lock(uv, LOCK)
    digest = text.split("sha256:")[2].strip()
    flipped = ("0" if digest[0] != "0" else "1") + digest[1:]
    assert check(uv, text.replace(digest, flipped)) == [
        f"beta==2.0: no file has the hash sha256:{flipped} any more"
    ]


def test_versions_that_are_gone_are_all_named(uv: Uv) -> None:
    text = locks.compile_lock(uv, LOCK)
    wrong = text.replace("beta==2.0", "beta==2.7").replace("alpha==1.0", "alpha==0.9")
    assert check(uv, wrong) == [
        "alpha==0.9 is not published any more", "beta==2.7 is not published any more"
    ]  # fmt: skip


def test_a_pin_that_nothing_asks_for_and_one_that_is_missing(uv: Uv) -> None:
    text = locks.compile_lock(uv, LOCK)
    alpha, _, beta = text.partition("beta==")
    gamma = f"gamma==1.0 \\\n    --hash=sha256:{wheel(Path(uv.index[-1]), 'gamma', '1.0')}\n"
    assert check(uv, text + gamma) == ["gamma==1.0 is in the lock, and its input does not ask for it"]
    assert check(uv, alpha) == ["beta==2.0 is asked for by its input, and not in the lock"]
    assert beta


def test_an_input_that_asks_for_something_else_says_so(uv: Uv) -> None:
    text = locks.compile_lock(uv, LOCK)
    (uv.folder / "tiny.in").write_text("alpha\nbeta<2\n", encoding="utf-8")
    [sentence] = check(uv, text)
    assert sentence.startswith("tiny.in does not resolve to its lock any more: error: No solution found")
    assert "beta" in sentence


def test_a_platform_without_a_wheel_is_named(uv: Uv) -> None:
    wheel(Path(uv.index[-1]), "alpha", "1.1", tag="cp311-cp311-manylinux_2_28_x86_64")
    arm = Platform("linux-aarch64", "2.28", "")
    both = Lock(name="tiny", summary="", universal=True, python=("3.11",), platforms=(LINUX, arm))
    text = locks.compile_lock(uv, both)
    [sentence] = check(uv, text, both)
    assert sentence.startswith("not on linux-aarch64 with Python 3.11: error: No solution found")
    assert "alpha==1.1" in sentence


def test_an_override_replaces_what_a_package_asks_for(uv: Uv) -> None:
    lock = Lock(
        name="tiny", summary="", universal=True, python=("3.11",), platforms=(LINUX,), overrides=("beta<2",)
    )
    text = locks.compile_lock(uv, lock)
    assert [line.split(" ")[0] for line in text.splitlines() if "==" in line] == ["alpha==1.0", "beta==1.0"]
    assert check(uv, text, lock) == []


def test_only_what_is_named_without_dependencies(uv: Uv) -> None:
    lock = Lock(
        name="tiny", summary="", universal=True, python=("3.11",), platforms=(LINUX,), dependencies=False
    )
    assert locks.compile_lock(uv, lock).splitlines() == ["alpha==1.0"]


@pytest.mark.parametrize(
    ("platform", "option"),
    [
        (LINUX, "x86_64-manylinux_2_28"),
        (Platform("linux-aarch64", "2.17", ""), "aarch64-manylinux2014"),
        (Platform("macos-arm64", "14.0", ""), "aarch64-apple-darwin"),
    ],
)
def test_platforms_in_the_words_of_uv(platform: Platform, option: str) -> None:
    assert locks.platform_options(platform) == ("--python-platform", option)


def test_an_unknown_lock_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        locks.main(["--check", "lama"])
    assert ended.value.code == 2
    assert "no lock lama; there are: tools, llama, transformers-cpu" in capsys.readouterr().err


def test_the_verdicts_are_printed_and_decide_the_exit_code(
    uv: Uv, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(locks, "locks", lambda: (LOCK,))
    monkeypatch.setattr(locks, "own_uv", lambda: uv)
    assert locks.main(["--write"]) == 0
    assert locks.main(["--check"]) == 0
    lock = uv.folder / "tiny.txt"
    lock.write_text(lock.read_text("utf-8").replace("beta==2.0", "beta==2.7"), encoding="utf-8")
    assert locks.main(["--check"]) == 1
    said = capsys.readouterr().out
    assert said == "wrote tiny.txt\ntiny: holds\ntiny:\n  beta==2.7 is not published any more\n"


def test_folders_of_wheels_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", "/one /two")
    assert locks.own_uv().links == ("/one", "/two")
    assert find("transformers-cpu") is not None
    assert locks.own_uv().folder == HERE
