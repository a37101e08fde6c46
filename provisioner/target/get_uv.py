"""Gets uv where there may be neither pip nor the venv package nor root.

A module for boxes (`get_uv`) and a program for the controller (`python3 -I get_uv.py DEST`). It names no
registry: pip and apt know theirs, and mirrors, proxies and certificates come from the environment.
"""

from __future__ import annotations

import argparse
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple

if __package__:
    from .errors import TargetError
else:

    class TargetError(Exception):  # type: ignore[no-redef]
        """Stands in for the package's own error when this file runs alone."""

        def __init__(self, message: str, hint: Optional[str] = None) -> None:
            super().__init__(message)
            self.message = message
            self.hint = hint


Log = Callable[[str], None]

_ANSWER_S = 20.0  # what `--version` may take on a slow disk
_FETCH_S = 900.0  # 25 MB over a very slow line

# What pip and apt say, and what helps. A cause comes before what it leads to: pip ends with "No matching
# distribution" whatever kept it from the index.
_REMEDIES = (
    (r"No space left", "free some disk space"),
    (r"not yet valid|not valid yet",
     "this machine's clock is behind: set it right (in WSL: sudo hwclock -s)"),
    (r"certificate verify|CERTIFICATE_VERIFY|SSLError|Certificate verification failed|TLS CA cert",
     "name your network's certificate bundle in SSL_CERT_FILE"),
    (r"[Pp]roxy", "check https_proxy"),
    (r"do not match the hashes|Hash Sum mismatch",
     "the mirror serves other files than were locked: ask its keeper"),
    (r"[Rr]esolv|[Cc]onnect|timed out|unreachable|Network",
     "check the network, https_proxy and PIP_INDEX_URL"),
    (r"No matching distribution|from versions: none|Could not find a version",
     "the package mirror (PIP_INDEX_URL) lacks this version, or has no uv for this processor"),
)  # fmt: skip


class _Pip(NamedTuple):
    """A pip that answers: how to start it and the environment it needs on top."""

    argv: List[str]
    env: Dict[str, str]


class _Failed(Exception):  # noqa: N818  (a step's outcome, not an error of the user's)
    """One way did not work; the text says why in a line."""


def get_uv(dest: Path, requirement: str, env: Mapping[str, str], log: Log) -> Path:
    """A uv of at least the wanted version: the one in `dest`, the one on PATH, or one fetched into `dest`.

    `requirement` is the text of a requirements file that pins uv with hashes. Nothing outside `dest` is
    changed. Raises TargetError, with the next step, when no way works.
    """
    wanted = wanted_version(requirement)
    here = dest / "uv"
    found = shutil.which("uv", path=env.get("PATH", os.defpath))
    for candidate in (here, Path(found) if found else None):
        if candidate is not None and (uv_version(candidate, env) or (0,)) >= wanted:
            return candidate
    _make(dest)
    # Beside its destination, so that the last step is one rename in one file system.
    with tempfile.TemporaryDirectory(prefix=".get-uv-", dir=str(dest)) as folder:
        work = Path(folder)
        # apt drops root for its downloads and must be able to walk in.
        work.chmod(0o755)
        (work / "requirement.txt").write_text(requirement, encoding="utf-8")
        binary = _fetch(work, _pip_env(env), log)
        if uv_version(binary, env) is None:
            raise TargetError(
                f"the uv that was fetched does not run on this machine ({os.uname().machine})",
                "put a working uv on PATH",
            )
        os.replace(str(binary), str(here))
    return here


def wanted_version(requirement: str) -> Tuple[int, ...]:
    """The version that `uv==X.Y.Z` in a requirements text pins."""
    match = re.search(r"^uv==([0-9]+(?:\.[0-9]+)*)", requirement, re.MULTILINE)
    if match is None or "--hash=" not in requirement:
        raise TargetError(
            "the requirement for uv pins no version with hashes",
            "write it with: uv pip compile --generate-hashes",
        )
    return _numbers(match.group(1))


def uv_version(binary: Path, env: Mapping[str, str]) -> Optional[Tuple[int, ...]]:
    """What this uv says its version is, or None when it does not answer."""
    if not os.access(str(binary), os.X_OK):
        return None
    try:
        answer = _run([str(binary), "--version"], env, _ANSWER_S, Path("/"))
    except _Failed:
        return None
    match = re.match(r"uv ([0-9]+(?:\.[0-9]+)*)", answer)
    return _numbers(match.group(1)) if match else None


def _numbers(text: str) -> Tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def _make(dest: Path) -> None:
    try:
        dest.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TargetError(
            f"cannot make {dest}: {error.strerror}", "choose a folder you may write to"
        ) from error


