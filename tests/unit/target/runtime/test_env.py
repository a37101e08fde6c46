from __future__ import annotations

import csv
import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.runtime import env
from provisioner.target.runtime.process import Done

from .conftest import FakeContext

HASH = "--hash=sha256:" + "0" * 64
LOCK = f"alpha==1.0 \\\n    {HASH}\nbeta-two==2.0 \\\n    {HASH}\n"


@dataclass
class FakeUv:
    """Does to the disk what uv does, with tiny packages; emulated, no network."""

    calls: list[list[str]] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    fail_on: str = ""

    def __call__(
        self, argv: list[str], variables: dict[str, str], on_line: Any = None, cwd: Any = None
    ) -> Done:
        assert cwd
        self.calls.append(argv[1:])
        self.variables = variables
        if argv[1] == self.fail_on:
            return Done(2, ["error: it went wrong"])
        if argv[1] == "venv":
            self.venv(Path(argv[-1]))
        else:
            python = Path(argv[argv.index("--python") + 1])
            self.sync(python.parent.parent, Path(argv[-1]).read_text(), argv)
        return Done(0, [])

    def venv(self, path: Path) -> None:
        shutil.rmtree(path, ignore_errors=True)
        (path / "bin").mkdir(parents=True)
        (path / "bin/python").symlink_to("/proc/self/exe")
        (path / "pyvenv.cfg").write_text("home = /usr/bin\nversion_info = 3.11.7\n")
        (path / "lib/python3.11/site-packages").mkdir(parents=True)

    def sync(self, path: Path, lock: str, argv: list[str]) -> None:
        site = path / "lib/python3.11/site-packages"
        again = [argv[i + 1] for i, word in enumerate(argv) if word == "--reinstall-package"]
        for line in lock.splitlines():
            name, _, version = line.split(" ")[0].partition("==")
            module = name.replace("-", "_")
            info = site / f"{module}-{version}.dist-info"
            if not version or (info.exists() and name not in again):
                continue
            for folder in (site / module, info):
                folder.mkdir(exist_ok=True)
            files = [
                f"{module}/__init__.py",
                f"{module}/core.py",
                f"{info.name}/METADATA",
                f"{info.name}/RECORD",
            ]
            for file in files[:2]:
                (site / file).write_text("x = 1\n")
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
            with (info / "RECORD").open("w", newline="") as out:
                csv.writer(out).writerows([file, "", ""] for file in files)


@pytest.fixture
def spec(tmp_path: Path) -> dict[str, Any]:
    uv = tmp_path / "uv"
    uv.write_text("")
    uv.chmod(0o755)
    path = tmp_path / "envs" / "llama-0123456789ab"
    return {
        "path": str(path), "lock": LOCK, "python": ">=3.10", "uv": str(uv), "network": {},
        "cache": str(tmp_path / "cache"),
    }  # fmt: skip


@pytest.fixture
def built(spec: dict[str, Any], context: FakeContext) -> dict[str, Any]:
    env.apply(spec, context, FakeUv())
    return spec


def test_from_nothing_to_an_environment(spec: dict[str, Any], context: FakeContext, tmp_path: Path) -> None:
    uv = FakeUv()
    assert env.inspect(spec) == "there is no environment yet"
    result = env.apply(spec, context, uv)
    assert result == {
        "path": spec["path"], "python": "3.11.7", "packages": {"alpha": "1.0", "beta-two": "2.0"},
    }  # fmt: skip
    assert env.inspect(spec) is None
    assert env.describe(spec) == result
    path = spec["path"]
    assert uv.calls[0] == [
        "venv", "--clear", "--no-project", "--python", ">=3.10", "--python-preference", "system", path,
    ]  # fmt: skip
    assert uv.calls[1][:-1] == [
        "pip", "sync", "--python", f"{path}/bin/python", "--require-hashes", "--compile-bytecode",
        "--only-binary", ":all:", "--allow-empty-requirements",
    ]  # fmt: skip
    names = ("UV_CACHE_DIR", "UV_LINK_MODE", "UV_PYTHON_INSTALL_DIR")
    assert [uv.variables[name] for name in names] == [f"{tmp_path}/cache/uv", "copy", f"{tmp_path}/python"]
    assert context.phases == ["making a Python environment (>=3.10)", "installing packages (up to 2)"]


def cut(path: Path) -> None:
    (path / "lib/python3.11/site-packages/alpha/core.py").write_text("x")


def lose(path: Path) -> None:
    (path / "lib/python3.11/site-packages/beta_two/core.py").unlink()


def lose_record(path: Path) -> None:
    shutil.rmtree(path / "lib/python3.11/site-packages/alpha-1.0.dist-info")


def add(path: Path) -> None:
    (path / "lib/python3.11/site-packages/stray.py").write_text("x")


def lose_python(path: Path) -> None:
    (path / "bin/python").unlink()


def lose_marker(path: Path) -> None:
    (path / env.MARKER).unlink()


