from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.probe import keep, observe
from provisioner.target.probe.box import Box
from provisioner.target.probe.observe import Observer

Plant = Callable[..., Path]
SECRET = hashlib.sha256(b"secret").hexdigest()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_text("secret")
    path.chmod(0o640)
    return path


def keeper(folder: Path, *, check: bool = False) -> keep.Keeper:
    return keep.Keeper(str(folder / "state"), "role", Observer(Box()), check)


def resource(path: Path) -> dict[str, Any]:
    return {"id": "role.file", "kind": "file", "path": str(path)}


def test_the_content_of_a_file_is_kept_for_its_owner_alone(tmp_path: Path, source: Path) -> None:
    seen = keeper(tmp_path).look(resource(source))
    assert seen == {
        "state": "present",
        "type": "file",
        "mode": "0640",
        "owner": os.geteuid(),
        "group": source.stat().st_gid,
        "sha256": SECRET,
    }
    kept = tmp_path / "state" / "saved" / "role" / "files" / SECRET
    assert (kept.read_text(), stat.S_IMODE(kept.stat().st_mode)) == ("secret", 0o600)
    folders = (kept.parent, kept.parent.parent, kept.parent.parent.parent)
    assert [stat.S_IMODE(path.stat().st_mode) for path in folders] == [0o700] * 3
    assert [path.name for path in kept.parent.iterdir()] == [SECRET]


def test_in_check_mode_nothing_is_kept(tmp_path: Path, source: Path) -> None:
    assert keeper(tmp_path, check=True).look(resource(source))["sha256"] == SECRET
    assert not (tmp_path / "state").exists()


def test_a_large_file_is_said_not_to_be_kept(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observe, "HASH_LIMIT", 3)
    assert keeper(tmp_path).look(resource(source))["content"] == "not kept"
    assert not (tmp_path / "state").exists()


def test_a_file_that_changes_while_it_is_copied_is_looked_at_again(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[str] = []
    digest = observe.digest

    def changing(path: str) -> str:
        copied.append(path)
        found = digest(path)
        if len(copied) == 1:
            source.write_text("other")
            return "something else"
        return found

    monkeypatch.setattr(keep, "digest", changing)
    seen = keeper(tmp_path).look(resource(source))
    other = hashlib.sha256(b"other").hexdigest()
    assert seen["sha256"] == other
    assert [path.name for path in (tmp_path / "state/saved/role/files").iterdir()] == [other]


def test_a_full_disk_is_said_before_anything_is_changed(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", full)
    with pytest.raises(TargetError) as caught:
        keeper(tmp_path).look(resource(source))
    assert str(caught.value) == f"cannot keep {source} as it is now: No space left on device"


def test_links_folders_and_what_is_absent_need_no_content(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("/nowhere")
    assert keeper(tmp_path).look(resource(link))["target"] == "/nowhere"
    assert keeper(tmp_path).look(resource(tmp_path))["type"] == "dir"
    assert keeper(tmp_path).look(resource(tmp_path / "no")) == {"state": "absent"}
    assert not (tmp_path / "state").exists()


def test_content_that_nothing_goes_back_to_is_forgotten(tmp_path: Path, source: Path) -> None:
    one = keeper(tmp_path)
    seen = one.look(resource(source))
    source.write_text("other")
    one.look(resource(source))
    state, folder = str(tmp_path / "state"), tmp_path / "state/saved/role/files"
    keep.forget(state, "role", [seen, {"state": "absent"}])
    assert [path.name for path in folder.iterdir()] == [SECRET]
    keep.forget(state, "role", [])
    keep.forget(state, "role", [])
    assert not folder.exists()


AWK = """\
auto
/usr/bin/awk
awk.1.gz
/usr/share/man/man1/awk.1.gz
nawk
/usr/bin/nawk

/usr/bin/gawk
10
/usr/share/man/man1/gawk.1.gz

/usr/bin/mawk
5
/usr/share/man/man1/mawk.1.gz
/usr/bin/mawk

"""


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"/var/lib/dpkg/alternatives/awk": AWK}, ["/usr/bin/gawk", "/usr/bin/mawk"]),
        ({"/var/lib/alternatives/awk": "manual\n/usr/bin/awk\n\n/a\n1\n\n"}, ["/a"]),
        ({"/var/lib/alternatives/awk": "manual\n"}, []),
        ({}, []),
    ],
)
def test_the_choices_of_an_alternative(plant: Plant, files: dict[str, str], found: list[str]) -> None:
    assert keep.choices(Box(str(plant(files))), "awk") == found
