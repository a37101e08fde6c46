"""Why dkms could not build the driver's modules: the lines of its logs that decide, and what they mean."""

from __future__ import annotations

import re
from typing import Callable, List, Match, NamedTuple, Optional, Tuple

from ..probe.audit.files import names_in, text_of
from ..probe.audit.modules import TREE
from ..probe.box import Box

# Logs of a build with many warnings have megabytes; what decides is looked for in all of it.
LIMIT = 16 << 20
LINES = 3
WIDTH = 300


class Cause(NamedTuple):
    """Why, the next step, and the lines that show it."""

    why: str
    hint: str
    lines: List[str]


class Failed(NamedTuple):
    """A build that failed: of which module, for which kernel, and its log."""

    module: str
    kernel: str
    log: str
    cause: Cause


Say = Callable[[Match[str]], Tuple[str, str]]


def _missing(match: Match[str]) -> Tuple[str, str]:
    return (
        "the headers of kernel %s are missing" % match.group(1),
        "install them (nvidia_driver_headers names packages), then run again",
    )


def _compiler(match: Match[str]) -> Tuple[str, str]:
    return (
        "the compiler of the kernel, %s, is not installed" % match.group(1),
        "install %s, then run again" % match.group(1),
    )


def _versions(match: Match[str]) -> Tuple[str, str]:
    return (
        "the kernel was built with gcc %s, and gcc %s is what is here" % (match.group(1), match.group(2)),
        "install gcc-%s, then run again" % match.group(1).split(".")[0],
    )


def _option(match: Match[str]) -> Tuple[str, str]:
    return (
        "the compiler does not know %s, which the kernel's build asks for" % match.group(1),
        "install the gcc that the kernel was built with, then run again",
    )


def _older(match: Match[str]) -> Tuple[str, str]:
    return (
        "this driver was written for older kernels (%s)" % match.group(1),
        "take a newer branch (nvidia_driver_branch) or start an older kernel",
    )


def _symbol(match: Match[str]) -> Tuple[str, str]:
    return (
        "the kernel gives %s to modules under the GPL only" % match.group(1),
        "take a newer branch, the open modules (nvidia_driver_modules=open), or another kernel",
    )


def _plain(why: str, hint: str) -> Say:
    return lambda _match: (why, hint)


# What a compiler says of sources that were written for other kernels.
_OTHER_KERNELS = (
    r"implicit declaration of function .*|too (?:many|few) arguments to function .*|.* has no member named .*"
    r"|conflicting types for .*|unknown type name .*|[^\n]* undeclared [^\n]*"
    r"|(?:passing argument \d+ of .*|initialization of .*) from incompatible pointer type.*"
)
_NO_COMPILER = (
    r"(?m)(?:^|[ :'`\"])((?:[\w-]+-)?(?:gcc|g\+\+)(?:-\d+)?)['\"]?: "
    r"(?:command )?(?:not found|No such file or directory)"
)
# NVIDIA's own check; newer branches only warn.
_OTHER_GCC = (
    r"(?<!Warning: )Compiler version check failed:(?:.*\n)+?.*\bgcc version (\d+\.\d+(?:\.\d+)?)(?:.*\n)+?"
    r"does not match the compiler used here:\s+.*?(?:\) |version )(\d+\.\d+(?:\.\d+)?)"
)
# In this order: the first that is there explains the others, which follow from it.
CAUSES: Tuple[Tuple[str, Say], ...] = (
    (r"No space left on device", _plain("the disk is full", "free some space, then run again")),
    (
        r"(?:Killed signal terminated program|virtual memory exhausted|internal compiler error: Killed)",
        _plain("memory ran out while it compiled", "give it more memory or swap, then run again"),
    ),
    (r"kernel headers for kernel (\S+) cannot be found", _missing),
    (r"(?:kernel source|kernel headers) for (?:this )?kernel (\S+) (?:is|are) not installed", _missing),
    (r"/lib/modules/([^/\s]+)/(?:build|source)[^\n]*: No such file or directory", _missing),
    (_NO_COMPILER, _compiler),
    (_OTHER_GCC, _versions),
    (r"unrecognized command[- ]line option ['‘`]?(-[^'’`\s;]+)", _option),
    (
        r"[^\n]*\bis a PREEMPT_RT kernel",
        _plain(
            "the kernel is a real-time one (PREEMPT_RT), which the driver does not support",
            "start another kernel and remove the headers of this one, then run again",
        ),
    ),
    (r"GPL-incompatible module \S+ uses GPL-only symbol '([^']+)'", _symbol),
    (r"error: (%s)" % _OTHER_KERNELS, _older),
    (r"fatal error: (\S+\.h: No such file or directory)", _older),
    (
        r"sign-file: [^\n]*: No such file or directory",
        _plain("the key that signs modules is missing", "see /etc/dkms/framework.conf, then run again"),
    ),
    (
        r"(?i)unable to (?:determine|locate) the (?:target )?kernel (?:version|source)",
        _plain("the kernel's headers are not complete", "install them anew, then run again"),
    ),
)
# Not the options of a command, such as -Wno-error.
_DECISIVE = re.compile(r"(?i)(?<![\w-])error\b|\*\*\*|fatal|not found|no such file")
_HEAD = re.compile(r"DKMS (?:\(\S+\) )?make\.log for (\S+?) for kernel (\S+)")


def cause(log: str) -> Cause:
    """The cause that a build's log shows; its decisive lines where none is known."""
    for pattern, say in CAUSES:
        match = re.search(pattern, log)
        if match:
            why, hint = say(match)
            return Cause(why, hint, [_line(log, match.start())])
    lines = [line.strip()[:WIDTH] for line in log.splitlines() if line.strip()]
    telling = [line for line in lines if _DECISIVE.search(line)]
    # The first error is the cause, and what make says of it at the end is not.
    return Cause(
        "the modules could not be built",
        "the log says more",
        (telling[:LINES] or lines[-LINES:]) or ["the log is empty"],
    )


def failures(box: Box) -> List[Failed]:
    """The builds of the driver's modules that dkms has left in the middle."""
    found = []
    for name in names_in(box, TREE):
        if not name.startswith("nvidia"):
            continue
        for version in names_in(box, "%s/%s" % (TREE, name)):
            path = "%s/%s/%s/build/make.log" % (TREE, name, version)
            log = text_of(box, path, LIMIT)
            if log:
                head = _HEAD.match(log)
                kernel = head.group(2) if head else ""
                found.append(Failed("%s/%s" % (name, version), kernel, path, cause(log)))
    return found


def sentence(failed: Failed) -> str:
    """One build that failed, for a person."""
    return "dkms could not build %s for kernel %s: %s (%s: %s)" % (
        failed.module,
        failed.kernel or "of this machine",
        failed.cause.why,
        failed.log,
        " | ".join(failed.cause.lines),
    )


def said_by_dkms(text: str) -> Optional[Cause]:
    """The cause in what a package manager passed on of dkms, where dkms left no log."""
    for pattern, say in CAUSES:
        match = re.search(pattern, text)
        if match:
            why, hint = say(match)
            return Cause(why, hint, [_line(text, match.start())])
    return None


def _line(text: str, at: int) -> str:
    start = text.rfind("\n", 0, at + 1) + 1
    if text[at : at + 1] == "\n":
        start = at + 1
    end = text.find("\n", max(start, at + 1))
    return text[start : end if end >= 0 else len(text)].strip()[:WIDTH]
