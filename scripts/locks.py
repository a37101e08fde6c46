"""Makes the lock files of provisioner/profiles/locks with uv, or proves that they still hold.

`--write` makes them anew of their inputs, with the newest versions. `--check` proves for each lock that its
input still resolves to it, that each pin is still published with its hashes, and for each platform and
Python it serves that there is a wheel of each pin; it names what is gone. The package index is uv's own
setting (UV_DEFAULT_INDEX); torch's CPU wheel is looked for in PROVISION_FIND_LINKS, or PIP_FIND_LINKS.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from provisioner.profiles.lockfiles import HERE, Lock, Pin, Platform, locks, pins

# Your own mirrors and wheels would put their hashes into everybody's locks.
_OWN = ("PIP_FIND_LINKS", "UV_FIND_LINKS", "UV_INDEX", "UV_EXTRA_INDEX_URL")
_COMPILE = ("--no-config", "--no-header", "--no-annotate", "--generate-hashes", "--quiet")
_GONE = re.compile(r"(?:no version of|was not found in the package registry|no wheels|no usable wheels)")


@dataclass(frozen=True)
class Uv:
    """uv as it is asked here: `links` have what no public index has, `index` says where the rest is."""

    path: str
    links: tuple[str, ...] = ()
    index: tuple[str, ...] = ()
    folder: Path = HERE
    workers: int = 4

    def ask(self, *arguments: str, macos: str = "") -> subprocess.CompletedProcess[str]:
        """One call of uv, whatever it ends with."""
        environment = {key: value for key, value in os.environ.items() if key not in _OWN}
        if macos:
            environment["MACOSX_DEPLOYMENT_TARGET"] = macos
        command = [self.path, "--color", "never", *arguments, *self.index]
        return subprocess.run(
            command, env=environment, cwd=self.folder, check=False, text=True, capture_output=True
        )


@dataclass
class Verdict:
    """What is wrong with one lock, in sentences; none: it holds."""

    lock: str
    wrong: list[str] = field(default_factory=list)


def platform_options(platform: Platform) -> tuple[str, ...]:
    """A platform in uv's words."""
    if platform.platform == "macos-arm64":
        return ("--python-platform", "aarch64-apple-darwin")
    arch, libc = platform.platform.removeprefix("linux-"), platform.at_least.replace(".", "_")
    # uv has no target below glibc 2.17, nor ones between that and 2.28.
    tag = "manylinux2014" if libc == "2_17" else f"manylinux_{libc}"
    return ("--python-platform", f"{arch}-{tag}")


def compile_lock(uv: Uv, lock: Lock, *, constraints: Sequence[Pin] = (), upgrade: bool = False) -> str:
    """The lock of an input as it resolves now. Raises CalledProcessError with uv's words."""
    options = [*_COMPILE, "--python-version", lock.python[0]]
    options += ["--universal"] if lock.universal else platform_options(lock.platforms[0])
    options += [] if lock.dependencies else ["--no-deps"]
    options += ["--upgrade"] if upgrade else []
    options += _links(uv, lock)
    with tempfile.TemporaryDirectory() as scratch:
        for option, name, lines in (
            ("--constraint", "constraints.txt", [pin.text for pin in constraints]),
            ("--override", "overrides.txt", lock.overrides),
        ):
            if lines:
                path = Path(scratch) / name
                path.write_text("\n".join(lines) + "\n", encoding="utf-8")
                options += [option, str(path)]
        macos = _macos(lock.platforms[0])
        said = uv.ask("pip", "compile", f"{lock.name}.in", *options, macos="" if lock.universal else macos)
    said.check_returncode()
    return said.stdout


def check(uv: Uv, lock: Lock, text: str) -> Verdict:
    """Everything that no longer holds of a lock file."""
    verdict = Verdict(lock.name)
    have = pins(text, f"{lock.name}.txt")
    try:
        now = pins(compile_lock(uv, lock, constraints=have), f"{lock.name}.in")
    except subprocess.CalledProcessError as error:
        gone = [name for name in (pin.text for pin in have) if not _published(uv, lock, name)]
        verdict.wrong += [f"{name} is not published any more" for name in gone]
        if not gone:
            verdict.wrong.append(
                f"{lock.name}.in does not resolve to its lock any more: {_said(error.stderr)}"
            )
        return verdict
    verdict.wrong += differences(have, now)
    if not verdict.wrong:
        for platform in lock.platforms:
            for python in lock.python:
                verdict.wrong += _installs(uv, lock, platform, python)
    return verdict


