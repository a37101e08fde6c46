"""The loop of scripts/bootstrap-wsl2.ps1 in Python: it gathers on an emulated box, asks the table, and acts.

The script itself is run against the same boxes in test_emulated_script.py; the two say the same.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

from provisioner.windows.decide import facts_of, judge
from provisioner.windows.table import table
from tests.unit.windows.emulated.box import CONFIG, LOCAL, STATE, Box

ASKED = ("distribution", "memory", "swap", "networking", "up", "file", "package")
ALSO = {"file": "file.there", "package": "package.there"}


class Failed(Exception):  # noqa: N818 - PowerShell's throw
    """An act that did not go well."""


@dataclass
class Walk:
    """One call of the script: what it printed, did and left."""

    lines: list[str] = field(default_factory=list)
    acts: list[str] = field(default_factory=list)
    code: int = -1


def gathered(box: Box, did: dict[str, str]) -> dict[str, str]:
    """What the script's Get-Gathered finds; facts are text."""
    found = {
        "windows.name": box.caption,
        "windows.build": box.build,
        "windows.product": str(box.product),
        "boot": str(box.boot),
        "machine.memory": str(box.memory),
        "machine.hypervisor": str(box.hypervisor),
        # Under a hypervisor Windows says nothing of the firmware but no.
        "machine.firmware": str(box.firmware and not box.hypervisor),
        "machine.architecture": box.architecture,
        "drive.name": "C:",
        "drive.free": str(box.free),
        "policy.wsl": box.policy,
        "source.path": box.root,
        "source.drive": box.root[:2],
        "source.kind": str(box.drive) if box.root[1:2] == ":" else "",
        "source.whole": str(box.whole),
        "feature.linux": str({"on": 1, "off": 2, "pending": box.pending_shows}[box.linux]),
        "feature.platform": str({"on": 1, "off": 2, "pending": box.pending_shows}[box.platform]),
        "pending": box.files.get(rf"{STATE}\pending", ""),
        "wslconfig": box.files.get(CONFIG, ""),
        "wsl.package": box.package or ("app" if box.app else ""),
        "asked.cpu": str(bool(box.asked.get("cpu"))),
        "asked.shutdown": str(bool(box.asked.get("shutdown"))),
    }
    for name in ASKED:
        found[f"asked.{name}"] = str(box.asked.get(name, ""))
        if name in ALSO and box.asked.get(name):
            found[ALSO[name]] = str(box.asked[name] in box.files)
    for hardware, kind in box.devices:
        if "VEN_10DE" in hardware and kind.startswith("CC_03"):
            found["gpu.hardware"] = hardware
    cards = [one for one in box.cards if "VEN_10DE" in one.hardware]
    for card in cards:
        found["gpu.hardware"] = card.hardware
        if "NVIDIA" in card.name:
            found |= {"gpu.name": card.name, "gpu.driver": card.driver}
            break
    if before := box.files.get(rf"{STATE}\restart"):
        found["restarted"] = str(abs(int(before) - box.boot) > 60)
    found |= did
    if found["wsl.package"]:
        _gather_wsl(box, found)
    return found


def _gather_wsl(box: Box, found: dict[str, str]) -> None:
    version = box.wsl(["--version"])
    found["wsl.version"] = "\n".join(version.lines) if version.code == 0 else found["wsl.package"]
    there = {name: one for name, one in box.distributions.items() if one.state == 1}
    found |= {f"distribution.{name}.flags": str(one.flags) for name, one in there.items()}
    found["wsl.distributions"] = "\n".join(sorted(there, key=lambda name: name != box.default))
    found |= {f"launcher.{name}": path for name, path in box.launchers.items()}
    facts = facts_of(found, table())
    running = [one.strip() for one in box.wsl(["--list", "--running", "--quiet"]).lines]
    others = [one for one in running if one in there and one != facts["distribution"]]
    found["others_running"] = " ".join(others)
    starts = found["feature.platform"] == "1" and box.hypervisor and found.get("restarted") != "False"
    if int(facts.get("registered", 0)) >= 8 and starts:
        inside = ["-d", facts["distribution"], "-u", "root", "--exec", "sh", "-s", "--"]
        said = box.wsl([*inside, box.root.replace("\\", "/")], "# What a distribution in WSL is")
        if said.code:
            found["inside.failed"] = f"exit {said.code}: {' '.join(said.lines)}"
            return
        found |= {f"inside.{line.split('=')[0]}": line.partition("=")[2].strip() for line in said.lines}


def with_key(text: str, key: str, value: str) -> str:
    """.wslconfig with one key set, line ends and all else as they were."""
    end = "\n" if text and "\r\n" not in text else "\r\n"
    there = rf"(?im)^[ \t]*{key}[ \t]*=[^\r\n]*"
    section = r"(?im)^([ \t]*\[wsl2\][^\r\n]*)"
    if re.search(there, text):
        return re.sub(there, f"{key}={value}", text)
    if re.search(section, text):
        return re.sub(section, rf"\g<1>{end}{key}={value}", text)
    return f"{text.rstrip()}{end}{end}[wsl2]{end}{key}={value}{end}".lstrip()


def _set(box: Box, key: str, value: str) -> None:
    text, kept = box.files.get(CONFIG, ""), f"{CONFIG}.before-provision"
    if kept not in box.files:
        box.write(kept, text)
    box.write(rf"{STATE}\pending", "shutdown")
    box.write(CONFIG, with_key(text, key, value))


def _elevated(box: Box, program: str, *arguments: str) -> None:
    code = box.elevated(program, arguments)
    if code is None:
        raise Failed(
            f"Windows did not let {program} run as an administrator: "
            "The operation was canceled by the user.; say yes when it asks"
        )
    if code not in (0, 3010):
        line = f"{program} {' '.join(arguments)}"
        why = "run it in an administrator's PowerShell to see why, or give -WebDownload or -WslPackage"
        raise Failed(f"{line} failed (exit {code}); {why}")


