"""The kernel: what a module is built with, what starts next, and what it was started with."""

from __future__ import annotations

from collections.abc import Iterator

from provisioner.preflight.commands import commands
from provisioner.preflight.finding import Remedy
from provisioner.preflight.fixes import offered
from provisioner.preflight.kernel_options import worth_knowing
from provisioner.preflight.remedies import by_hand, kernel_option
from provisioner.preflight.rule import Case, Rule, Verdict, Weight, bad, cannot, good, seen
from provisioner.preflight.rules.machine import CONTAINER, capital, inapplicable, unknown
from provisioner.preflight.words import listed, several


def headers(case: Case) -> Iterator[Verdict]:
    """Headers for the running kernel, and for the one that starts next: a driver is built for both. The role
    that installs one installs them too, and says so where no archive has them.
    """
    if not _builds(case):
        return
    reading = case.audit.software.kernels
    if not reading.value:
        yield cannot(reading, "Whether the kernel's headers are here")
        return
    missing = [one for one in reading.value if not one.headers]
    for one in missing:
        which = "running" if one is reading.value[0] else "next"
        yield bad(
            f"The headers of the {which} kernel, {one.release}, are not here: no driver can be built for it",
            "none",
            f"headers of {one.release}",
            subject=f"kernel:{one.release}",
            weight=_of_headers(case, running=which == "running"),
            evidence=(seen(reading, f"{one.release}/build leads nowhere"),),
            limits="The role that installs the driver installs them."
            if case.needs.driver
            else "Where the driver comes ready-built for this kernel, none are needed.",
            remedy=_get_headers(case, one.release),
        )
    if not missing:
        names = listed([one.release for one in reading.value])
        yield good(f"The headers of {names} are here", names, evidence=(seen(reading, names),))


def _of_headers(case: Case, *, running: bool) -> Weight:
    """Where the running kernel has its module, nothing is left to build for it; who installs a driver brings
    the headers that it is built with.
    """
    if case.needs.driver:
        return "info"
    return "info" if running and case.audit.software.module_file.value else "warn"


def compiler(case: Case) -> Iterator[Verdict]:
    """The major version of gcc against the one that built the kernel: modules of another may not load."""
    if not _builds(case):
        return
    kernels, gcc = case.audit.software.kernels, case.audit.software.gcc
    if not kernels.value:
        yield cannot(kernels, "Which compiler built the kernel")
    elif gcc.state == "absent":
        summary = "There is no gcc yet: what builds a driver brings it"
        yield good(summary, "none", weight="info", evidence=(seen(gcc, gcc.why),))
    elif gcc.value is None:
        yield cannot(gcc, "Which gcc is here")
    elif not kernels.value[0].gcc:
        yield unknown("Which gcc built the kernel", "it does not say", evidence=(seen(kernels),))
    else:
        built, here = kernels.value[0].gcc, gcc.value
        evidence = (seen(gcc), seen(kernels, f"{kernels.value[0].release} built by gcc {built}"))
        if _major(built) == _major(here):
            yield good(f"gcc {here} is of the version that built the kernel", here, evidence=evidence)
        else:
            yield bad(
                f"gcc is {here}, and the kernel was built by {built}: a driver's module may not build",
                f"gcc {here}",
                f"gcc {_major(built)}",
                evidence=evidence,
                confidence="likely",
                # A module that is there was built, or came built.
                weight="info" if case.audit.software.module_file.value and not case.needs.driver else None,
                limits="What builds modules may take the kernel's own compiler, where it is here too.",
                remedy=by_hand(
                    f"Install gcc {_major(built)} beside it: what builds modules finds it by name."
                ),
            )


