"""What a person can do, in steps: in the firmware's menus, on the kernel's command line, by hand."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Literal

from provisioner.audit import Board
from provisioner.preflight import menus
from provisioner.preflight.finding import Actor, Remedy
from provisioner.preflight.fixes import FixName
from provisioner.preflight.menus import Chip, Setting
from provisioner.preflight.rule import Case

_FIRST: dict[Setting, tuple[Setting, ...]] = {"rebar": ("csm", "above-4g")}
"""What a setting stands on, in the order in which to change it."""
_LEGACY = (
    "This system was installed to start without UEFI: with CSM off it does not start any more. "
    "Install it anew by UEFI first, or give it a GPT disk with an EFI partition and a loader in it."
)
_PERHAPS_LEGACY = "A system that was installed to start without UEFI does not start any more with CSM off."


def in_firmware(
    case: Case, setting: Setting, state: str, *, risk: str = "", before: Sequence[str] = ()
) -> Remedy:
    """Set one setting: `state` is "on", "off", or what to choose. `before`: steps to take ahead. What the
    setting stands on comes first, in order; where CSM goes off, what that costs is added to the risk.
    """
    naming = menus.naming(setting)
    if case.virtual or case.facts.os.wsl or case.facts.os.container:
        return _around(case, (*before, f"{_words(naming.name, state)}."), risk)
    board = case.audit.firmware.board.value
    made_by, chip = menus.maker(board), _chip(case)
    changes: list[tuple[Setting, str]] = [(setting, state)]
    if state == "on":
        firsts = _FIRST.get(setting, ())
        changes = [(one, "off" if one == "csm" else "on") for one in firsts] + changes
    steps = [*before, _enter(case, made_by)]
    for one, wanted in changes:
        menu = menus.menu(made_by, one, chip)
        where = f" ({menu.words})" if menu else _elsewhere(one, board)
        condition = ", where it is not yet" if one != setting else ""
        steps.append(f"{_words(menus.naming(one).name, wanted)}{condition}{where}.")
    steps.append("Save, and let it start.")
    found = menus.menu(made_by, setting, chip)
    risks = [risk, _csm_risk(case)] if ("csm", "off") in changes else [risk]
    return Remedy(
        "firmware",
        tuple(steps),
        reboot=True,
        risk=" ".join(filter(None, risks)),
        menu=f"{found.words} ({found.maker})" if found else "",
    )


def kernel_option(case: Case, option: str, *, risk: str = "", drop: bool = False) -> Remedy:
    """Add an option to the kernel's command line, or `drop` it: how that is done with this boot loader."""
    os = case.facts.os
    if (os.container and not os.wsl) or _loader(case) == "hypervisor":
        verb = "Take" if drop else "Put"
        way = "out of" if drop else "on"
        return _around(case, (f"{verb} `{option}` {way} the kernel's command line.",), risk)
    restart = ("Restart.",)
    known = menus.loader(_loader(case), _systems(case))
    if os.wsl:
        line = "kernelCommandLine under [wsl2] in %UserProfile%\\.wslconfig on the Windows side"
        steps: tuple[str, ...] = (
            (f"Take `{option}` out of {line}.",) if drop else (f"Add `{option}` to {line}.",)
        )
        restart = ("`wsl --shutdown` in Windows, and start again.",)
    elif known:
        key = re.sub(r"[^A-Za-z0-9]+", "-", option).strip("-")
        written = known.drop if drop else known.add
        steps = tuple(step.replace("{option}", option).replace("{key}", key) for step in written)
    else:
        name = f"this boot loader ({_loader(case)})" if _loader(case) else "the boot loader here"
        what = f"take `{option}` out of" if drop else f"add `{option}` to"
        steps = (f"How {name} takes options is not known: {what} the kernel's command line in its way.",)
    return Remedy("kernel", (*steps, *restart), reboot=True, risk=risk)


def by_hand(
    *steps: str,
    actor: Actor = "system",
    reboot: bool = False,
    risk: str = "",
    fix: FixName | Literal[""] = "",
) -> Remedy:
    """Steps that are the same everywhere; `fix`: the name of what `--fix` does for it."""
    return Remedy(actor, steps, reboot=reboot, risk=risk, fix=fix)


def _around(case: Case, steps: Sequence[str], risk: str) -> Remedy:
    """What only whoever runs the machine around this guest or container can do."""
    if case.facts.os.wsl:
        where = "the Windows machine around this WSL"
    elif case.facts.os.container:
        where = f"the host of this {case.facts.os.container} container"
    else:
        kind = case.audit.sight.virtualization.value
        where = "the hypervisor of this guest" + ("" if kind in (None, "other") else f" ({kind})")
    first = f"Go to {where}, or ask whoever runs it."
    return Remedy("host", (first, *steps), reboot=True, risk=risk)


def _words(name: str, state: str) -> str:
    return f"Switch {name} {state}" if state in ("on", "off") else f"Set {name} to {state}"


def _enter(case: Case, made_by: menus.Maker | None) -> str:
    if case.audit.firmware.enters_setup.value:
        return "Restart into the firmware's menus: `sudo systemctl reboot --firmware-setup`."
    key = made_by.key if made_by else "Del, F2 or what the screen says"
    return f"Restart, and press {key} as it starts, for the firmware's menus."


def _elsewhere(setting: Setting, board: Board | None) -> str:
    """Where to look when no menu is known."""
    also = menus.naming(setting).also
    names = f"; also called {', '.join(also)}" if also else ""
    name = " ".join(filter(None, (board.board_vendor or board.sys_vendor, board.board_name))) if board else ""
    return f" (see the manual of {f'the {name}' if name else 'the board'}{names})"


def _csm_risk(case: Case) -> str:
    mode = case.audit.firmware.boot_mode.value
    return {"legacy": _LEGACY, "uefi": ""}.get(mode or "", _PERHAPS_LEGACY)


def _chip(case: Case) -> Chip | None:
    words = f"{case.audit.processor.vendor.value or ''} {case.facts.cpu.model}".casefold()
    if "intel" in words:
        return "intel"
    return "amd" if "amd" in words else None


def _loader(case: Case) -> str:
    """The loader's name; a system that is one image takes its options from rpm-ostree, whatever loads it."""
    options = (case.audit.software.command_line.value or "").split()
    if any(option.startswith("ostree=") for option in options):
        return "rpm-ostree"
    return case.audit.firmware.loader.value or ""


def _systems(case: Case) -> Iterator[str]:
    yield case.facts.os.id
    for like in case.facts.os.like:
        yield from like.split()