def _shown(box: Box, *arguments: str, what: str) -> None:
    ran = box.wsl(arguments)
    if ran.code:
        raise Failed(f"{what} failed (exit {ran.code}); what it said is above")


def _act(  # noqa: C901 - one case an act, as in the script
    box: Box, do: str, facts: dict[str, str], did: dict[str, str], out: list[str]
) -> int | None:
    """The exit code where the script ends with it."""
    name, asked = facts["distribution"], box.asked
    web = ["--web-download"] if asked.get("web") else []
    match do.split():
        case ["enable-platform" | "enable-platform-and-linux" as which]:
            features = ["VirtualMachinePlatform", "Microsoft-Windows-Subsystem-Linux"]
            names = [f"/featurename:{one}" for one in (features if which.endswith("linux") else features[:1])]
            options = ("/online", "/enable-feature", *names, "/all", "/norestart")
            box.write(rf"{STATE}\restart", str(box.boot))
            try:
                _elevated(box, "dism.exe", *options)
            except Failed:
                box.remove(rf"{STATE}\restart")
                raise
        case ["restart-windows"]:
            box.write(rf"{STATE}\restart", str(box.boot))
            box.write(rf"{STATE}\resume.cmd", "")
            box.resume("resume.cmd")
            if not asked.get("restart"):
                out.append("Restart Windows when it suits you; this goes on after you have logged in.")
            return 3010
        case ["install-wsl"]:
            _elevated(box, r"C:\Windows\System32\wsl.exe", "--install", "--no-distribution", *web)
        case ["install-wsl-from-file"]:
            _elevated(box, "msiexec.exe", "/i", f'"{asked["package"]}"', "/passive")
        case ["update-wsl"]:
            _shown(box, "--update", *web, what="wsl --update")
        case ["set", "networkingMode"]:
            _set(box, "networkingMode", str(asked["networking"]))
        case ["set", key]:
            _set(box, key, facts[f"{key}_wanted"])
            did |= {"given": "True"} if key == "memory" else {}
        case ["shutdown-wsl"]:
            _shown(box, "--shutdown", what="wsl --shutdown")
            box.remove(rf"{STATE}\pending")
        case ["import-distribution"]:
            folder = rf"{LOCAL}\wsl\{name}"
            _shown(box, "--import", name, folder, str(asked["file"]), "--version", "2", what="wsl --import")
        case ["register-distribution"]:
            ran = box.launch(facts["launcher"], ["install", "--root"])
            if ran.code:
                what = f"{facts['launcher']} install --root"
                raise Failed(f"{what} failed (exit {ran.code}); what it said is above")
        case ["install-distribution"]:
            what = f"wsl --install -d {name}"
            _shown(box, "--install", "-d", name, "--no-launch", *web, what=what)
        case ["prepare"]:
            folder = box.root.replace("\\", "/")
            arguments = ["-d", name, "-u", "root", "--exec", "sh", "-s", "--", folder, "Ada", "1900000000"]
            ran = box.wsl(arguments, "# Makes a distribution in WSL ready")
            out += [f"    {line}" for line in ran.lines if not line.startswith("user=")]
            if ran.code:
                said = f"{name} could not be prepared (exit {ran.code}); the last line above says why"
                raise Failed(said)
            did["prepared"] = "True"
        case ["restart-distribution"]:
            _shown(box, "--terminate", name, what=f"wsl --terminate {name}")
            did["started"] = "True"
        case ["run", *options]:
            words = str(asked.get("up", "")).split()
            more = words if any(word.startswith("-") for word in words) else [f"--{word}" for word in words]
            up = [
                "--cd",
                facts["inside.home"],
                "--exec",
                "bash",
                "provision/bootstrap.sh",
                "up",
                *options,
                *more,
            ]
            did["ran"] = "True"
            return box.wsl(["-d", name, "-u", facts["inside.user"], *up]).code
        case _:
            raise AssertionError(f"the table has an unknown act: {do}")
    return None


def walk(box: Box) -> Walk:
    """The script once, to its end."""
    done, did, noted, begun = Walk(), dict[str, str](), set[str](), Counter[str]()
    try:
        while done.code < 0:
            _turn(box, done, did, noted, begun)
    except Failed as failed:
        done.lines += [f"Failed: {failed}.", "  next: run the same line again; it goes on where it stopped"]
        done.code = 1
    return done


def _turn(box: Box, done: Walk, did: dict[str, str], noted: set[str], begun: Counter[str]) -> None:
    found = gathered(box, did)
    verdict, facts = judge(found, table()), facts_of(found, table())
    for stop in verdict.stops:
        done.lines += [f"Impossible: {stop.say}.", f"  next: {stop.next}"]
    if verdict.stops:
        done.code = 1
        return
    for note in verdict.notes:
        if note.say not in noted:
            done.lines.append(f"  {note.say}.")
        noted.add(note.say)
    act = verdict.acts[0]
    begun[act.step.name] += 1
    if begun[act.step.name] > 2:
        why = "Restart Windows, which some changes wait for"
        raise Failed(f"twice was done: {act.say}; and Windows looks as before. {why}")
    done.lines.append(f"==> {act.say}")
    done.acts.append(act.step.name)
    code = _act(box, act.step.do, facts, did, done.lines)
    if code is None:
        return
    done.code = code
    if did.get("ran") and code == 0:
        box.remove(rf"{STATE}\restart")
        box.remove(rf"{STATE}\resume.cmd")
        box.resume("")
        done.lines += ["", *(end.say for end in verdict.ends)]