def _fetch(work: Path, env: Mapping[str, str], log: Log) -> Path:
    """Tries each pip in turn, the cheapest first; the last reason given is the one worth reading."""
    reasons = []
    for name, find in (("pip", _own_pip), ("a private pip", _ensured_pip), ("Debian's pip", _debian_pip)):
        try:
            pip = find(work, env, log)
        except _Failed as why:
            reasons.append((name, str(why)))
            continue
        log(f"getting uv with {name} (25 MB)")
        try:
            return _download(pip, work, env)
        except _Failed as why:
            # pip itself works, so another pip would meet the same network.
            raise TargetError(f"cannot get uv with {name}: {why}", _remedy(str(why))) from why
    name, why_not = reasons[-1]
    raise TargetError(f"cannot get uv: no pip here, and {name} cannot be had: {why_not}", _remedy(why_not))


def _download(pip: _Pip, work: Path, env: Mapping[str, str]) -> Path:
    """`pip download`, not `install`: no scheme, no user site, no externally-managed marker to meet."""
    wheels = work / "wheels"
    command = [
        *pip.argv, "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes",
        "--dest", str(wheels), "--requirement", str(work / "requirement.txt"),
    ]  # fmt: skip
    _run(command, {**env, **pip.env}, _FETCH_S, work)
    found = sorted(wheels.glob("uv-*.whl"))
    if not found:
        raise _Failed("pip ended well but left no wheel")
    with zipfile.ZipFile(str(found[0])) as wheel:
        inside = [name for name in wheel.namelist() if re.fullmatch(r"uv-[^/]+\.data/scripts/uv", name)]
        if not inside:
            raise _Failed(f"no program inside {found[0].name}")
        binary = Path(wheel.extract(inside[0], str(work)))
    binary.chmod(0o755)
    return binary


def _own_pip(work: Path, env: Mapping[str, str], _log: Log) -> _Pip:
    return _answering(_Pip([sys.executable, "-m", "pip"], {}), work, env)


def _ensured_pip(work: Path, env: Mapping[str, str], _log: Log) -> _Pip:
    _run([sys.executable, "-m", "venv", str(work / "venv")], env, _FETCH_S, work)
    return _answering(_Pip([str(work / "venv/bin/python"), "-m", "pip"], {}), work, env)


