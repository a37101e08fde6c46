"""Job `env`: a Python environment that is exactly what its lock says, or an error that says why not.

Spec: `path`, `lock` (requirements text with hashes), `python` (constraint), `uv` (path or null), `network`,
and optionally `cache` (folder; default `.cache` beside the environment). A path that ends in twelve digits is
named after its lock, which is then kept beside it as `<path>.txt`: with an empty `lock` that one is meant.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any, Dict, List, Optional

from ..errors import TargetError
from ..get_uv import get_uv
from ..probe.observe import observe
from . import process
from .files import digest_of, read_json, write_json, write_text
from .uv_errors import explain, without_uv

CHANGES = True
MARKER = ".provisioned.json"

# What a virtual environment holds at its top; anything else is somebody's folder, and is not ours to clear.
_VENV_ENTRIES = {
    "bin",
    "lib",
    "lib64",
    "include",
    "share",
    "etc",
    "pyvenv.cfg",
    ".gitignore",
    ".lock",
    "CACHEDIR.TAG",
}


def inspect(spec: Dict[str, Any]) -> Optional[str]:
    """Why the environment must be made or mended; None when it is exactly what was asked for."""
    spec = _with_lock(spec)
    path = spec["path"]
    if not os.path.isdir(path):
        return "there is no environment yet"
    marker = read_json(os.path.join(path, MARKER))
    if marker is None:
        return "the environment was never finished"
    if marker.get("wanted") != _wanted(spec):
        return "the environment was made from another lock"
    if not os.path.exists(os.path.join(path, "bin", "python")):
        return "the interpreter that the environment stands on is gone"
    broken = _broken(path, marker)
    if broken:
        more = f" and {len(broken) - 3} more" if len(broken) > 3 else ""
        return f"changed since it was made: {', '.join(broken[:3])}{more}"
    kept = _kept(path)
    return "its lock is not kept beside it" if kept and _text(kept) != spec["lock"] else None


def describe(spec: Dict[str, Any]) -> Dict[str, Any]:
    """The result of a finished environment."""
    marker = read_json(os.path.join(spec["path"], MARKER)) or {}
    return {"path": spec["path"], "python": marker.get("python"), "packages": marker.get("packages", {})}


def apply(spec: Dict[str, Any], context: Any, run: process.Runner = process.run) -> Dict[str, Any]:
    """Makes or mends the environment; returns what `describe` returns."""
    spec = _with_lock(spec)
    path = spec["path"]
    marker = read_json(os.path.join(path, MARKER))
    if marker is None:
        _require_clearable(path)
    os.makedirs(path, exist_ok=True)
    cache = spec.get("cache") or os.path.join(os.path.dirname(path), ".cache")
    env = process.network_env(spec.get("network") or {}, os.environ)
    # Copies, not links: an edit inside an environment must not reach the cache it is mended from.
    env.update(UV_CACHE_DIR=os.path.join(cache, "uv"), UV_LINK_MODE="copy", UV_NO_PROGRESS="1")
    # Beside the environments: an interpreter under root's home is out of other users' reach.
    env.setdefault("UV_PYTHON_INSTALL_DIR", os.path.join(_code_dir(path), "python"))
    os.makedirs(env["UV_CACHE_DIR"], exist_ok=True)
    uv = _uv(spec, cache, env, context)
    builder = _Builder(spec, uv, env, context, run)
    if marker is not None and marker.get("wanted") == _wanted(spec) and builder.mend(marker):
        return describe(spec)
    builder.rebuild()
    _remove_older(path)
    return describe(spec)


def _code_dir(path: str) -> str:
    parent = os.path.dirname(path)
    return os.path.dirname(parent) if os.path.basename(parent) == "envs" else parent


def _kept(path: str) -> Optional[str]:
    """Where the lock of an environment that is named after it is kept."""
    return path + ".txt" if re.search(r"-[0-9a-f]{12}$", path) else None


def _with_lock(spec: Dict[str, Any]) -> Dict[str, Any]:
    """The spec with the text of its lock: the one given, else the one kept beside the environment."""
    if spec["lock"]:
        return spec
    path = spec["path"]
    text = _text(_kept(path) or "")
    if text is None:
        raise TargetError(f"{path}: the lock it was made from is gone", "let a newer one be made: --upgrade")
    if not path.endswith(hashlib.sha256(text.encode()).hexdigest()[:12]):
        raise TargetError(
            f"{path}.txt is not the lock that this environment was made from",
            "let a newer one be made: --upgrade",
        )
    return {**spec, "lock": text}


def _text(path: str) -> Optional[str]:
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def _wanted(spec: Dict[str, Any]) -> str:
    return digest_of({"lock": spec["lock"], "python": spec["python"]})


def _fingerprint(path: str) -> Dict[str, str]:
    """One digest for each package and each other entry of the environment."""
    seen = observe({"kind": "tree", "path": path, "by": "top", "exclude": ["__pycache__", MARKER, ".lock"]})
    if seen["state"] != "present":
        raise TargetError(f"{path}: cannot be read: {seen.get('why', seen['state'])}")
    entries: Dict[str, str] = seen["entries"]
    return entries


def _broken(path: str, marker: Dict[str, Any]) -> List[str]:
    then, now = marker.get("entries", {}), _fingerprint(path)
    return sorted(name for name in then.keys() | now.keys() if then.get(name) != now.get(name))


def _require_clearable(path: str) -> None:
    if os.path.islink(path) or (os.path.exists(path) and not os.path.isdir(path)):
        raise TargetError(f"{path} is no folder", "move it away, or choose another folder for environments")
    there = os.listdir(path) if os.path.isdir(path) else []
    foreign = sorted(name for name in there if name not in _VENV_ENTRIES and not name.startswith(MARKER))
    if foreign:
        raise TargetError(
            f"{path} holds {foreign[0]}, which is no part of an environment made here",
            "move that folder away, or choose another one for environments",
        )


def _uv(spec: Dict[str, Any], cache: str, env: Dict[str, str], context: Any) -> str:
    named = spec.get("uv")
    if named and os.access(named, os.X_OK):
        return str(named)
    requirement = _requirement_of("uv", spec["lock"])
    if not requirement:
        where = f"{named}: no such program" if named else "no uv was named, and the lock carries none"
        raise TargetError(where, "make the tools environment first (role python_env), or name a uv")
    context.say("getting uv")
    try:
        return str(get_uv(Path(cache) / "bin", requirement, env, lambda line: print(line, flush=True)))
    except TargetError as error:
        raise without_uv(error, env) from error


def _requirement_of(name: str, lock: str) -> str:
    """The lines of one package in a lock, with their hashes."""
    match = re.search(rf"^{re.escape(name)}==(?:[^\n]*\\\n)*[^\n]*$", lock, re.MULTILINE)
    return match.group(0) + "\n" if match else ""


class _Builder:
    """Drives uv over one environment."""

    def __init__(
        self, spec: Dict[str, Any], uv: str, env: Dict[str, str], context: Any, run: process.Runner
    ) -> None:
        self._spec, self._uv, self._env, self._context, self._run = spec, uv, env, context, run
        self._path: str = spec["path"]
        self._python = os.path.join(self._path, "bin", "python")

    def rebuild(self) -> None:
        """From nothing; what was downloaded before comes from the cache."""
        self._drop_marker()
        self._context.say(f"making a Python environment ({self._spec['python']})")
        self._call(
            "venv", "--clear", "--no-project", "--python", self._spec["python"],
            "--python-preference", "system", self._path,
        )  # fmt: skip
        self._sync()
        self._finish()

    def mend(self, marker: Dict[str, Any]) -> bool:
        """Puts back the broken packages alone; False when the damage is not to packages alone."""
        broken = _broken(self._path, marker)
        owners = _owners(self._path)
        packages = sorted({_owner(name, owners) for name in broken})
        if "" in packages or not os.path.exists(self._python):
            return False
        self._drop_marker()
        for name in broken:
            _remove(os.path.join(_site_packages(self._path)[0], os.path.basename(name)))
        self._context.say(f"putting back {', '.join(packages)}")
        self._sync(*[option for package in packages for option in ("--reinstall-package", package)])
        if _fingerprint(self._path).keys() != marker["entries"].keys():
            return False
        self._finish()
        return True

    def _drop_marker(self) -> None:
        """First of all: from here on until the end nobody may trust the environment."""
        marker = os.path.join(self._path, MARKER)
        if os.path.exists(marker):
            os.unlink(marker)

    def _sync(self, *options: str) -> None:
        lock = self._spec["lock"]
        count = len(re.findall(r"^[A-Za-z0-9][^\s=]*\s*==", lock, re.MULTILINE))
        self._context.say(f"installing packages (up to {count})")
        # Not inside the environment: it is no part of it, and must not be in its fingerprint. By a name that
        # is nobody else's: machines may share a cache, and processes of theirs have the same numbers.
        with tempfile.NamedTemporaryFile(
            "w", prefix="sync-", suffix=".txt", dir=self._env["UV_CACHE_DIR"], encoding="utf-8"
        ) as requirements:
            requirements.write(lock)
            requirements.flush()
            self._call(
                "pip", "sync", "--python", self._python, "--require-hashes", "--compile-bytecode",
                "--only-binary", ":all:", "--allow-empty-requirements", *options, requirements.name,
            )  # fmt: skip

    def _call(self, *arguments: str) -> None:
        done = self._run([self._uv, *arguments], self._env, cwd=os.path.dirname(self._path))
        if done.rc != 0:
            raise explain(done, self._spec, self._env)

    def _finish(self) -> None:
        kept = _kept(self._path)
        if kept:
            write_text(kept, self._spec["lock"])
        packages = _packages(self._path)
        write_json(
            os.path.join(self._path, MARKER),
            {
                "schema": 1, "wanted": _wanted(self._spec), "python": _python_version(self._path),
                "packages": packages, "entries": _fingerprint(self._path),
            },
        )  # fmt: skip


def _site_packages(path: str) -> List[str]:
    return [str(folder) for folder in sorted(Path(path).glob("lib/python3.*/site-packages"))]


def _name(distribution: metadata.Distribution) -> str:
    return re.sub(r"[-_.]+", "-", distribution.metadata["Name"] or "").lower()


def _packages(path: str) -> Dict[str, str]:
    found = metadata.distributions(path=_site_packages(path))
    return dict(sorted((_name(item), item.version) for item in found))


def _python_version(path: str) -> Optional[str]:
    text = Path(path, "pyvenv.cfg").read_text(encoding="utf-8")
    match = re.search(r"^version(?:_info)?\s*=\s*([0-9.]+)", text, re.MULTILINE)
    return match.group(1).rstrip(".") if match else None


def _owners(path: str) -> Dict[str, str]:
    """Which package each top entry below site-packages belongs to, by the packages' own records."""
    owners: Dict[str, str] = {}
    for item in metadata.distributions(path=_site_packages(path)):
        for line in (item.read_text("RECORD") or "").splitlines():
            top = line.lstrip('"').split("/")[0].split(",")[0]
            # Shared by two packages (a namespace): putting one back would not do.
            owners[top] = "" if owners.get(top, _name(item)) != _name(item) else _name(item)
    return owners


