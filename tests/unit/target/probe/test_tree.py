from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provisioner.target.probe import tree
from provisioner.target.probe.observe import observe

ENVIRONMENT = {
    "pyvenv.cfg": "home = /usr/bin\n",
    "bin/python": "-> /usr/bin/python3",
    "bin/activate": "x",
    "lib/python3.11/site-packages/xllamacpp/__init__.py": "",
    "lib/python3.11/site-packages/xllamacpp/deep/er.so": "so",
    "lib/python3.11/site-packages/xllamacpp-0.1.dist-info/RECORD": "r",
    "lib/python3.11/site-packages/single.py": "",
    "lib64": "-> lib",
    "models/weights.gguf": "gguf",
    "empty/": "",
}
PACKAGES = "lib/python3.11/site-packages"


def seen(path: Path, by: str = "top", **more: object) -> dict[str, str]:
    found = observe({"id": "x", "kind": "tree", "path": str(path), "by": by, **more})
    assert found["state"] == "present", found
    entries = found["entries"]
    assert isinstance(entries, dict)
    return entries


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in {*before, *after} if before.get(name) != after.get(name)}


def test_an_environment_is_told_by_package(plant: Callable[..., Path]) -> None:
    assert list(seen(plant(ENVIRONMENT))) == [
        ".",
        "bin",
        "empty",
        "lib",
        "lib64",
        "models",
        "pyvenv.cfg",
        "site-packages/single.py",
        "site-packages/xllamacpp",
        "site-packages/xllamacpp-0.1.dist-info",
    ]


def test_files_are_told_by_size_time_and_inode(plant: Callable[..., Path]) -> None:
    root = plant({"weights.gguf": "gguf", "sub/config.json": "{}", "link": "-> weights.gguf", "empty/": ""})
    weights, config = (root / "weights.gguf").stat(), (root / "sub/config.json").stat()
    assert seen(root, by="file") == {
        "link": "link:weights.gguf",
        "sub/config.json": f"2:{config.st_mtime_ns}:{config.st_ino}",
        "weights.gguf": f"4:{weights.st_mtime_ns}:{weights.st_ino}",
    }


Change = Callable[[Path], object]


def grow(path: Path) -> Change:
    def change(root: Path) -> None:
        with (root / path).open("a") as file:
            file.write("x")

    return change


def touch(path: str) -> Change:
    return lambda root: os.utime(root / path, ns=(1, 1))


def relink(root: Path) -> None:
    (root / "bin/python").unlink()
    (root / "bin/python").symlink_to("/elsewhere")


def folder_for_file(root: Path) -> None:
    (root / "pyvenv.cfg").unlink()
    (root / "pyvenv.cfg").mkdir()


CHANGES: dict[str, tuple[Change, set[str]]] = {
    "a byte more": (grow(Path(PACKAGES, "xllamacpp/deep/er.so")), {"site-packages/xllamacpp"}),
    "a later time": (touch(f"{PACKAGES}/single.py"), {"site-packages/single.py"}),
    "a mode": (lambda root: (root / "bin/activate").chmod(0o755), {"bin"}),
    "a folder's mode": (
        lambda root: (root / PACKAGES / "xllamacpp/deep").chmod(0o700),
        {"site-packages/xllamacpp"},
    ),
    "the tree's own mode": (lambda root: root.chmod(0o711), {"."}),
    "a rename": (lambda root: (root / "models/weights.gguf").rename(root / "models/w"), {"models"}),
    "a removal": (lambda root: (root / "pyvenv.cfg").unlink(), {"pyvenv.cfg"}),
    "a package removed": (
        lambda root: shutil.rmtree(root / PACKAGES / "xllamacpp"),
        {"site-packages/xllamacpp"},
    ),
    "an addition": (lambda root: (root / PACKAGES / "new").mkdir(), {"site-packages/new"}),
    "an addition at the top": (lambda root: (root / "new").write_text(""), {"new"}),
    "another link": (relink, {"bin"}),
    "a folder for a file": (folder_for_file, {"pyvenv.cfg"}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_seen_where_it_is(plant: Callable[..., Path], name: str) -> None:
    root = plant(ENVIRONMENT)
    change, where = CHANGES[name]
    before = seen(root)
    change(root)
    assert changed(before, seen(root)) == where


def test_bytecode_and_excluded_names_do_not_count(plant: Callable[..., Path]) -> None:
    root = plant(ENVIRONMENT)
    before = seen(root, exclude=[".provisioned.json"])
    cache = root / PACKAGES / "xllamacpp/deep/__pycache__"
    cache.mkdir()
    (cache / "er.cpython-311.pyc").write_text("")
    (root / "__pycache__").mkdir()
    (root / ".provisioned.json").write_text("{}")
    (root / "models/.provisioned.json").write_text("{}")
    assert seen(root, exclude=[".provisioned.json"]) == before
    assert changed(before, seen(root)) == {".provisioned.json", "models"}


def test_links_are_not_followed(plant: Callable[..., Path]) -> None:
    root = plant({"tree/loop": "-> ..", "outside/file": "x", "tree/out": "-> ../outside"})
    before = seen(root / "tree")
    (root / "outside/file").write_text("longer")
    assert list(before) == [".", "loop", "out"]
    assert seen(root / "tree") == before


def test_names_that_are_no_utf8_are_shown_escaped(plant: Callable[..., Path]) -> None:
    root = plant({})
    os.mknod(os.fsencode(root) + b"/bad\xff")
    assert list(seen(root)) == [".", "bad\\xff"]
    assert list(seen(root, by="file")) == ["bad\\xff"]


def test_a_chain_of_folders_without_end_is_unknown(plant: Callable[..., Path]) -> None:
    root = plant({"/".join(["d"] * (tree.DEPTH + 2)) + "/f": ""})
    for by in ("top", "file"):
        found = observe({"id": "x", "kind": "tree", "path": str(root), "by": by})
        assert found["state"] == "unknown"
        assert found["why"].endswith("deeper than 200 folders")


NAME = st.sampled_from(["a", "b", "site-packages", "lib", ".x"])
FILES = st.dictionaries(
    st.lists(NAME, min_size=1, max_size=4).map("/".join), st.binary(max_size=4), min_size=1, max_size=8
)


@contextmanager
def made(files: dict[str, bytes]) -> Iterator[tuple[Path, list[Path]]]:
    """A tree of those files that do not stand in the way of a folder, and the files."""
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for name, content in sorted(files.items(), key=lambda item: -item[0].count("/")):
            path = Path(folder, "tree", name)
            if not path.exists() and not any(parent.is_file() for parent in path.parents):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
                paths.append(path)
        yield Path(folder, "tree"), paths


def rename(path: Path) -> None:
    path.rename(path.with_name(path.name + "~"))


EDITS: list[Callable[[Path], object]] = [
    lambda path: path.write_bytes(path.read_bytes() + b"x"),
    lambda path: os.utime(path, ns=(1, path.stat().st_mtime_ns + 1)),
    lambda path: path.chmod(path.stat().st_mode ^ 0o100),
    rename,
    Path.unlink,
    lambda path: path.with_name(path.name + "+").write_bytes(b""),
]


@settings(max_examples=60, deadline=None)
@given(FILES, st.data())
def test_an_unchanged_tree_is_equal_and_any_change_shows(
    files: dict[str, bytes], data: st.DataObject
) -> None:
    with made(files) as (root, paths):
        before = seen(root)
        assert seen(root) == before
        data.draw(st.sampled_from(EDITS))(data.draw(st.sampled_from(paths)))
        assert len(changed(before, seen(root))) in (1, 2)
