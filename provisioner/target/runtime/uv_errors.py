"""What uv said, as one line for a person and the next step."""

from __future__ import annotations

import glob
import os
import re
import subprocess
from typing import Any, Callable, Dict, List, Mapping, Optional

from .. import clock
from ..errors import TargetError
from .process import Done, without_login


def explain(
    done: Done,
    spec: Mapping[str, Any],
    env: Mapping[str, str],
    pythons: Optional[Callable[[Mapping[str, str]], List[str]]] = None,
) -> TargetError:
    """The error for a uv that failed; the decisive cause first, since uv tells a chain of them."""
    text = done.text()
    index = without_login(env.get("UV_DEFAULT_INDEX", "the default package index"))
    where = spec["path"]
    if re.search(r"No space left on device|os error 28\b|Disk quota exceeded", text):
        place = _first(r"(?:to|at|file|directory) `(/[^`]+)`", text) or where
        return TargetError(
            f"{where}: the disk is full (while writing {place})",
            "free some disk space, then run again: what was downloaded is kept",
        )
    if "os error 30" in text:
        return TargetError(
            f"{where}: the file system is mounted read-only", "remount it, or choose another folder"
        )
    if "os error 13" in text and "Permission denied" in text:
        return TargetError(
            f"{where}: not allowed to write there", "run with sudo, or choose a folder of your own"
        )
    if re.search(r"python-build-standalone|No interpreter found|Python downloads are", text):
        there = ", ".join((pythons or pythons_here)(env)) or "none"
        return TargetError(
            f"no Python that fits {spec['python']}: here is {there}, and uv's own could not be had"
            f" ({_last_cause(text)})",
            f"install a Python {spec['python']} from the distribution, or name a mirror of uv's interpreters"
            " in UV_PYTHON_INSTALL_MIRROR",
        )
    package = _first(r"Hash mismatch for `([^`]+)`", text)
    if package:
        got = _first(r"Computed:\s*(sha256:[0-9a-f]+)", text)
        return TargetError(
            f"{package}: the hash is not the locked one (got {got[:19]}… from {index})",
            "the mirror serves another file than the lock names: ask its keeper, or set host_base_pypi_index",
        )
    if clock.behind(text):
        return TargetError(f"{index}: {clock.MEANS} ({_last_cause(text)})", clock.HINT)
    if re.search(r"[Cc]ertificate|UnknownIssuer", text):
        return TargetError(
            f"{index}: its certificate is not trusted ({_last_cause(text)})",
            "add your network's certificate authority with host_base_ca_certificates",
        )
    unreachable = _first(r"Failed to (?:fetch:?|download) `?(\S+?)`?(?:\s|$)", text)
    if re.search(
        r"client error|error sending request|timed out|Connection refused|dns error|HTTP status", text
    ):
        return TargetError(
            f"package index not reachable: {without_login(unreachable or index)} ({_last_cause(text)})",
            "check the network and proxies, or name a mirror with host_base_pypi_index",
        )
    missing = _first(r"there is no version of (\S+)", text) or _first(r"Because (\S+) was not found", text)
    unusable = _first(r"(?:Because|and|that) (\S+) has no (?:usable )?wheels", text)
    if missing or unusable:
        what = f"has no {missing}" if missing else f"has no wheel of {unusable} for this machine"
        return TargetError(
            f"{index} {what}",
            "name a mirror that has it with host_base_pypi_index, or a folder with find_links",
        )
    return TargetError(f"uv failed on {where}: {_last_cause(text)}", "the whole story is in the job's log")


def without_uv(error: TargetError, env: Mapping[str, str]) -> TargetError:
    """The error of a box that could not even get uv, with the index named and in the roles' own words."""
    index = without_login(env.get("PIP_INDEX_URL", "the default package index"))
    hint = error.hint or "see the job's log"
    for variable, role_variable in (
        ("PIP_INDEX_URL", "host_base_pypi_index"),
        ("SSL_CERT_FILE", "host_base_ca_certificates"),
        ("https_proxy", "host_base_https_proxy"),
    ):
        hint = hint.replace(variable, role_variable)
    return TargetError(f"{error} (from {index})", hint)


def pythons_here(env: Mapping[str, str]) -> List[str]:
    """The interpreters on the search path: ["Python 3.9.2 (/usr/bin/python3.9)", …], each version once."""
    found: Dict[str, str] = {}
    for folder in env.get("PATH", os.defpath).split(os.pathsep):
        for path in sorted(glob.glob(os.path.join(glob.escape(folder), "python3*"))):
            if not re.fullmatch(r"python3(\.\d+)?", os.path.basename(path)):
                continue
            try:
                said = subprocess.run(
                    [path, "--version"], env=dict(env), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL, timeout=10, check=False,
                )  # fmt: skip
            except (OSError, subprocess.TimeoutExpired):
                # One that does not start is not there, for this purpose.
                continue
            if said.returncode == 0:
                found.setdefault(said.stdout.decode("utf-8", "replace").strip(), path)
    return [f"{version} ({path})" for version, path in sorted(found.items())]


def _first(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    return match.group(1) if match else ""


def _last_cause(text: str) -> str:
    """The innermost cause, or the last error, or the last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    causes = [line for line in lines if line.startswith("cause:")]
    errors = [line for line in lines if line.startswith("error:")]
    line = (causes or errors or lines or ["it said nothing"])[-1]
    return re.sub(r"^(cause|error):\s*", "", line)[:160]