def _debian_pip(work: Path, env: Mapping[str, str], log: Log) -> _Pip:
    """The pip of Debian's and Ubuntu's venv package, unpacked in `work`; apt's signatures vouch for it."""
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool, path=env.get("PATH", os.defpath)) is None:
            raise _Failed(
                f"this is no Debian or Ubuntu ({tool} is missing): install pip for {sys.executable}"
            )
    log("getting pip from the distribution's packages (2 MB, installs nothing)")
    apt = _Apt(work, env, log)
    # The name before Debian 12 and Ubuntu 22.04 comes second.
    root = apt.unpack("python3-pip-whl", "python-pip-whl")
    path = work / "pip"
    # Older releases keep pip's dependencies in wheels of their own; unpacked, all import alike.
    for wheel in glob.glob(str(root / "usr/share/python-wheels/*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(str(path))
    pip = _Pip([sys.executable, "-m", "pip"], {"PYTHONPATH": str(path)})
    try:
        return _answering(pip, work, env)
    except _Failed as why:
        if "distutils" not in str(why):
            raise
    _add_distutils(apt.unpack("python3-distutils"), path)
    return _answering(pip, work, env)


def _add_distutils(root: Path, path: Path) -> None:
    """Joins the two halves of distutils, which Debian and Ubuntu deliver apart until Python 3.11."""
    version = "python{}.{}".format(*sys.version_info[:2])
    for half in (Path(os.__file__).parent, root / "usr/lib" / version):
        shutil.copytree(str(half / "distutils"), str(path / "distutils"), dirs_exist_ok=True)


class _Apt:
    """Downloads packages into a private folder; reads a fresh index only when the system's does not do."""

    def __init__(self, work: Path, env: Mapping[str, str], log: Log) -> None:
        self._work, self._env, self._log = work, env, log
        self._options: List[str] = []
        certificates = env.get("SSL_CERT_FILE")
        if certificates:
            self._options += ["-o", f"Acquire::https::CaInfo={certificates}"]
        self._own_index = False

    def unpack(self, *names: str) -> Path:
        """The root of the first of these packages that can be had."""
        try:
            return self._unpack(names)
        except _Failed:
            if self._own_index:
                raise
        try:
            self._update()
        except _Failed as why:
            # A third party's broken repository must not stand in the way of the distribution's own.
            try:
                return self._unpack(names)
            except _Failed:
                raise why from None
        return self._unpack(names)

    def _unpack(self, names: Tuple[str, ...]) -> Path:
        why = _Failed(f"no package {names[0]}")
        for name in names:
            folder = self._work / "debs" / name
            folder.mkdir(parents=True, exist_ok=True)
            try:
                _run(["apt-get", *self._options, "-qq", "download", name], self._env, _FETCH_S, folder)
            except _Failed as error:
                why = error
                continue
            root = self._work / "root" / name
            root.mkdir(parents=True, exist_ok=True)
            for deb in folder.glob("*.deb"):
                _run(["dpkg-deb", "-x", str(deb), str(root)], self._env, _FETCH_S, folder)
                return root
        raise why

    def _update(self) -> None:
        self._log("reading the distribution's package index into a private folder (some seconds)")
        self._own_index = True
        lists, cache = self._work / "lists", self._work / "cache"
        for folder in (lists / "partial", cache / "archives/partial"):
            folder.mkdir(parents=True)
        self._options += ["-o", f"Dir::State::lists={lists}", "-o", f"Dir::Cache={cache}"]
        _run(["apt-get", *self._options, "-qq", "update"], self._env, _FETCH_S, self._work)


def _answering(pip: _Pip, work: Path, env: Mapping[str, str]) -> _Pip:
    _run([*pip.argv, "download", "--help"], {**env, **pip.env}, 3 * _ANSWER_S, work)
    return pip


def _pip_env(env: Mapping[str, str]) -> Dict[str, str]:
    """The caller's environment, with what would turn a download aside taken out."""
    aside = ("PIP_REQUIRE_VIRTUALENV", "PYTHONHOME")
    result = {name: value for name, value in env.items() if name not in aside}
    result.update(PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1", LC_ALL="C.UTF-8")
    if "SSL_CERT_FILE" in env:
        # Older pips know this file by other names only.
        result.setdefault("PIP_CERT", env["SSL_CERT_FILE"])
    return result


def _run(command: List[str], env: Mapping[str, str], timeout_s: float, cwd: Path) -> str:
    """Standard output; _Failed with the most telling line of what went wrong."""
    try:
        done = subprocess.run(
            command, env=dict(env), cwd=str(cwd), timeout=timeout_s, check=False, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, errors="replace",
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise _Failed(f"{Path(command[0]).name} gave no answer in {timeout_s:.0f} s") from error
    except OSError as error:
        raise _Failed(f"{command[0]}: {error.strerror}") from error
    if done.returncode != 0:
        raise _Failed(
            _telling_line(done.stderr + "\n" + done.stdout) or f"{command[0]} exit {done.returncode}"
        )
    return done.stdout


def _telling_line(text: str) -> str:
    """The line that names the best known cause, else the last that names an error, else the last."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for pattern, _ in _REMEDIES:
        for line in lines:
            if re.search(pattern, line):
                return _shortened(line)
    errors = [line for line in lines if re.match(r"(ERROR|E|Error): |\w+Error: ", line)]
    return _shortened((errors or lines or [""])[-1])


def _shortened(line: str) -> str:
    cause = re.search(r"after connection broken by '(.*)': ", line)
    line = re.sub(r"<[\w.]+ object at 0x[0-9a-f]+>: ", "", cause.group(1) if cause else line)
    return line if len(line) <= 200 else line[:197] + "..."


_NO_REMEDY = "install pip (Debian and Ubuntu: apt-get install python3-pip), or put uv on PATH"


def _remedy(why: str) -> str:
    for pattern, remedy in _REMEDIES:
        if re.search(pattern, why):
            return remedy
    return _NO_REMEDY


def main(argv: Optional[List[str]] = None) -> int:
    """Prints the path of a uv: DEST/uv, or a newer one that was there already."""
    parser = argparse.ArgumentParser(description="Get uv into a folder, without pip, venv or root.")
    parser.add_argument("dest", type=Path, help="folder to put uv in")
    parser.add_argument("--requirement", type=Path, help="requirements file that pins uv with hashes")
    options = parser.parse_args(argv)
    default = Path(__file__).resolve().parents[2] / "requirements" / "uv.txt"
    try:
        text = (options.requirement or default).read_text(encoding="utf-8")
        print(get_uv(options.dest.absolute(), text, os.environ, lambda line: print(line, file=sys.stderr)))
    except OSError as error:
        print(f"cannot read or write {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    except TargetError as error:
        print(f"{error}\n  {error.hint}" if error.hint else str(error), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
