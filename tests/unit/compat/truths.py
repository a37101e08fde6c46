"""What each link of a chain must say: its sentence is made once more, of the box, the request and the data.

A fact whose id has no entry here is a lie too: nobody has looked whether it is true.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from provisioner.compat.decide import Ask
from provisioner.compat.solver import Fact
from provisioner.facts import Facts

from .reading import (
    Entry,
    capabilities_of,
    data,
    gpu_entries,
    locks,
    number,
    repository_there,
    stack_of,
    system_of,
    unserved,
    vram,
    wheels_of,
)

Match = re.Match[str]
Said = Callable[[Match, Facts, Ask], Iterable[str]]


def lies(fact: Fact, facts: Facts, ask: Ask) -> Iterator[str]:
    """What is untrue of a fact: one sentence at most."""
    for pattern, said in _KNOWN.items():
        if match := re.fullmatch(pattern, fact.id):
            true = list(said(match, facts, ask))
            if fact.text not in true:
                yield f"{fact.id}: {fact.text!r}, and not {true}"
            return
    yield f"{fact.id}: {fact.text!r}: nobody checks such a fact"


def _listed(items: Iterable[str]) -> str:
    return re.sub(r", ([^,]*)$", r" and \1", ", ".join(items))


def _gb(count: float) -> str:
    return f"{count / 1e9:.{0 if count >= 10e9 else 1}f} GB"


def _called(name: str) -> str:
    return name.removeprefix("NVIDIA ").removeprefix("GeForce ")


def _gpu_names(facts: Facts) -> list[str]:
    pairs = zip(facts.gpus, gpu_entries(facts), strict=True)
    return [
        _called(gpu.name or (entry["name"] if entry else f"NVIDIA {gpu.device}")) for gpu, (entry, _) in pairs
    ]


def _here(match: Match, facts: Facts, _ask: Ask) -> Iterator[str]:
    names = _gpu_names(facts)
    count = names.count(match[1])
    if count:
        yield f"{match[1]} here" if count == 1 else f"{count} × {match[1]} here"


def _is_sm(match: Match, facts: Facts, _ask: Ask) -> Iterator[str]:
    for name, (entry, capability) in zip(_gpu_names(facts), gpu_entries(facts), strict=True):
        if entry and entry["name"] == match[1]:
            known = next(one for one in data("capabilities") if one["capability"] == capability)
            yield f"{name} is sm_{known['capability'].replace('.', '')} ({known['architecture']})"


def _gpu_field(match: Match, facts: Facts, _ask: Ask) -> Iterator[str]:
    for name, (entry, _) in zip(_gpu_names(facts), gpu_entries(facts), strict=True):
        if entry and entry["name"] == match[1] and entry.get(match[2]):
            if match[2] == "first_branch":
                yield f"{name} needs driver {entry['first_branch']} or newer"
            else:
                yield f"the driver of {name} is part of its system's image"


def _largest(_match: Match, facts: Facts, _ask: Ask) -> Iterator[str]:
    sizes = list(vram(facts))
    if sizes and None not in sizes:
        largest = max(size or 0 for size in sizes)
        for name, size in zip(_gpu_names(facts), sizes, strict=True):
            if size == largest:
                yield f"the largest GPU here, {name}, has {_gb(largest)} of VRAM"
                yield f"the GPU here, {name}, shares the {_gb(largest)} of the machine"


def _named(file: str, key: str, value: str) -> Entry:
    return next(one for one in data(file) if str(one[key]) == value)


def _architecture(match: Match, _facts: Facts, _ask: Ask) -> Iterator[str]:
    entry = _named("architectures", "name", match[1])
    if match[2] == "first_branch":
        yield f"{entry['name']} needs driver {entry['first_branch']} or newer"
    elif match[2] == "last_branch" and "last_branch" in entry:
        yield f"driver {entry['last_branch']} is the last for {entry['name']}"
    elif match[2] == "modules":
        both = len(entry["modules"]) == 2
        which = "either kernel modules" if both else f"the {entry['modules'][0]} kernel modules only"
        yield f"{entry['name']} runs with {which}"


def _capability(match: Match, _facts: Facts, _ask: Ask) -> Iterator[str]:
    entry, name = _named("capabilities", "capability", match[1]), f"sm_{match[1].replace('.', '')}"
    if match[2] == "first_cuda":
        yield f"{name} needs CUDA {entry['first_cuda']} or newer"
    elif "last_cuda" in entry:
        yield f"CUDA {entry['last_cuda']} is the last for {name}"


def _branch(match: Match, _facts: Facts, _ask: Ask) -> Iterator[str]:
    entry = _named("branches", "branch", match[1])
    if match[2] == "newest":
        yield f"the newest release of driver {match[1]} is {entry['newest']}"
    elif "kernel_before" in entry:
        yield f"the modules of driver {match[1]} build for kernels before {entry['kernel_before']}"


def _toolkit(match: Match, _facts: Facts, _ask: Ask) -> Iterator[str]:
    entry, cuda = _named("toolkits", "cuda", match[1]), match[1]
    yield {
        "driver": f"CUDA {cuda} needs driver {entry['driver']} or newer",
        "compatible": f"programs of CUDA {cuda} run on driver {entry['compatible']} or newer",
        "ptx": f"CUDA {cuda}'s intermediate code needs driver {entry['driver']} or newer",
    }[match[2]]


def _serving(file: str, facts: Facts) -> list[Entry]:
    system = system_of(facts)
    return [
        one for one in data(file)
        if system is not None and system["name"] in one["systems"]
        and facts.os.arch in one.get("arches", ("x86_64",)) and repository_there(facts, one["route"])
    ]  # fmt: skip


def _ways(match: Match, facts: Facts, ask: Ask) -> Iterator[str]:
    """What can be installed on this system by all its ways, or that there is none."""
    file, name = match[1], match[2]
    system = system_of(facts)
    if name != (system["name"] if system else facts.os.pretty):
        return
    thing, label = ("a driver", "driver") if file == "driver_routes" else ("a CUDA toolkit", "CUDA")
    serving = _serving(file, facts)
    named = ask.driver_route if file == "driver_routes" else ask.toolkit_route
    usual = [one for one in serving if not one.get("asked_only") or one["route"] == named]
    if not usual:
        # In WSL NVIDIA has a repository for Ubuntu alone, and other packages of the toolkit bring a driver.
        wsl = ", as Ubuntu's is the only one that NVIDIA keeps for WSL, and others bring a driver"
        why = wsl if facts.os.wsl and file == "toolkit_routes" else ""
        yield f"no way to install {thing} on {name} is known{why}"
    else:
        key = "branches" if file == "driver_routes" else "cuda"
        releases = sorted({str(one) for way in usual for one in way[key]}, key=number)
        yield f"on {name} {label} {_listed(releases)} can be installed"


def _way(match: Match, facts: Facts, ask: Ask) -> Iterator[str]:
    """What one way installs, and who signs its modules."""
    system = system_of(facts)
    signers = {
        "distribution": "are signed by the distribution",
        "mok": "are signed with a key of this machine, which is enrolled once",
        "none": "are signed by nobody whom Secure Boot trusts",
    }
    for one in _serving(match[1], facts):
        if one["route"] != match[2] or system is None:
            continue
        if match[1] == "toolkit_routes":
            yield f"{one['route']} installs CUDA {_listed(one['cuda'])} on {system['name']}"
            yield f"{one['route']}'s CUDA toolkit brings the libraries of driver {one.get('driver')}"
        elif match[0].endswith(".signed"):
            yield f"modules of {one['route']} {signers[one['signed']]}"
        else:
            yield f"{one['route']} installs driver {_listed(map(str, one['branches']))} on {system['name']}"
            yield f"{one['route']} installs driver {one.get('version')}"


def _lock(match: Match, _facts: Facts, _ask: Ask) -> Iterator[str]:
    words = {"linux-x86_64": "Linux x86-64", "linux-aarch64": "Linux aarch64", "macos-arm64": "macOS arm64"}
    lock = next(one for one in locks() if one["name"] == match[1])
    places = _listed(words[one["platform"]] for one in lock["platforms"])
    yield f"the environment {match[1]} was resolved for {places}"


def _python(wanted: str) -> str:
    one = re.fullmatch(r"(>=|==)\s*(\d+\.\d+)(\.\*)?", wanted)
    return wanted if one is None else f"{one[2]} or newer" if one[1] == ">=" else one[2]


def _wheel(match: Match, facts: Facts, ask: Ask) -> Iterator[str]:
    for entry in (one for same in wheels_of(ask) for one in same if one["package"] == match[1]):
        name = f"{entry['package']} {entry['version']}"
        kind = {"linux": "Linux", "macos": "macOS"}
        systems = _listed(kind[one] for one in entry.get("systems", ["linux"]))
        kinds = [f"sm_{code.replace('.', '')}" for code in capabilities_of(entry, facts.os.arch)]
        yield {
            "arches": f"{name} has wheels for {_listed(entry.get('arches', ['x86_64']))}",
            "systems": f"{name} has wheels for {systems}",
            "glibc": f"{name} wheels need glibc {entry['glibc']} or newer",
            "python": f"{name} has wheels for Python {_python(entry['python'])}",
            "cuda": f"{name} brings CUDA {entry.get('cuda')}",
            "driver": f"{name} needs driver {entry.get('driver')} or newer",
            "capabilities": f"{name} has code for {_listed(kinds)}",
        }[match[2]]


def _needs(match: Match, _facts: Facts, ask: Ask) -> Iterator[str]:
    name, needs = ask.profile.name, ask.profile.requires
    cores = "1 core" if needs.cores == 1 else f"{needs.cores} cores"
    known = {
        "gpu": f"{name} runs on an NVIDIA GPU",
        "cores": f"{name} needs {cores}",
        "memory": f"{name} needs {_gb(needs.memory_bytes)} of memory",
        "vram": f"{name} needs {_gb(needs.vram_bytes)} of VRAM",
        "disk.state": f"{name} needs {_gb(needs.disk_bytes)} of disk there",
        "disk.code": f"{name} needs {_gb(needs.disk_bytes // 2)} of disk there",
        "driver": f"{name} needs driver {needs.driver} or newer",
        "lock": f"{name} runs in the environment {ask.profile.environment.lock}",
        "python": f"{name} needs Python {_python(ask.profile.environment.python)}",
    }
    if match[1] in known:
        yield known[match[1]]
    for pinned in (stack_of(ask) or {"wheels": ()})["wheels"]:
        package, _, version = pinned.partition("==")
        if package == match[1]:
            yield f"{name} uses {package} {version}"


def _settings(match: Match, _facts: Facts, ask: Ask) -> Iterator[str]:
    """What only a variable of a role says."""
    if match[1] == "without_gpu" and ask.without_gpu:
        yield "--set nvidia_driver_without_gpu=install"
    if match[1] == "modules":
        yield f"--set nvidia_driver_modules={ask.modules}"
    if match[1] == "nvidia_driver_route":
        yield f"--set {match[1]}={ask.driver_route}"
    if match[1] == "cuda_toolkit_route":
        yield f"--set {match[1]}={ask.toolkit_route}"
    if match[1] == "route":
        yield from (f"--route {one}" for one in (ask.driver_route, ask.toolkit_route))


def _asked(match: Match, _facts: Facts, ask: Ask) -> Iterator[str]:
    value = getattr(ask, match[1])
    if value:
        option = {"driver": "branch"}.get(match[1], match[1].replace("_", "-"))
        yield f"--{option}" if value is True else f"--{option} {value}"


def _disk(match: Match, facts: Facts, _ask: Ask) -> Iterator[str]:
    places = facts.places["system" if facts.privilege == "root" else "user"]
    path = getattr(places, match[1])
    yield f"{_gb(facts.disks[path].free_bytes)} free for {path}"


def _interpreter(_match: Match, facts: Facts, _ask: Ask) -> Iterator[str]:
    yield f"Python {facts.python.version} here" if facts.python else "python3 is missing"


def _driver(_match: Match, facts: Facts, _ask: Ask) -> Iterator[str]:
    if facts.driver_version:
        yield f"driver {facts.driver_version} is loaded"
    elif "driver_version" not in {one.what for one in facts.unknown}:
        yield "no NVIDIA driver is loaded"


def _system_field(match: Match, _facts: Facts, _ask: Ask) -> Iterator[str]:
    entry = _named("systems", "name", match[1])
    yield f"{match[1]} has {'Python' if match[2] == 'python' else match[2]} {entry[match[2]]}"


def _unserved(match: Match, facts: Facts, _ask: Ask) -> Iterator[str]:
    for one in unserved():
        if facts.os.id in one["ids"] and facts.os.version_id.split(".")[0] in one["majors"]:
            yield one["because"][int(match[1]) - 1]


def _when(holds: Callable[[Facts, Ask], object], text: str) -> Said:
    return lambda _match, facts, ask: [text] if holds(facts, ask) else []


def _is(text: Callable[[Facts], str]) -> Said:
    return lambda _match, facts, _ask: [text(facts)]


def _always(text: str) -> Said:
    return _when(lambda _facts, _ask: True, text)


_KNOWN: dict[str, Said] = {
    r"gpu\.none": _when(lambda facts, _: not facts.gpus, "no NVIDIA GPU found"),
    r"gpu\.memory": _largest,
    r"gpu\.(.*)": _here,
    r"gpus\.(.*)\.capability": _is_sm,
    r"gpus\.(.*)\.(first_branch|system_driver)": _gpu_field,
    r"architectures\.(\w+)\.(\w+)": _architecture,
    r"capabilities\.([\d.]+)\.(\w+)": _capability,
    r"branches\.(\d+)\.(\w+)": _branch,
    r"toolkits\.([\d.]+)\.(\w+)": _toolkit,
    r"(driver_routes|toolkit_routes)\.([\w -]+(?:\.\d\d)?)": _ways,
    r"(driver_routes|toolkit_routes)\.([a-z-]+)\..+": _way,
    r"wheels\.([\w-]+)\.(\w+)": _wheel,
    r"locks\.(.+)": _lock,
    r"pythons\.([\d.]+)": lambda match, _facts, _ask: [f"uv's Python needs glibc {match[1]} or newer"],
    r"systems\.(.+)\.(python|glibc)": _system_field,
    r"unserved\.\w+\.(\d)": _unserved,
    r"request\.profile\.(.+)": _needs,
    r"request\.(without_gpu|modules|nvidia_driver_route|cuda_toolkit_route|route)": _settings,
    r"request\.(\w+)": _asked,
    r"disks\.(\w+)": _disk,
    r"cpu\.cores": _is(
        lambda facts: "1 core here" if facts.cpu.cores == 1 else f"{facts.cpu.cores} cores here"
    ),
    r"memory": _is(lambda facts: f"{_gb(facts.memory.total_bytes or 0)} of memory here"),
    r"os|os\.served": _is(lambda facts: f"{facts.os.pretty} here"),
    r"os\.arch": _is(lambda facts: f"{facts.os.arch} here"),
    r"os\.kernel": _is(lambda facts: f"kernel {facts.os.kernel} here"),
    r"os\.glibc": _is(lambda facts: f"{facts.os.pretty} has {facts.os.libc} {facts.os.libc_version}"),
    r"os\.container": _when(lambda facts, _: facts.os.container, "a container (docker) here"),
    r"os\.wsl": _when(lambda facts, _: facts.os.wsl, "WSL2 here"),
    r"secure_boot": _when(lambda facts, _: facts.os.secure_boot, "Secure Boot is on"),
    r"python": _interpreter,
    r"driver": _driver,
    r"user\.root": _when(
        lambda facts, _: facts.privilege == "none", "ada is not root here and sudo does not work"
    ),
    r"tool\.wsl": _always("in WSL2 the driver is Windows' own: none is installed inside"),
    r"tool\.container": _always("a container uses the driver of the machine that runs it"),
    r"tool\.gpus": _always("a driver is installed for a GPU that was seen"),
    r"tool\.(a driver|a CUDA toolkit|python3)_root": lambda match, _facts, _ask: [
        f"{match[1]} is installed for the whole system, by root"
    ],
}
