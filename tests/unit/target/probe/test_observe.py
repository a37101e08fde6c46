from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.target.probe import observe as module
from provisioner.target.probe.box import Box
from provisioner.target.probe.observe import KINDS, Observer, observe
from tests.unit.target.probe.test_settings import CASES as SETTINGS

Plant = Callable[..., Path]

STATUS = "Package: bash\nStatus: install ok installed\nVersion: 5.2\n"
PASSWD = "root:x:0:0:root:/root:/bin/bash\nbroken line\nann:x:1000:1000:,,,:/home/ann:/bin/sh\n"
CLOSED = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5\n"
NO_ENTRY = "No such file or directory"

CASES: dict[str, tuple[dict[str, str], Any, dict[str, Any]]] = {
    "a file": (
        {"/etc/x": "content"},
        {"kind": "file", "path": "/etc/x"},
        {
            "state": "present",
            "type": "file",
            "mode": "0644",
            "owner": os.geteuid(),
            "sha256": hashlib.sha256(b"content").hexdigest(),
        },
    ),
    "a link": (
        {"/etc/x": "-> /nowhere"},
        {"kind": "file", "path": "/etc/x"},
        {"state": "present", "type": "link", "mode": "0777", "owner": os.geteuid(), "target": "/nowhere"},
    ),
    "a folder": (
        {"/etc/": ""},
        {"kind": "file", "path": "/etc"},
        {"state": "present", "type": "dir", "mode": "0755", "owner": os.geteuid()},
    ),
    "no file": ({}, {"kind": "file", "path": "/etc/x"}, {"state": "absent"}),
    "no file below a file": ({"/etc": ""}, {"kind": "file", "path": "/etc/x"}, {"state": "absent"}),
    "a relative path": (
        {},
        {"kind": "file", "path": "etc/x"},
        {"state": "unknown", "why": "the path is not absolute: etc/x"},
    ),
    "a path with a null byte": (
        {},
        {"kind": "file", "path": "/etc/\0"},
        {"state": "unknown", "why": "the resource has no path"},
    ),
    "no tree": ({}, {"kind": "tree", "path": "/opt/env"}, {"state": "absent"}),
    "a file for a tree": (
        {"/opt/env": ""},
        {"kind": "tree", "path": "/opt/env"},
        {"state": "unknown", "why": "/opt/env is not a folder"},
    ),
    "an empty tree by file": (
        {"/opt/env/": ""},
        {"kind": "tree", "path": "/opt/env", "by": "file"},
        {"state": "present", "entries": {}},
    ),
    "a tree by something else": (
        {"/opt/env/": ""},
        {"kind": "tree", "path": "/opt/env", "by": "colour"},
        {"state": "unknown", "why": "by is neither top nor file"},
    ),
    "a tree without a list of names": (
        {"/opt/env/": ""},
        {"kind": "tree", "path": "/opt/env", "exclude": "x"},
        {"state": "unknown", "why": "exclude is not a list of names"},
    ),
    "a package": (
        {"/var/lib/dpkg/status": STATUS},
        {"kind": "package", "name": "bash"},
        {"state": "present", "version": "5.2"},
    ),
    "no package": (
        {"/var/lib/dpkg/status": STATUS},
        {"kind": "package", "name": "zsh"},
        {"state": "absent"},
    ),
    "no package database": (
        {},
        {"kind": "package", "name": "bash"},
        {"state": "unknown", "why": f"no package database: /var/lib/dpkg/status: {NO_ENTRY}"},
    ),
    "a broken package database": (
        {"/var/lib/dpkg/status": "what"},
        {"kind": "package", "name": "bash"},
        {"state": "unknown", "why": "/var/lib/dpkg/status has an entry without a package or a status"},
    ),
    "a package without a name": (
        {},
        {"kind": "package"},
        {"state": "unknown", "why": "the resource has no name"},
    ),
    "an account": (
        {"/etc/passwd": PASSWD},
        {"kind": "account", "name": "ann"},
        {"state": "present", "uid": 1000, "home": "/home/ann", "shell": "/bin/sh"},
    ),
    "no account": ({"/etc/passwd": PASSWD}, {"kind": "account", "name": "bob"}, {"state": "absent"}),
    "an account in a group": (
        {"/etc/passwd": PASSWD, "/etc/group": "video:x:44:bob,ann\nsudo:x:27:ann\nrender:x:105:\nshort\n"},
        {"kind": "account", "name": "ann", "groups": ["video", "render"]},
        {"state": "present", "uid": 1000, "home": "/home/ann", "shell": "/bin/sh", "groups": ["video"]},
    ),
    "an account without a list of groups": (
        {"/etc/passwd": PASSWD},
        {"kind": "account", "name": "ann", "groups": "video"},
        {"state": "unknown", "why": "groups is not a list of names"},
    ),
    "the kernel": (
        {"/proc/sys/kernel/osrelease": "6.1.0-18-amd64\n"},
        {"kind": "kernel"},
        {"state": "present", "release": "6.1.0-18-amd64"},
    ),
    "a driver": (
        {"/proc/driver/nvidia/version": CLOSED},
        {"kind": "driver"},
        {"state": "present", "version": "550.54.15"},
    ),
    "no driver": ({}, {"kind": "driver"}, {"state": "present", "version": None}),
    "a driver that tells nothing": (
        {"/proc/driver/nvidia/version": "?"},
        {"kind": "driver"},
        {"state": "unknown", "why": "/proc/driver/nvidia/version names none"},
    ),
    "another kind": (
        {},
        {"kind": "colour"},
        {"state": "unknown", "why": "no such kind of resource: 'colour'"},
    ),
    "no kind": ({}, {"kind": ["file"]}, {"state": "unknown", "why": "no such kind of resource: ['file']"}),
    "no object": ({}, ["file"], {"state": "unknown", "why": "the resource is not an object"}),
}