def dkms(case: Case) -> Iterator[Verdict]:
    """Modules that DKMS could not build."""
    reading = case.audit.software.dkms_failed
    if case.facts.os.container:
        yield inapplicable("Modules that DKMS builds", CONTAINER)
    elif reading.state == "absent":
        yield good("DKMS builds nothing here", "none", evidence=(seen(reading, reading.why),))
    elif reading.value is None:
        yield cannot(reading, "Whether DKMS has built its modules")
    elif reading.value:
        names = listed(reading.value)
        of_driver = any("nvidia" in one for one in reading.value)
        yield bad(
            f"DKMS has not built {several(len(reading.value), 'module')}: {names}",
            names,
            "all built",
            weight="high" if of_driver and case.needs.gpu is not False else "warn",
            evidence=(seen(reading, names),),
            remedy=by_hand(
                "Read why: the end of make.log in /var/lib/dkms/NAME/VERSION/build.",
                "Build again, when that is mended: `sudo dkms autoinstall`.",
            ),
        )
    else:
        yield good("DKMS has built all its modules", "none failed", evidence=(seen(reading, "none"),))


def reboot(case: Case) -> Iterator[Verdict]:
    """Whether a restart is waited for, or would bring another kernel."""
    software = case.audit.software
    wanted, kernels = software.reboot_wanted_by, software.kernels
    following = kernels.value[1].release if kernels.value and len(kernels.value) > 1 else ""
    if wanted.value or following:
        names = listed([name for name in wanted.value or () if name])
        by = f" by {names}" if names else ""
        waits = f"a restart is waited for{by}" if wanted.value else ""
        takes = f"the next start takes the kernel {following}" if following else ""
        yield bad(
            f"{capital(', and '.join(filter(None, (waits, takes))))}",
            names or following or "wanted",
            "none waited for",
            evidence=tuple(seen(one) for one in (wanted, kernels) if one.value),
            remedy=by_hand(
                "`wsl --shutdown` in Windows, and start again."
                if case.facts.os.wsl
                else "Restart: `sudo systemctl reboot`.",
                reboot=True,
            ),
        )
    elif wanted.value is not None:
        yield good("No restart is waited for", "none", evidence=(seen(wanted, "none"),))
    else:
        yield cannot(wanted, "Whether a restart is waited for")


def options(case: Case) -> Iterator[Verdict]:
    """Words of the command line that change what hardware does for a model."""
    if case.facts.os.container:
        yield inapplicable("The kernel's command line", CONTAINER)
        return
    reading = case.audit.software.command_line
    if reading.value is None:
        yield cannot(reading, "What the kernel was started with")
        return
    known = worth_knowing(reading.value)
    for word, option in known:
        yield bad(
            f"The kernel's option {word} {option.what}",
            word,
            f"no {word}" if option.weight != "info" else "as it is, where it is on purpose",
            subject=f"option:{word}",
            weight=option.weight,
            evidence=(seen(reading, word),),
            remedy=kernel_option(case, word, drop=True) if option.weight != "info" else None,
        )
    if not known:
        yield good(
            "The kernel was started with nothing out of the ordinary",
            reading.value,
            evidence=(seen(reading),),
        )


def _builds(case: Case) -> bool:
    """Whether a module may have to be built: there is a GPU that is going to be used."""
    return case.needs.driver or (bool(case.facts.gpus) and case.needs.gpu is not False)


def _get_headers(case: Case, release: str) -> Remedy:
    known = commands(case.facts.os)
    if known is None:
        return by_hand(f"Install the headers of {release}, as this system names them.")
    # The fix is for the kernel that runs.
    running = release == case.facts.os.kernel
    fix = offered(case.facts.os, "kernel-headers") if running else ""
    return by_hand(f"`{known.headers.replace('{release}', release)}`", fix=fix)


def _major(version: str) -> str:
    return version.partition(".")[0]


RULES = (
    Rule("kernel.headers", "kernel", headers),
    Rule("kernel.compiler", "kernel", compiler),
    Rule("kernel.dkms", "kernel", dkms),
    Rule("kernel.reboot", "kernel", reboot),
    Rule("kernel.options", "kernel", options, "info"),
)
