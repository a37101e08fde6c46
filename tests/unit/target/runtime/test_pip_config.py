"""Which index pip would ask, read from files as pip itself reads them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from provisioner.target.runtime.pip_config import index_for_uv

GLOBAL = "[global]\nindex-url = {}\n"


def plant(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def env(root: Path, **more: str) -> dict[str, str]:
    return {
        "HOME": str(root / "home"),
        **{name: value.replace("ROOT", str(root)) for name, value in more.items()},
    }


CASES: list[tuple[str, dict[str, str], dict[str, str], str | None]] = [
    ("nothing", {}, {}, None),
    ("the system's", {"etc/pip.conf": GLOBAL.format("https://a")}, {}, "https://a"),
    (
        "the user's is nearer",
        {"etc/pip.conf": GLOBAL.format("https://a"), "home/.config/pip/pip.conf": GLOBAL.format("https://b")},
        {}, "https://b",
    ),
    (
        "the newer place is nearer than the old one",
        {"home/.pip/pip.conf": GLOBAL.format("https://a"), "home/.config/pip/pip.conf": GLOBAL.format("https://b")},
        {}, "https://b",
    ),
    ("the old place", {"home/.pip/pip.conf": GLOBAL.format("https://a")}, {}, "https://a"),
    ("another place", {"x/pip/pip.conf": GLOBAL.format("https://a")}, {"XDG_CONFIG_HOME": "ROOT/x"}, "https://a"),
    ("of all users", {"x/pip/pip.conf": GLOBAL.format("https://a")}, {"XDG_CONFIG_DIRS": "ROOT/y:ROOT/x"}, "https://a"),
    (
        "a named file is the nearest",
        {"home/.config/pip/pip.conf": GLOBAL.format("https://a"), "own.conf": GLOBAL.format("https://b")},
        {"PIP_CONFIG_FILE": "ROOT/own.conf"}, "https://b",
    ),
    ("no file at all", {"etc/pip.conf": GLOBAL.format("https://a")}, {"PIP_CONFIG_FILE": "/dev/null"}, None),
    ("pip's variable", {"etc/pip.conf": GLOBAL.format("https://a")}, {"PIP_INDEX_URL": "https://v"}, "https://v"),
    ("uv's variable", {"etc/pip.conf": GLOBAL.format("https://a")}, {"UV_DEFAULT_INDEX": "https://u"}, None),
    ("uv's old variable", {"etc/pip.conf": GLOBAL.format("https://a")}, {"UV_INDEX_URL": "https://u"}, None),
    (
        "uv's configuration",
        {"etc/pip.conf": GLOBAL.format("https://a"), "etc/uv/uv.toml": '[[index]]\nurl = "https://u"\n'},
        {}, None,
    ),
    (
        "uv's configuration of other things",
        {"etc/pip.conf": GLOBAL.format("https://a"), "home/.config/uv/uv.toml": "offline = false\n"}, {}, "https://a",
    ),
    ("install", {"etc/pip.conf": "[install]\nindex_url: https://i\n" + GLOBAL.format("https://a")}, {}, "https://i"),
    ("other settings", {"etc/pip.conf": "[global]\ncert = /x\nindex-url =\n"}, {}, None),
    ("broken", {"etc/pip.conf": "index-url = https://a\n"}, {}, None),
    ("percent", {"etc/pip.conf": GLOBAL.format("https://u:p%40s@a/simple")}, {}, "https://u:p%40s@a/simple"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("files", "variables", "index"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_the_index(
    files: dict[str, str], variables: dict[str, str], index: str | None, tmp_path: Path
) -> None:
    plant(tmp_path, files)
    assert index_for_uv(env(tmp_path, **variables), str(tmp_path)) == index


def test_without_a_home(tmp_path: Path) -> None:
    assert index_for_uv({}, str(tmp_path)) is None


def pip() -> list[str]:
    """A pip that is here; environments made by uv have none."""
    for python in (sys.executable, "/usr/bin/python3"):
        if (
            subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False).returncode
            == 0
        ):
            return [python, "-m", "pip"]
    pytest.skip("no pip here: install python3-pip")


def test_pip_itself_agrees(tmp_path: Path) -> None:
    """On which of a user's files counts; the system's own cannot be put aside for pip."""
    plant(
        tmp_path,
        {
            "home/.pip/pip.conf": GLOBAL.format("https://a"), "x/pip/pip.conf": GLOBAL.format("https://b"),
            "own.conf": "[global]\nindex_url = https://c\n",
        },
    )  # fmt: skip
    for more in ({"XDG_CONFIG_HOME": "ROOT/x"}, {"PIP_CONFIG_FILE": "ROOT/own.conf"}, {}):
        variables = env(tmp_path, **more)
        said = subprocess.run(
            [*pip(), "config", "list"], env=variables, capture_output=True, check=True
        ).stdout.decode()
        assert f"global.index-url='{index_for_uv(variables, str(tmp_path))}'" in said.splitlines()
