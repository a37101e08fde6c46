"""What is said of the lock files: the table, and the files beside it."""

from __future__ import annotations

import re

import msgspec
import pytest

from provisioner import profiles
from provisioner.errors import ProvisionError
from provisioner.profiles import lockfiles
from provisioner.profiles.lockfiles import Lock, Pin, Platform, PlatformName

A, B = "a" * 64, "b" * 64
TEXT = f"""\
alpha==1.0+cpu \\
    --hash=sha256:{A} \\
    --hash=sha256:{B}
beta==2.0rc1 ; python_full_version < '3.11' and sys_platform == 'linux' \\
    --hash=sha256:{A}
"""


def test_every_lock_file_is_in_the_table_with_its_input() -> None:
    named = {lock.name for lock in lockfiles.locks()}
    assert len(named) == len(lockfiles.locks())
    for suffix in (".txt", ".in"):
        assert named == {path.stem for path in lockfiles.HERE.glob(f"*{suffix}")}


@pytest.mark.parametrize(
    ("name", "interpreters"),
    [("transformers-cpu", "==3.11.*"), ("sglang-cuda", ">=3.10,<3.13"), ("vllm-cuda", ">=3.10,<3.14")],
)
def test_the_interpreters_that_a_lock_was_resolved_for(name: str, interpreters: str) -> None:
    lock = lockfiles.find(name)
    assert lock is not None
    assert lock.interpreters == interpreters


@pytest.mark.parametrize("lock", lockfiles.locks(), ids=lambda lock: lock.name)
def test_every_lock_file_is_whole_and_holds_what_its_input_names(lock: Lock) -> None:
    pinned = {pin.name for pin in lockfiles.pins(profiles.lock_text(lock.name), lock.name)}
    wanted = (lockfiles.HERE / f"{lock.name}.in").read_text(encoding="utf-8")
    names = [line.split("[")[0] for line in wanted.splitlines() if line and not line.startswith("#")]
    for character in "=<>":
        names = [name.split(character)[0] for name in names]
    assert {name.replace("_", "-") for name in names} <= pinned


@pytest.mark.parametrize("name", profiles.names())
def test_the_lock_of_every_profile_is_in_the_table(name: str) -> None:
    assert lockfiles.find(profiles.load(name).environment.lock) is not None


def test_a_lock_of_the_users_own_is_not() -> None:
    assert lockfiles.find("./mine.txt") is None


def test_the_readme_names_every_lock() -> None:
    rows = [
        line for line in (lockfiles.HERE / "README.md").read_text("utf-8").splitlines() if line[:3] == "| `"
    ]
    assert [row.split("`")[1] for row in rows] == [lock.name for lock in lockfiles.locks()]


def test_pins() -> None:
    marker = "python_full_version < '3.11' and sys_platform == 'linux'"
    first, second = lockfiles.pins(TEXT)
    assert first == Pin("alpha", "1.0+cpu", "", frozenset({f"sha256:{A}", f"sha256:{B}"}))
    assert second == Pin("beta", "2.0rc1", marker, frozenset({f"sha256:{A}"}))
    assert (first.text, second.text) == ("alpha==1.0+cpu", f"beta==2.0rc1 ; {marker}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TEXT + "gamma>=1\n", "mine, line 6: neither a pinned version nor its hash: gamma>=1"),
        (TEXT + "gamma==1\n", "mine: gamma==1 has no hash"),
        (
            f"    --hash=sha256:{A}\n",
            f"mine, line 1: neither a pinned version nor its hash: --hash=sha256:{A[:46]}",
        ),
        (
            f"a==1 \\\n    --hash=md5:{A}\n",
            f"mine, line 2: neither a pinned version nor its hash: --hash=md5:{A[:49]}",
        ),
    ],
)
def test_what_is_no_hashed_lock(text: str, message: str) -> None:
    with pytest.raises(ProvisionError) as caught:
        lockfiles.pins(text, "mine")
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"universal": False}, "lock a: one that is not universal serves one Python on one platform"),
        ({"platforms": []}, "lock a: serves no Python or no platform"),
        ({"sure": True}, "Object contains unknown field `sure`"),
        ({"platforms": [{"platform": "linux-riscv", "at_least": "2.17", "ran": ""}]},
         "Invalid enum value 'linux-riscv' - at `$.platforms[0].platform`"),
    ],
)  # fmt: skip
def test_what_is_no_entry(change: dict[str, object], message: str) -> None:
    place = {"platform": "linux-x86_64", "at_least": "2.17", "ran": ""}
    entry = {"name": "a", "summary": "", "universal": True, "python": ["3.10", "3.11"], "platforms": [place]}
    with pytest.raises(msgspec.ValidationError, match="^" + re.escape(message)):
        msgspec.convert({**entry, **change}, Lock)


X86: tuple[PlatformName, str] = ("linux-x86_64", "2.17")
ARM: tuple[PlatformName, str] = ("linux-aarch64", "2.17")


@pytest.mark.parametrize(
    ("platforms", "text"),
    [
        ((Platform(*X86, "Debian 12"),), "run on Debian 12 (Linux x86-64)"),
        ((Platform(*ARM, ""),), "resolved, not run: Linux aarch64"),
        (
            (Platform(*ARM, ""), Platform(*X86, "a box")),
            "run on a box (Linux x86-64); resolved, not run: Linux aarch64",
        ),
    ],
)
def test_how_sure_a_lock_is(platforms: tuple[Platform, ...], text: str) -> None:
    lock = Lock(name="a", summary="", universal=True, python=("3.11",), platforms=platforms)
    assert lock.standing == text