def _owner(entry: str, owners: Dict[str, str]) -> str:
    """The package of an entry of the fingerprint; "" when it is no package's, or not one's alone."""
    folder, _, top = entry.rpartition("/")
    if os.path.basename(folder) != "site-packages":
        return ""
    if top.endswith(".dist-info") and top not in owners:
        return re.sub(r"[-_.]+", "-", top.split("-")[0]).lower()
    return owners.get(top, "")


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def _remove_older(path: str) -> None:
    """Environments of the same name from other locks, if they carry our marker; the newest of them stays.

    It is what worked until now: something may still run from it, and going back to its lock costs nothing.
    """
    parent, base = os.path.split(path)
    match = re.fullmatch(r"(.+)-[0-9a-f]{12}", base)
    if match is None:
        return
    older = []
    for other in os.listdir(parent):
        same = re.fullmatch(re.escape(match.group(1)) + r"-[0-9a-f]{12}", other)
        marker = os.path.join(parent, other, MARKER)
        if same and other != base and os.path.isfile(marker):
            older.append((os.stat(marker).st_mtime, other))
    for _, other in sorted(older)[:-1]:
        print(f"removing the environment of an older lock: {other}", flush=True)
        shutil.rmtree(os.path.join(parent, other))
        with suppress(FileNotFoundError):
            os.unlink(os.path.join(parent, other + ".txt"))
