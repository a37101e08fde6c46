"""Prints entries of provisioner/compat/data/wheels.yml, read out of the released wheels themselves.

`python -m scripts.wheel_facts torch==2.10.0 vllm==0.12.0`, or paths of wheels. uv says where the wheels of
a version are; of each platform's only the members that are looked at are fetched, by range requests. The
file's name gives glibc and architecture, METADATA gives Python, what it requires and the CUDA runtime, and
the libraries give the compute capabilities: PyTorch writes its list into one, the others have it in the
headers of their fat binaries.
"""

from __future__ import annotations

import argparse
import email
import http
import io
import json
import re
import subprocess
import sys
import tempfile
import tomllib
import urllib.request
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit

from packaging.requirements import Requirement
from packaging.utils import parse_wheel_filename

from scripts import fatbin

_UV = Path(sys.executable).with_name("uv")
_WINDOW = 1 << 20
_OLD_GLIBC = {"manylinux1": "2.5", "manylinux2010": "2.12", "manylinux2014": "2.17"}
_PLATFORM = re.compile(r"(manylinux_(?P<glibc>\d+_\d+)|(?P<old>manylinux\d+)|macosx_\d+_\d+)_(?P<arch>.+)")
# PyTorch's own words for what it was built for, in its library for Python: "sm_70 sm_75 compute_90".
_FLAGS = re.compile(rb"((?:sm|compute)_\d{2,3}[af]?(?: (?:sm|compute)_\d{2,3}[af]?)+)(?=\0)")
# The versions of glibc's functions that a library was linked with, in its table of names.
_GLIBC = re.compile(rb"\0GLIBC_(\d+\.\d+)(?:\.\d+)?(?=\0)")
_LONGEST = 256
_LIBRARY = re.compile(r"\.so(\.\d+)*$")
_TORCH = re.compile(r"/libtorch_python\.so$")
# For accelerators of other makers: not loaded here.
_ELSEWHERE = re.compile(r"rocm|xpu|hip|musa")
# Of PyTorch only what is quickly read: its largest library alone is a gigabyte.
_SMALL = 8 << 20
# Which other packages decide with it whether it runs.
_DECIDE = re.compile(r"(torch|transformers|sgl-kernel|sglang-kernel|flashinfer-python|numpy|vllm)$")


class NoWheelError(Exception):
    """There is none, or it cannot be read piecewise; the text says which."""


@dataclass(frozen=True)
class Facts:
    """What one wheel says: `platform` is linux or macos, `cuda` its runtime where it has code for GPUs."""

    package: str
    version: str
    python: str
    platform: str
    arch: str
    glibc: str
    cuda: str | None
    capabilities: tuple[str, ...]
    requires: tuple[str, ...] = field(default=())