def spoil_marker(path: Path) -> None:
    (path / env.MARKER).write_text('{"sch')


def lose_all_packages(path: Path) -> None:
    shutil.rmtree(path / "lib")


# What was broken, what is said of it, what is put back alone (or "" when all is made anew).
DAMAGES: list[tuple[Callable[[Path], None], str, str]] = [
    (cut, "changed since it was made: site-packages/alpha", "alpha"),
    (lose, "changed since it was made: site-packages/beta_two", "beta-two"),
    (lose_record, "changed since it was made: site-packages/alpha-1.0.dist-info", "alpha"),
    (add, "changed since it was made: site-packages/stray.py", ""),
    (lose_python, "the interpreter that the environment stands on is gone", ""),
    (lose_marker, "the environment was never finished", ""),
    (spoil_marker, "the environment was never finished", ""),
    (lose_all_packages, "changed since it was made: ", ""),
]


@pytest.mark.parametrize(("damage", "reason", "package"), DAMAGES, ids=[case[0].__name__ for case in DAMAGES])
def test_damage_is_seen_and_mended(
    damage: Callable[[Path], None], reason: str, package: str, built: dict[str, Any], context: FakeContext
) -> None:
    damage(Path(built["path"]))
    assert (env.inspect(built) or "").startswith(reason)
    uv = FakeUv()
    assert env.apply(built, context, uv)["packages"] == {"alpha": "1.0", "beta-two": "2.0"}
    assert env.inspect(built) is None
    assert [call[0] for call in uv.calls] == (["pip"] if package else ["venv", "pip"])
    if package:
        assert uv.calls[0][-3:-1] == ["--reinstall-package", package]


@pytest.mark.parametrize(
    ("key", "value"), [("lock", LOCK + f"gamma==3.0 \\\n    {HASH}\n"), ("python", ">=3.12")]
)
def test_another_wish_makes_it_anew(
    built: dict[str, Any], context: FakeContext, key: str, value: str
) -> None:
    changed = {**built, key: value}
    assert env.inspect(changed) == "the environment was made from another lock"
    uv = FakeUv()
    env.apply(changed, context, uv)
    assert [call[0] for call in uv.calls] == ["venv", "pip"]
    assert env.inspect(changed) is None


@pytest.mark.parametrize("step", ["venv", "pip"])
def test_a_failed_step_leaves_no_marker(built: dict[str, Any], context: FakeContext, step: str) -> None:
    add(Path(built["path"]))
    with pytest.raises(TargetError, match="it went wrong"):
        env.apply(built, context, FakeUv(fail_on=step))
    assert env.inspect(built) == "the environment was never finished"
    env.apply(built, context, FakeUv())
    assert env.inspect(built) is None


def test_a_folder_of_somebody_elses_is_not_cleared(spec: dict[str, Any], context: FakeContext) -> None:
    thesis = Path(spec["path"]) / "thesis.tex"
    thesis.parent.mkdir(parents=True)
    thesis.write_text("years of work")
    with pytest.raises(TargetError, match=r"holds thesis\.tex, which is no part of an environment"):
        env.apply(spec, context, FakeUv())
    assert thesis.read_text() == "years of work"


def test_environments_of_older_locks_go_if_they_are_ours_but_the_last_one(
    spec: dict[str, Any], context: FakeContext
) -> None:
    """The last one worked until now: something may still run from it."""
    parent = Path(spec["path"]).parent
    for age, (name, marked) in enumerate(
        [
            ("llama-cccccccccccc", True), ("llama-aaaaaaaaaaaa", True), ("llama-dddddddddddd", True),
            ("llama-bbbbbbbbbbbb", False), ("other-aaaaaaaaaaaa", True), ("llama-x", True),
        ]
    ):  # fmt: skip
        (parent / name).mkdir(parents=True)
        if marked:
            (parent / name / env.MARKER).write_text("{}")
            (parent / f"{name}.txt").write_text("")
            os.utime(parent / name / env.MARKER, (1000.0 - age, 1000.0 - age))
    env.apply(spec, context, FakeUv())
    left = sorted(item.name for item in parent.iterdir())
    assert left == [
        "llama-0123456789ab", "llama-0123456789ab.txt", "llama-bbbbbbbbbbbb",
        "llama-cccccccccccc", "llama-cccccccccccc.txt", "llama-x", "llama-x.txt",
        "other-aaaaaaaaaaaa", "other-aaaaaaaaaaaa.txt",
    ]  # fmt: skip