@pytest.mark.parametrize("name", CASES)
def test_observations(plant: Plant, name: str) -> None:
    files, resource, observation = CASES[name]
    root = plant(files)
    for path in (*root.rglob("*"),):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o644)
    assert observe(resource, str(root)) == observation


def test_every_kind_has_a_case() -> None:
    seen = {
        case[1]["kind"]
        for case in CASES.values()
        if isinstance(case[1], dict) and case[2]["state"] == "present"
    }
    assert seen | {case[1]["kind"] for case in SETTINGS.values()} == set(KINDS)


def test_a_large_file_is_told_by_size_and_time(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HASH_LIMIT", 4)
    root = plant({"/x": "12345"})
    found = observe({"kind": "file", "path": "/x"}, str(root))
    assert "sha256" not in found
    assert (found["size"], found["mtime_ns"]) == (5, (root / "x").stat().st_mtime_ns)


def test_a_pipe_or_a_socket_in_a_files_place_is_not_opened(plant: Plant) -> None:
    root = plant({})
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(root / "sock"))
        for name in ("pipe", "sock"):
            assert observe({"kind": "file", "path": f"/{name}"}, str(root))["type"] == "other"
        os.mkfifo(root / "status")
        assert Box(str(root)).read("/status") == b""


def test_a_file_that_may_not_be_read_is_unknown(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, *_: Any) -> int:
        raise PermissionError(13, "Permission denied", path)

    root = plant({"/x": "1"})
    monkeypatch.setattr(os, "open", refuse)
    assert observe({"kind": "file", "path": "/x"}, str(root)) == {
        "state": "unknown",
        "why": f"{root}/x: Permission denied",
    }


def test_a_folder_that_may_not_be_listed_makes_its_tree_unknown(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = os.scandir

    def refuse(path: str) -> Any:
        if path.endswith("secret"):
            raise PermissionError(13, "Permission denied", path)
        return listed(path)

    root = plant({"/env/a": "1", "/env/secret/b": "2"})
    monkeypatch.setattr(os, "scandir", refuse)
    assert observe({"kind": "tree", "path": "/env"}, str(root)) == {
        "state": "unknown",
        "why": f"{root}/env/secret: Permission denied",
    }


def test_the_package_database_is_read_once(plant: Plant) -> None:
    box = Box(str(plant({"/var/lib/dpkg/status": STATUS})))
    observer = Observer(box)
    assert observer.observe({"kind": "package", "name": "bash"})["state"] == "present"
    Path(box.path("/var/lib/dpkg/status")).unlink()
    assert observer.observe({"kind": "package", "name": "zsh"})["state"] == "absent"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.dictionaries(
        st.sampled_from(["name", "path", "by", "exclude", "groups", "module", "option", "wanted"]), JSON
    ),
    st.sampled_from(sorted(KINDS)) | JSON,
)
def test_no_resource_is_too_strange(parameters: dict[str, Any], kind: Any) -> None:
    found = observe({**parameters, "kind": kind}, "/nowhere")
    assert found["state"] in ("present", "absent", "unknown")
    assert ("why" in found) is (found["state"] == "unknown")
