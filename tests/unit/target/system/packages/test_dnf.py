"""dnf as a manager, with a dnf and rpm that only say what they are told to (`emulated`)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.probe.box import Box
from provisioner.target.runtime.process import Done
from provisioner.target.system.packages.base import Change, Package, Wanted
from provisioner.target.system.packages.dnf import LIST, PLUGIN, Dnf

INSTALLED = {"foo": "1-1", "libfoo": "1-1", PLUGIN: "4-1"}
TABLE = "Installing:\n bar x86_64 2-1 repo 1 k\n\nTransaction Summary\nTotal download size: 1 k\n"


class Emulated:
    """Answers by the first words of a command that it knows; keeps what was asked."""

    def __init__(self, **answers: tuple[int, str]) -> None:
        self.answers, self.asked = answers, []  # type: tuple[Mapping[str, tuple[int, str]], list[str]]

    def __call__(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        on_line: Callable[[str], bool] | None = None,
        cwd: str | None = None,
    ) -> Done:
        assert env["LC_ALL"] == "C"
        told = " ".join(argv)
        self.asked.append(told)
        if argv[0] == "rpm":
            rc, text = 0, "\n".join(f"{name}\tx86_64\t0\t{version}" for name, version in INSTALLED.items())
        elif "repoquery" in argv:
            rc, text = 0, "foo\tuser\nlibfoo\tdependency"
        else:
            rc, text = next((self.answers[word] for word in self.answers if word in argv), (0, ""))
        for line in text.splitlines():
            if on_line is not None:
                on_line(line)
        return Done(rc, text.splitlines())


def dnf(tmp_path: Path, run: Emulated) -> Dnf:
    for folder in ("etc/dnf/plugins", "etc/yum.repos.d", "var/cache/dnf", "run"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    return Dnf(
        box=Box(str(tmp_path)), run=run, clock=iter(range(0, 10000, 400)).__next__, sleep=lambda _s: None
    )


def test_emulated_state_is_copied_and_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    manager = dnf(tmp_path, Emulated())
    (tmp_path / LIST[1:]).write_text("foo-0:1-1.*\n")
    expected = {
        "foo": Package("1-1", "x86_64", held=True),
        "libfoo": Package("1-1", "x86_64", auto=True),
        PLUGIN: Package("4-1", "x86_64"),
    }
    assert manager.installed() == expected
    copy = tmp_path / "copy"
    copy.mkdir()
    manager.copy_of_state(str(copy))
    (tmp_path / LIST[1:]).unlink()
    assert manager.read_state(str(copy)) == expected


def test_emulated_only_what_is_named_is_asked_for(tmp_path: Path) -> None:
    run = Emulated(install=(1, TABLE + "Operation aborted."), remove=(1, "Operation aborted."))
    manager = dnf(tmp_path, run)
    (tmp_path / LIST[1:]).write_text("foo-0:1-1.*\nother-0:1-1.*\n")
    wanted = Wanted(["bar=2-1"], ["libfoo", "gone"], ["nvidia-driver:580-open"], release=["foo"])
    change = manager.simulate(wanted)
    assert change == Change({"bar": "2-1"}, {}, {}, 1024)
    flags = "dnf -y --assumeno --disableplugin=versionlock --exclude=other --setopt=install_weak_deps=False"
    assert [told for told in run.asked if "--assumeno" in told] == [
        f"{flags} install bar-2-1 @nvidia-driver:580-open/default",
        f"{flags} --setopt=clean_requirements_on_remove=False remove libfoo",
    ]


def test_emulated_a_refusal_is_no_empty_change(tmp_path: Path) -> None:
    manager = dnf(tmp_path, Emulated(install=(1, "Error: Unable to find a match: bar")))
    with pytest.raises(TargetError, match="dnf cannot install bar: Unable to find a match: bar"):
        manager.simulate(Wanted(["bar"]))


def test_emulated_what_changed_meanwhile_is_not_applied(tmp_path: Path) -> None:
    run = Emulated(install=(0, TABLE))
    manager = dnf(tmp_path, run)
    with pytest.raises(TargetError, match="somebody else has changed packages"):
        manager.apply(Wanted(["bar"]), Change({}, {}, {}))
    assert not [told for told in run.asked if " install bar" in told and "--assumeno" not in told]
    manager.apply(Wanted(["bar"]), manager.simulate(Wanted(["bar"])))
    assert run.asked[-1] == "dnf -y --setopt=install_weak_deps=False install bar"


def test_emulated_holds_are_set_and_taken_off(tmp_path: Path) -> None:
    manager, path = dnf(tmp_path, Emulated()), tmp_path / LIST[1:]
    manager.hold(["foo"], False)
    assert not path.exists()
    path.write_text("other-0:1-1.*\n")
    manager.hold(["libfoo", "foo"], True)
    assert path.read_text() == "other-0:1-1.*\nfoo-0:1-1.*\nlibfoo-0:1-1.*\n"
    manager.hold(["foo"], False)
    assert path.read_text() == "other-0:1-1.*\nlibfoo-0:1-1.*\n"


def test_emulated_without_the_plugin_nothing_can_be_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(INSTALLED, PLUGIN)
    with pytest.raises(TargetError, match=f"cannot hold packages without {PLUGIN}"):
        dnf(tmp_path, Emulated()).hold(["foo"], True)


def test_emulated_a_stream_is_in_use_when_it_is_the_enabled_one(tmp_path: Path) -> None:
    manager = dnf(tmp_path, Emulated())
    assert manager.stream_missing("nvidia-driver:580-open") == (
        "the module stream nvidia-driver:580-open is not enabled"
    )
    folder = tmp_path / "etc/dnf/modules.d"
    folder.mkdir(parents=True)
    text = "[nvidia-driver]\nname=nvidia-driver\nstream=580-open\nprofiles=default\nstate=enabled\n"
    (folder / "nvidia-driver.module").write_text(text)
    assert manager.stream_missing("nvidia-driver:580-open") is None
    assert manager.stream_missing("nvidia-driver:580-open/default") is None
    assert manager.stream_missing("nvidia-driver:570-open") is not None


def test_emulated_lists_are_stale_when_there_are_none_or_sources_changed(tmp_path: Path) -> None:
    manager = dnf(tmp_path, Emulated())
    assert manager.stale() == "dnf has no lists yet"
    (tmp_path / "var/cache/dnf/t.solv").touch()
    for path in (tmp_path / "etc/yum.repos.d", tmp_path / "var/cache/dnf/t.solv"):
        os.utime(path, (path.stat().st_mtime, path.stat().st_mtime - 10))
    os.utime(tmp_path / "etc/yum.repos.d", (0, 0))
    assert manager.stale() is None
    (tmp_path / "etc/yum.repos.d/new.repo").touch()
    assert manager.stale() == "dnf's sources have changed since its lists were read"


def test_emulated_who_holds_the_lock_is_named(tmp_path: Path) -> None:
    manager = dnf(tmp_path, Emulated())
    (tmp_path / "run/dnf.pid").write_text(f"{os.getppid()}\n")
    with pytest.raises(TargetError, match=f"after 600 s dnf is still locked by process {os.getppid()}"):
        manager.wait()
    (tmp_path / "run/dnf.pid").write_text("999999999\n")
    manager.wait()


def test_emulated_an_archive_is_saved_or_refused(tmp_path: Path) -> None:
    folder = tmp_path / "archives"
    folder.mkdir()

    class Fetching(Emulated):
        def __call__(self, argv: Sequence[str], *args: object, **kwargs: object) -> Done:
            if "reinstall" in argv and argv[-1] == "foo":
                (folder / "foo-1-1.x86_64.rpm").touch()
                (folder / "libfoo-1-1.x86_64.rpm").touch()
            return super().__call__(argv, *args, **kwargs)  # type: ignore[arg-type]

    manager = dnf(tmp_path, Fetching())
    assert manager.save(["foo"], str(folder)) == {"foo": "foo-1-1.x86_64.rpm"}
    assert [one.name for one in folder.iterdir()] == ["foo-1-1.x86_64.rpm"]
    with pytest.raises(TargetError, match="libfoo 1-1 would be replaced, and no copy of it could be saved"):
        manager.save(["libfoo"], str(folder))