def test_uv_comes_from_the_lock_when_none_is_there(
    spec: dict[str, Any], context: FakeContext, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[tuple[Path, str]] = []

    def get_uv(dest: Path, requirement: str, variables: Any, log: Any) -> Path:
        asked.append((dest, requirement))
        return dest / "uv"

    monkeypatch.setattr(env, "get_uv", get_uv)
    block = f"uv==0.13.9 \\\n    {HASH} \\\n    {HASH}\n"
    lock = f"{LOCK}{block}uvloop==1.0 \\\n    {HASH}\n"
    env.apply({**spec, "uv": None, "lock": lock}, context, FakeUv())
    assert asked == [(tmp_path / "cache/bin", block)]


def test_a_dead_index_is_named_when_not_even_uv_can_be_had(
    spec: dict[str, Any], context: FakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def get_uv(*_: Any) -> Path:
        raise TargetError(
            "cannot get uv with pip: refused", "check the network, https_proxy and PIP_INDEX_URL"
        )

    monkeypatch.setattr(env, "get_uv", get_uv)
    network = {"pypi_index": "http://ann:secret@127.0.0.1:9/simple"}
    lock = f"{LOCK}uv==0.13.9 \\\n    {HASH}\n"
    with pytest.raises(TargetError) as caught:
        env.apply({**spec, "uv": None, "lock": lock, "network": network}, context, FakeUv())
    assert (str(caught.value), caught.value.hint) == (
        "cannot get uv with pip: refused (from http://***@127.0.0.1:9/simple)",
        "check the network, host_base_https_proxy and host_base_pypi_index",
    )


def test_no_uv_anywhere(spec: dict[str, Any], context: FakeContext) -> None:
    with pytest.raises(TargetError, match="/nowhere/uv: no such program") as caught:
        env.apply({**spec, "uv": "/nowhere/uv"}, context, FakeUv())
    assert "tools environment" in (caught.value.hint or "")


def test_caches_do_not_make_it_look_changed(built: dict[str, Any]) -> None:
    cache = Path(built["path"]) / "lib/python3.11/site-packages/alpha/__pycache__"
    cache.mkdir()
    (cache / "core.cpython-311.pyc").write_bytes(b"x")
    assert env.inspect(built) is None
    assert cache.is_dir()


def test_machines_that_share_a_cache_do_not_take_each_others_lock(
    spec: dict[str, Any], context: FakeContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process of another machine may have our number: the file that we give uv is no other's."""
    shared: list[str] = []
    uv = FakeUv()

    def run(argv: list[str], variables: dict[str, str], on_line: Any = None, cwd: Any = None) -> Done:
        if argv[1] == "pip" and not shared:
            shared.append(argv[-1])
            other = {
                **spec,
                "path": str(tmp_path / "envs/other-0123456789ab"),
                "lock": LOCK.replace("1.0", "3.0"),
            }
            env.apply(other, FakeContext(), run)
            shared.append(next(words[-1] for words in uv.calls if words[0] == "pip"))
        return uv(argv, variables, on_line, cwd)

    assert env.apply(spec, context, run)["packages"]["alpha"] == "1.0"
    assert shared[0] != shared[1]
    assert list((tmp_path / "cache/uv").glob("sync-*")) == []


def of_its_own_lock(spec: dict[str, Any]) -> dict[str, Any]:
    """The spec with its path named after its lock, as the role has it."""
    digits = hashlib.sha256(LOCK.encode()).hexdigest()[:12]
    return {**spec, "path": str(Path(spec["path"]).with_name(f"llama-{digits}"))}


def test_an_environment_is_mended_from_the_lock_kept_beside_it(
    spec: dict[str, Any], context: FakeContext
) -> None:
    spec = of_its_own_lock(spec)
    built = env.apply(spec, context, FakeUv())
    kept = {**spec, "lock": ""}
    assert env.inspect(kept) is None
    for damage in (cut, lose_python, lose_marker):
        damage(Path(spec["path"]))
        assert env.inspect(kept) is not None
        assert env.apply(kept, context, FakeUv()) == built
    assert env.inspect(spec) is None


def test_a_lock_that_is_not_kept_is_put_there_again(spec: dict[str, Any], context: FakeContext) -> None:
    env.apply(spec, context, FakeUv())
    Path(spec["path"] + ".txt").unlink()
    assert env.inspect(spec) == "its lock is not kept beside it"
    env.apply(spec, context, FakeUv())
    assert env.inspect(spec) is None
    assert Path(spec["path"] + ".txt").read_text() == LOCK


def gone(path: Path) -> None:
    path.unlink()


def flipped(path: Path) -> None:
    path.write_text(LOCK.replace("1.0", "1.1"))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (gone, "the lock it was made from is gone"),
        (flipped, "is not the lock that this environment was made from"),
    ],
)
def test_a_kept_lock_that_is_not_the_one_is_refused(
    spec: dict[str, Any], context: FakeContext, damage: Callable[[Path], None], message: str
) -> None:
    spec = of_its_own_lock(spec)
    env.apply(spec, context, FakeUv())
    damage(Path(spec["path"] + ".txt"))
    with pytest.raises(TargetError, match=message):
        env.inspect({**spec, "lock": ""})
    with pytest.raises(TargetError, match=message):
        env.apply({**spec, "lock": ""}, context, FakeUv())
    assert env.describe(spec)["packages"] == {"alpha": "1.0", "beta-two": "2.0"}
