"""The data files: their schema, and that what one names another knows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from provisioner.compat import described
from provisioner.compat import knowledge as known
from provisioner.compat.repositories import repositories, repository_keys
from provisioner.compat.systems import Unserved
from provisioner.sizing.data import quantizations
from provisioner.sourced import Sourced

LOCKS = Path(known.__file__).parents[1] / "profiles" / "locks"
FILES: dict[str, Callable[[], tuple[Sourced, ...]]] = {
    "capabilities": known.capabilities,
    "architectures": known.architectures,
    "gpus": known.gpus,
    "branches": known.branches,
    "toolkits": known.toolkits,
    "systems": known.systems,
    "pythons": known.pythons,
    "machine_keys": known.machine_keys,
    "driver_routes": known.driver_routes,
    "toolkit_routes": known.toolkit_routes,
    "runfiles": known.runfiles,
    "wheels": known.wheels,
    "stacks": known.stacks,
    "repositories": repositories,
    "repository_keys": repository_keys,
    "unserved": lambda: known.read("unserved", Unserved),
}


def wrong(**files: Sequence[Any]) -> list[str]:
    """What is wrong with the data, with some files replaced: one sentence each."""
    data: dict[str, Any] = {name: files.get(name, read()) for name, read in FILES.items()}
    return [
        *_unsourced(data),
        *_repeated(data),
        *_unknown(data),
        *_unlocked(data),
        *_disordered(data),
        *_senseless(data),
        *_without_installer(data),
        *_overlapping("driver_routes", data["driver_routes"], _driver_cases),
        *_overlapping("toolkit_routes", data["toolkit_routes"], _toolkit_cases),
    ]


def _unsourced(data: dict[str, Any]) -> Iterator[str]:
    for name, entries in data.items():
        for entry in entries:
            if not entry.source.strip():
                yield f"{name}: an entry without a source: {entry}"
            if entry.source == "none" and entry.confidence != "unconfirmed":
                yield f"{name}: sure of something without a source: {entry}"


def _repeated(data: dict[str, Any]) -> Iterator[str]:
    keys = {
        "capabilities": [one.capability for one in data["capabilities"]],
        "architectures": [one.name for one in data["architectures"]],
        "gpus": [word.casefold() for one in data["gpus"] for word in (one.name, *one.aliases)],
        "pci ids": [pci for one in data["gpus"] for pci in one.pci],
        "branches": [one.branch for one in data["branches"]],
        "toolkits": [one.cuda for one in data["toolkits"]],
        "systems": [word.casefold() for one in data["systems"] for word in (one.name, *one.aliases)],
        "releases": [(id_, one.version_id, one.wsl) for one in data["systems"] for id_ in (one.id, *one.ids)],
        "wheels": [f"{one.package}=={one.version}" for one in data["wheels"]],
        "stacks": [one.name for one in data["stacks"]],
        "pythons": [one.python for one in data["pythons"]],
        "repositories": [(name, one.arch) for one in data["repositories"] for name in one.systems],
        "repository_keys": [one.key for one in data["repository_keys"]],
        "machine_keys": [id_ for one in data["machine_keys"] for id_ in one.ids or ("",)],
        "runfiles": [(one.what, one.version, one.arch) for one in data["runfiles"]],
    }
    for name, values in keys.items():
        for value, times in Counter(values).items():
            if times > 1:
                yield f"{name}: {value} is there {times} times"


def _unknown(data: dict[str, Any]) -> Iterator[str]:
    capabilities = {one.capability for one in data["capabilities"]}
    architectures = {one.name for one in data["architectures"]}
    systems = {one.name for one in data["systems"]}
    branches = {one.branch for one in data["branches"]}
    toolkits = {one.cuda for one in data["toolkits"]}
    wheels = {f"{one.package}=={one.version}" for one in data["wheels"]}
    named = [
        ("gpus", "capability", {one.capability for one in data["gpus"]}, capabilities),
        ("capabilities", "architecture", {one.architecture for one in data["capabilities"]}, architectures),
        ("driver_routes", "system", {name for one in data["driver_routes"] for name in one.systems}, systems),
        (
            "driver_routes",
            "branch",
            {name for one in data["driver_routes"] for name in one.branches},
            branches,
        ),
        (
            "toolkit_routes",
            "system",
            {name for one in data["toolkit_routes"] for name in one.systems},
            systems,
        ),
        (
            "toolkit_routes",
            "toolkit",
            {name for one in data["toolkit_routes"] for name in one.cuda},
            toolkits,
        ),
        ("repositories", "system", {name for one in data["repositories"] for name in one.systems}, systems),
        (
            "repositories",
            "key",
            {one.key for one in data["repositories"] if one.key},
            {one.key for one in data["repository_keys"]},
        ),
        ("stacks", "wheel", {name for one in data["stacks"] for name in one.wheels}, wheels),
        (
            "stacks",
            "quantization",
            {name for one in data["stacks"] for name in one.quantizations},
            set(quantizations()),
        ),
        (
            "wheels",
            "capability",
            {name.removesuffix("+PTX") for one in data["wheels"] for name in one.capabilities},
            capabilities,
        ),
    ]
    for name, what, used, there in named:
        for value in sorted(used - there, key=str):
            yield f"{name}: {what} {value} is not known"


def _unlocked(data: dict[str, Any]) -> Iterator[str]:
    for stack in data["stacks"]:
        if stack.lock is None:
            continue
        lock = LOCKS / f"{stack.lock}.txt"
        text = lock.read_text("utf-8") if lock.is_file() else ""
        pinned = set(re.findall(r"^[\w.-]+==[\w.+]+", text, re.MULTILINE))
        for wheel in stack.wheels:
            if wheel not in pinned:
                yield f"stacks: {wheel} is not what {stack.lock} pins"


def _disordered(data: dict[str, Any]) -> Iterator[str]:
    orders: dict[str, list[tuple[int, ...]]] = {
        "branches": [(one.branch,) for one in data["branches"]],
        "toolkits": [known.version(one.cuda) for one in data["toolkits"]],
        "their drivers": [known.version(one.driver) for one in data["toolkits"]],
        "capabilities": [known.version(one.capability) for one in data["capabilities"]],
    }
    for name, values in orders.items():
        if values != sorted(values):
            yield f"{name}: not the oldest first"


def _senseless(data: dict[str, Any]) -> Iterator[str]:
    for one in data["capabilities"]:
        if one.last_cuda and known.version(one.last_cuda) < known.version(one.first_cuda):
            yield f"capabilities: {one.capability} ends before it begins"
    for one in data["architectures"]:
        if one.last_branch and one.last_branch < one.first_branch:
            yield f"architectures: {one.name} ends before it begins"
    for one in data["branches"]:
        if known.version(one.newest)[0] != one.branch:
            yield f"branches: {one.newest} is no release of {one.branch}"
    for one in data["toolkits"]:
        if known.version(one.compatible) > known.version(one.driver):
            yield f"toolkits: {one.cuda} runs by compatibility on less than it runs on"
    for one in data["gpus"]:
        if (one.memory_bytes is None) != one.unified:
            yield f"gpus: {one.name} has memory of its own or shares the machine's: one of them"
        if one.bar1_bytes and (
            one.bar1_bytes & one.bar1_bytes - 1 or one.bar1_bytes < (one.memory_bytes or 0)
        ):
            yield f"gpus: {one.name} shows {one.bar1_bytes} bytes: no power of two, or less than its memory"


def _driver_cases(one: known.DriverRoute) -> list[tuple[object, ...]]:
    return [
        (one.route, system, branch, flavour, arch)
        for system in one.systems
        for branch in one.branches
        for flavour in one.flavours
        for arch in one.arches
    ]


def _toolkit_cases(one: known.ToolkitRoute) -> list[tuple[object, ...]]:
    return [
        (one.route, system, cuda, arch) for system in one.systems for cuda in one.cuda for arch in one.arches
    ]


def _without_installer(data: dict[str, Any]) -> Iterator[str]:
    """What comes as one file, and nothing says where from; and files that are no installers."""
    there = {(one.version, one.arch) for one in data["runfiles"] if one.what == "toolkit"}
    for route in data["toolkit_routes"]:
        if route.route == "runfile":
            for wanted in {(cuda, arch) for cuda in route.cuda for arch in route.arches} - there:
                yield f"runfiles: none installs CUDA {wanted[0]} on {wanted[1]}"
    for one in data["runfiles"]:
        if not re.fullmatch("[0-9a-f]{64}", one.sha256):
            yield f"runfiles: {one.version}: {one.sha256} is no SHA-256"
        if not one.url.startswith("https://"):
            yield f"runfiles: {one.version}: {one.url} is no address"


def _overlapping(name: str, routes: Sequence[Any], cases: Callable[[Any], list[Any]]) -> Iterator[str]:
    for case, times in Counter(case for one in routes for case in cases(one)).items():
        if times > 1:
            yield f"{name}: {case} is there {times} times"


def test_nothing_is_wrong_with_the_data() -> None:
    assert wrong() == []


def _first(name: str, **changes: Any) -> list[Any]:
    entries = FILES[name]()
    return [msgspec.structs.replace(entries[0], **changes), *entries[1:]]


def _twice(name: str) -> list[Any]:
    entries = FILES[name]()
    return [entries[0], *entries]


BROKEN: dict[str, tuple[dict[str, list[Any]], str]] = {
    "no source": ({"branches": _first("branches", source=" ")}, "an entry without a source"),
    "sure of nothing": (
        {"branches": _first("branches", source="none", confidence="doc")},
        "sure of something without a source",
    ),
    "a card twice": ({"gpus": _twice("gpus")}, "gpus: geforce gtx 950 is there 2 times"),
    "an alias of another card": (
        {"gpus": _first("gpus", aliases=("geforce rtx 4090",))},
        "gpus: geforce rtx 4090 is there 2 times",
    ),
    "a device id of another card": (
        {"gpus": _first("gpus", pci=("0x2684",))},
        "pci ids: 0x2684 is there 2 times",
    ),
    "a release twice": (
        {"systems": _first("systems", version_id="22.04")},
        "releases: ('ubuntu', '22.04', False) is there 2 times",
    ),
    "a capability nobody knows": (
        {"gpus": _first("gpus", capability="99.9")},
        "gpus: capability 99.9 is not known",
    ),
    "an architecture nobody knows": (
        {"capabilities": _first("capabilities", architecture="Fermi")},
        "capabilities: architecture Fermi is not known",
    ),
    "a driver for no system": (
        {"driver_routes": _first("driver_routes", systems=("beos",))},
        "driver_routes: system beos is not known",
    ),
    "a driver of no branch": (
        {"driver_routes": _first("driver_routes", branches=(123,))},
        "driver_routes: branch 123 is not known",
    ),
    "a toolkit for no system": (
        {"toolkit_routes": _first("toolkit_routes", systems=("beos",))},
        "toolkit_routes: system beos is not known",
    ),
    "no such toolkit": (
        {"toolkit_routes": _first("toolkit_routes", cuda=("1.0",))},
        "toolkit_routes: toolkit 1.0 is not known",
    ),
    "no such wheel": (
        {"stacks": _first("stacks", wheels=("torch==0",))},
        "stacks: wheel torch==0 is not known",
    ),
    "a quantisation nobody knows": (
        {"stacks": _first("stacks", quantizations=("int1",))},
        "stacks: quantization int1 is not known",
    ),
    "not what is locked": (
        {"stacks": _first("stacks", wheels=("torch==2.4.1",))},
        "stacks: torch==2.4.1 is not what llama pins",
    ),
    "no such lock": (
        {"stacks": _first("stacks", lock="nowhere")},
        "is not what nowhere pins",
    ),
    "a wheel for no GPU": (
        {"wheels": _first("wheels", capabilities=("99.9+PTX",))},
        "wheels: capability 99.9 is not known",
    ),
    "the newest first": (
        {"toolkits": list(reversed(known.toolkits()))},
        "toolkits: not the oldest first",
    ),
    "a release of another branch": (
        {"branches": _first("branches", newest="580.1")},
        "branches: 580.1 is no release of 470",
    ),
    "ends before it begins": (
        {"capabilities": _first("capabilities", last_cuda="1.0")},
        "capabilities: 3.5 ends before it begins",
    ),
    "an architecture that ends before it begins": (
        {"architectures": _first("architectures", last_branch=1)},
        "architectures: Kepler ends before it begins",
    ),
    "compatible with more than it is": (
        {"toolkits": _first("toolkits", compatible="999.1")},
        "toolkits: 11.8 runs by compatibility on less than it runs on",
    ),
    "a BAR1 that is no power of two": (
        {"gpus": _first("gpus", bar1_bytes=3 << 30)},
        "gpus: GeForce GTX 950 shows 3221225472 bytes: no power of two",
    ),
    "no memory at all": ({"gpus": _first("gpus", memory_bytes=None)}, "gpus: GeForce GTX 950 has memory"),
    "an installer without a digest": (
        {"runfiles": _first("runfiles", sha256="367d")},
        "runfiles: 12.4: 367d is no SHA-256",
    ),
    "an installer that comes from anywhere": (
        {"runfiles": _first("runfiles", url="http://mirror.example/cuda.run")},
        "runfiles: 12.4: http://mirror.example/cuda.run is no address",
    ),
    "a way without its installer": (
        {"runfiles": _first("runfiles", version="12.3")},
        "runfiles: none installs CUDA 12.4 on x86_64",
    ),
    "an installer twice": ({"runfiles": _twice("runfiles")}, "is there 2 times"),
    "one way twice": ({"driver_routes": _twice("driver_routes")}, "is there 2 times"),
    "one toolkit twice": ({"toolkit_routes": _twice("toolkit_routes")}, "is there 2 times"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_wrong_is_found(case: str) -> None:
    files, sentence = BROKEN[case]

    assert [one for one in wrong(**files) if sentence in one]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"source": None}, "source"),
        ({"confidence": "sure"}, "confidence"),
        ({"colour": "green"}, "colour"),
        ({"cuda": 12.4}, "cuda"),
        ({"gcc_max": "13"}, "gcc_max"),
    ],
)
def test_an_entry_that_is_not_as_its_kind_says_is_refused(change: dict[str, Any], what: str) -> None:
    entry = {**msgspec.to_builtins(known.toolkits()[0]), **change}

    with pytest.raises(msgspec.ValidationError, match=what):
        msgspec.convert(entry, known.Toolkit)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("12.4", (12, 4)), ("550.54.14", (550, 54, 14)), ("2.13.0+cpu", (2, 13, 0)), ("525", (525,))],
)
def test_versions_compare_as_numbers(text: str, numbers: tuple[int, ...]) -> None:
    assert known.version(text) == numbers


@pytest.mark.parametrize("entry", known.systems(), ids=lambda entry: entry.name)
def test_a_system_is_found_by_each_of_its_names(entry: known.System) -> None:
    assert {described.system(name).name for name in (entry.name, *entry.aliases)} == {entry.name}


def test_one_toolkit_is_the_usual_one() -> None:
    assert [toolkit.cuda for toolkit in known.toolkits() if toolkit.usual] == ["12.4"]
    assert known.usual_toolkit().cuda == "12.4"