def differences(have: Iterable[Pin], now: Iterable[Pin]) -> list[str]:
    """How a lock differs from what its input resolves to with the same versions; new hashes do not matter."""
    old, new = ({pin.text: pin for pin in side} for side in (have, now))
    return [
        *(f"{text} is in the lock, and its input does not ask for it" for text in old if text not in new),
        *(f"{text} is asked for by its input, and not in the lock" for text in new if text not in old),
        *(
            f"{text}: no file has the hash {digest} any more"
            for text, pin in old.items()
            for digest in sorted(pin.hashes - (new[text].hashes if text in new else pin.hashes))
        ),
    ]


def _published(uv: Uv, lock: Lock, pin: str) -> bool:
    options = ["--no-deps", "--universal", "--python-version", lock.python[-1], *_links(uv, lock)]
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "pin.in"
        path.write_text(pin + "\n", encoding="utf-8")
        said = uv.ask("pip", "compile", str(path), *_COMPILE, *options)
    return said.returncode == 0 or not _GONE.search(said.stderr)


def _installs(uv: Uv, lock: Lock, platform: Platform, python: str) -> list[str]:
    """What the box asks of uv, for that platform, without doing it."""
    with tempfile.TemporaryDirectory() as scratch:
        said = uv.ask(
            "pip", "sync", "--no-config", "--dry-run", "--require-hashes", "--quiet",
            "--only-binary", ":all:", "--target", str(Path(scratch) / "target"), "--python-version", python,
            *platform_options(platform), *_links(uv, lock), f"{lock.name}.txt", macos=_macos(platform),
        )  # fmt: skip
    if said.returncode == 0:
        return []
    return [f"not on {platform.platform} with Python {python}: {_said(said.stderr)}"]


def _macos(platform: Platform) -> str:
    return platform.at_least if platform.platform == "macos-arm64" else ""


def _links(uv: Uv, lock: Lock) -> list[str]:
    return [part for folder in uv.links if lock.elsewhere for part in ("--find-links", folder)]


def _said(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return " ".join(lines[:4])[:600] or "uv said nothing"


def check_all(uv: Uv, which: Sequence[Lock]) -> list[Verdict]:
    """Several locks at once: most of a check is waiting for an index."""
    with ThreadPoolExecutor(uv.workers) as pool:
        texts = [(uv.folder / f"{lock.name}.txt").read_text(encoding="utf-8") for lock in which]
        return list(pool.map(lambda pair: check(uv, *pair), zip(which, texts, strict=True)))


def own_uv(links: str | None = None) -> Uv:
    """The uv of this environment; `links` are folders or addresses, with spaces between."""
    said = (
        links
        if links is not None
        else os.environ.get("PROVISION_FIND_LINKS") or os.environ.get("PIP_FIND_LINKS")
    )
    return Uv(str(Path(sys.executable).parent / "uv"), tuple((said or "").split()))


def main(argv: Sequence[str] | None = None) -> int:
    """Exit 0 when all is well, 1 when a lock does not hold or cannot be made, 2 for an unknown lock."""
    parser = argparse.ArgumentParser(prog="python -m scripts.locks", description=__doc__)
    parser.add_argument("lock", nargs="*", help="none: all")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--write", action="store_true", help="make them")
    what.add_argument("--check", action="store_true", help="prove that they hold")
    options = parser.parse_args(argv)
    if unknown := sorted(set(options.lock) - {lock.name for lock in locks()}):
        parser.error(f"no lock {unknown[0]}; there are: {', '.join(lock.name for lock in locks())}")
    which = [lock for lock in locks() if not options.lock or lock.name in options.lock]
    uv = own_uv()
    if options.check:
        verdicts = check_all(uv, which)
        for verdict in verdicts:
            print(f"{verdict.lock}: {'holds' if not verdict.wrong else ''}".rstrip())
            for sentence in verdict.wrong:
                print(f"  {sentence}")
        return 1 if any(verdict.wrong for verdict in verdicts) else 0
    for lock in which:
        try:
            text = compile_lock(uv, lock, upgrade=True)
        except subprocess.CalledProcessError as error:
            print(f"{lock.name}: {_said(error.stderr)}", file=sys.stderr)
            return 1
        (uv.folder / f"{lock.name}.txt").write_text(text, encoding="utf-8")
        print(f"wrote {lock.name}.txt")
    return 0


if __name__ == "__main__":
    sys.exit(main())
