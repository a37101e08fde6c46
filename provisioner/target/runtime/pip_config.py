"""The package index that pip's own configuration names: uv does not read it, and would go past the mirror."""

from __future__ import annotations

import configparser
import os
import re
from typing import Iterator, Mapping, Optional

# A uv.toml that names an index of its own is left its way.
_UV_INDEX = re.compile(r"^\s*(index-url\s*=|index\s*=|\[\[index\]\])", re.MULTILINE)


def index_for_uv(env: Mapping[str, str], root: str = "/") -> Optional[str]:
    """What UV_DEFAULT_INDEX should be for `env`, a job's variables; None where uv is told by itself.

    PIP_INDEX_URL counts before files, the later of pip's files before the earlier, `[install]` before
    `[global]`: as pip has it. A file that cannot be read says nothing, to pip either.
    """
    if env.get("UV_DEFAULT_INDEX") or env.get("UV_INDEX_URL") or _uv_knows(env, root):
        return None
    if env.get("PIP_INDEX_URL"):
        return env["PIP_INDEX_URL"]
    found = None
    for path in _pip_files(env, root):
        found = _index_in(path) or found
    return found


def _pip_files(env: Mapping[str, str], root: str) -> Iterator[str]:
    """In pip's own order; see `pip config debug`."""
    named = env.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return
    for folder in (env.get("XDG_CONFIG_DIRS") or os.path.join(root, "etc/xdg")).split(":"):
        yield os.path.join(folder, "pip/pip.conf")
    yield os.path.join(root, "etc/pip.conf")
    home = env.get("HOME")
    if home:
        yield os.path.join(home, ".pip/pip.conf")
    for folder in _homes(env):
        yield os.path.join(folder, "pip/pip.conf")
    if named:
        yield named


def _homes(env: Mapping[str, str]) -> Iterator[str]:
    home = env.get("HOME")
    folder = env.get("XDG_CONFIG_HOME") or (os.path.join(home, ".config") if home else None)
    if folder:
        yield folder


def _index_in(path: str) -> Optional[str]:
    parser = configparser.RawConfigParser()
    # pip takes index_url for index-url.
    parser.optionxform = lambda option: option.lower().replace("_", "-")  # type: ignore[method-assign,assignment]
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError, OSError):
        return None
    for section in ("install", "global"):
        value = parser.get(section, "index-url", fallback="").strip()
        if value:
            return value
    return None


def _uv_knows(env: Mapping[str, str], root: str) -> bool:
    named = env.get("UV_CONFIG_FILE")
    folders = [*_homes(env), os.path.join(root, "etc")]
    for path in [named] if named else [os.path.join(folder, "uv/uv.toml") for folder in folders]:
        try:
            with open(path, encoding="utf-8") as source:
                if _UV_INDEX.search(source.read()):
                    return True
        except (OSError, UnicodeDecodeError):
            continue
    return False