class Ranged(io.RawIOBase):
    """A remote file that is read piecewise: zipfile asks for its end and for members only."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._at = 0
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD")) as answer:  # noqa: S310
            self._size = int(answer.headers["Content-Length"])

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        end = min(self._at + len(buffer), self._size)
        if end <= self._at:
            return 0
        asked = urllib.request.Request(self._url, headers={"Range": f"bytes={self._at}-{end - 1}"})  # noqa: S310
        with urllib.request.urlopen(asked) as answer:  # noqa: S310
            if answer.status != http.HTTPStatus.PARTIAL_CONTENT:
                raise NoWheelError(f"{self._url}: its server sends whole files only")
            data = answer.read()
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def located(requirement: str) -> list[str]:
    """Addresses or paths of the wheels of `package==version`, one a platform. Raises NoWheelError."""
    with tempfile.TemporaryDirectory() as scratch:
        wanted, lock = Path(scratch, "requirements.in"), Path(scratch, "pylock.toml")
        wanted.write_text(requirement + "\n", "utf-8")
        said = ""
        for python in ("3.12", "3.11", "3.10"):
            done = subprocess.run(
                [
                    str(_UV), "pip", "compile", "--quiet", "--no-deps", "--universal", "--no-header",
                    "--only-binary", ":all:", "--python-version", python, "--format", "pylock.toml",
                    "--output-file", str(lock), str(wanted),
                ],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            if done.returncode == 0:
                found = tomllib.loads(lock.read_text("utf-8"))["packages"][0].get("wheels", [])
                return one_a_platform(entry.get("url") or entry["path"] for entry in found)
            said = done.stderr.strip()
    raise NoWheelError(f"{requirement}: {said}")


def one_a_platform(places: Iterable[str]) -> list[str]:
    """The first wheel for each platform and architecture; PyPy's, free-threaded and Windows' are left out."""
    found: dict[tuple[str, str], str] = {}
    for place in places:
        _, _, _, tags = parse_wheel_filename(_name(place))
        if all(tag.abi.endswith("t") or tag.interpreter.startswith("pp") for tag in tags):
            continue
        platform, arch, _ = _built_for(place)
        if platform:
            found.setdefault((platform, arch), place)
    return [found[key] for key in sorted(found)]


def read(place: str) -> Facts:
    """What the wheel at a path or address says."""
    remote = urlsplit(place).scheme in ("http", "https")
    platform, arch, glibc = _built_for(place)
    with (
        io.BufferedReader(Ranged(place), _WINDOW) if remote else Path(_path(place)).open("rb") as stream,
        zipfile.ZipFile(stream) as wheel,
    ):
        name = next(item for item in wheel.namelist() if item.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(wheel.read(name))
        requires = [Requirement(text) for text in metadata.get_all("Requires-Dist", [])]
        capabilities, needed = _libraries(wheel)
    return Facts(
        package=metadata["Name"],
        version=metadata["Version"],
        python=metadata.get("Requires-Python", ""),
        platform=platform,
        arch=arch,
        glibc=max((glibc, *needed), key=_numbers) if glibc else "",
        cuda=_runtime(requires) if capabilities else None,
        capabilities=capabilities,
        requires=tuple(f"{one.name}{one.specifier}" for one in requires if _decides(one)),
    )


def entries(found: Sequence[Facts]) -> list[str]:
    """Lines of wheels.yml: one for the wheels with the most in them, and a comment for the others.

    Those for macOS are among the first: nobody misses CUDA there.
    """
    alike: dict[str | None, list[Facts]] = {}
    for one in sorted(found, key=lambda one: (one.platform, one.arch != "x86_64")):
        if one.platform == "linux" or not alike:
            alike.setdefault(one.cuda, []).append(one)
    first, *others = sorted(alike.values(), key=lambda group: (group[0].cuda is None, -len(group)))
    first += [one for one in found if one.platform == "macos" and one not in first]
    lines = [_line(first)]
    for group in others:
        where = ", ".join(f"{one.platform} {one.arch}" for one in group)
        have = f"CUDA {group[0].cuda}" if group[0].cuda else "no CUDA"
        lines.append(f"# {first[0].package} {first[0].version} for {where}: {have}")
    return lines


def _line(group: Sequence[Facts]) -> str:
    one = group[0]
    glibc = max((item.glibc for item in group if item.glibc), key=_numbers, default="")
    values: dict[str, object] = {
        "package": one.package,
        "version": one.version,
        "python": one.python,
        "glibc": glibc,
    }
    if one.cuda:
        values |= {"cuda": one.cuda, "capabilities": list(one.capabilities)}
        others = {
            item.arch: list(item.capabilities)
            for item in group
            if item.cuda and item.capabilities != one.capabilities
        }
        values |= {"capabilities_by_arch": others} if others else {}
    values["arches"] = list(dict.fromkeys(item.arch for item in group))
    if any(item.platform == "macos" for item in group):
        values["systems"] = sorted({item.platform for item in group})
    if one.requires:
        values["requires"] = list(one.requires)
    words = ", ".join(f"{key}: {_yaml(value)}" for key, value in values.items())
    return f"- {{{words}, source: the wheel, confidence: ran}}"


def _yaml(value: object) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_yaml(item)}' for key, item in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(_yaml(item) for item in value)}]"
    text = str(value)
    return text if re.fullmatch(r"[a-z][\w.-]*", text) else json.dumps(text)


def _libraries(wheel: zipfile.ZipFile) -> tuple[tuple[str, ...], set[str]]:
    """The capabilities that its libraries have code for, and the versions of glibc that they need.

    PyTorch's own list, else that of the fat binary with code for the most GPUs: those with less are extras
    that are chosen at run time.
    """
    widest: dict[str, set[str]] = {}
    flags: tuple[str, ...] | None = None
    needed: set[str] = set()
    libraries = [
        item
        for item in wheel.infolist()
        if _LIBRARY.search(item.filename) and not _ELSEWHERE.search(item.filename)
    ]
    torch = any(_TORCH.search(item.filename) for item in libraries)
    for item in libraries:
        own = bool(_TORCH.search(item.filename))
        if torch and not own and item.file_size > _SMALL:
            continue
        with wheel.open(item) as member:
            seen = _Seen(member)
            binaries: dict[int, dict[str, set[str]]] = {}
            for entry in fatbin.entries(seen):
                binaries.setdefault(entry.binary, {}).setdefault(entry.capability, set()).add(entry.kind)
        widest = max([widest, *binaries.values()], key=len)
        needed |= {match.decode() for match in seen.found[_GLIBC]}
        if own:
            said = max(seen.found[_FLAGS], key=len, default=b"")
            flags = tuple(_spelled(word) for word in said.decode().split())
    if flags is None:
        flags = tuple(f"{one}+PTX" if "ptx" in widest[one] else one for one in sorted(widest, key=_numbers))
    return flags, needed


class _Seen:
    """A library as it is read, and what was found in it on the way."""

    def __init__(self, member: IO[bytes]) -> None:
        self._member = member
        self._end = b""
        self.found: dict[re.Pattern[bytes], set[bytes]] = {_FLAGS: set(), _GLIBC: set()}

    def read(self, count: int, /) -> bytes:
        block = self._member.read(count)
        text = self._end + block
        for pattern, found in self.found.items():
            found.update(match.group(1) for match in pattern.finditer(text))
        self._end = text[-_LONGEST:]
        return block


def _spelled(word: str) -> str:
    kind, _, number = word.partition("_")
    digits = number.rstrip("af")
    return f"{digits[:-1]}.{digits[-1]}{number[len(digits) :]}" + ("+PTX" if kind == "compute" else "")


def _runtime(requires: Iterable[Requirement]) -> str | None:
    for one in requires:
        if re.fullmatch(r"nvidia-cuda-runtime(-cu\d+)?|cuda-toolkit", one.name):
            return ".".join(str(one.specifier).removeprefix("==").split(".")[:2])
    return None


def _decides(one: Requirement) -> bool:
    return bool(_DECIDE.match(one.name)) and not (one.marker and "extra" in str(one.marker))


def _built_for(place: str) -> tuple[str, str, str]:
    """linux or macos ("" for neither), the architecture, and the oldest glibc of a wheel, by its name."""
    *_, tags = parse_wheel_filename(_name(place))
    found = [match for tag in tags if (match := _PLATFORM.fullmatch(tag.platform))]
    if not found:
        return ("linux", "any", "") if any(tag.platform == "any" for tag in tags) else ("", "", "")
    glibcs = [
        _OLD_GLIBC[match["old"]] if match["old"] else match["glibc"].replace("_", ".")
        for match in found
        if match["old"] or match["glibc"]
    ]
    return "linux" if glibcs else "macos", found[0]["arch"], min(glibcs, key=_numbers, default="")


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text))


def _name(place: str) -> str:
    return Path(unquote(urlsplit(place).path)).name


def _path(place: str) -> str:
    return unquote(urlsplit(place).path) if place.startswith("file:") else place


def _with_torch(found: Sequence[Facts], torch: str | None) -> list[Facts]:
    """The CUDA of the torch that they require exactly, or of `torch`: they have no runtime of their own."""
    exact = next((one for one in found[0].requires if one.startswith("torch==")), torch and f"torch=={torch}")
    if exact is None or not any(one.capabilities and not one.cuda for one in found):
        return list(found)
    place = max(located(exact), key=lambda place: "x86_64" in place)
    runtime = read(place).cuda
    return [replace(one, cuda=runtime if one.capabilities else None) for one in found]


def main(arguments: Sequence[str]) -> int:
    """Prints the entries of every wheel that was named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("wheel", nargs="+", help="package==version, or the path of a wheel")
    parser.add_argument("--torch", help="the torch that they are used with, where they require no exact one")
    asked = parser.parse_args(arguments)
    for wanted in asked.wheel:
        try:
            found = [read(place) for place in ([wanted] if wanted.endswith(".whl") else located(wanted))]
            print("\n".join(entries(_with_torch(found, asked.torch))), flush=True)
        except NoWheelError as error:
            print(error, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
