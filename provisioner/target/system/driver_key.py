"""Secure Boot: has the firmware asked, at the next start, to trust the key that signs modules here."""

from __future__ import annotations

import os
import secrets
from typing import Any, Dict, List

from ..errors import TargetError
from ..probe.receipt import discard, folders, write
from ..runtime.files import read_json
from . import driver_look
from .command import Host

# Digits: shim's screen takes every keyboard for one from the USA, on which letters lie elsewhere.
DIGITS = 10


def steps(password: str) -> List[str]:
    """What a person does at the next start, at the machine's own screen or its remote console."""
    return [
        "Secure Boot is on, and the firmware does not trust the key that signs the driver's modules yet.",
        "At the next start a blue screen waits ten seconds (own screen, or remote console): press a key.",
        "Choose Enroll MOK, then Continue, then Yes; type the password %s; choose Reboot." % password,
    ]


def prepare(host: Host, paths: List[str], state: str, boot: str, check: bool) -> Dict[str, Any]:
    """`{"changed", "reboot": why or "", "say": sentences}`. `paths`: where certificates of such keys lie.

    Asked twice, it asks once: while the question waits for the next start the same password is said again.
    A start that brought no answer is an error, once; then it is asked anew.
    """
    key = driver_look.key_of(host.box, paths)
    note = host.box.path("%s/machine-key.json" % state)
    if key is None:
        raise TargetError(
            "Secure Boot is on, and no key of this machine signs what is built here (%s)" % ", ".join(paths),
            "have dkms make one and build anew (dkms generate_mok), or turn Secure Boot off in the firmware",
        )
    before = read_json(note) or {}
    if key.state == "enrolled":
        if before and not check:
            discard(note)
        return {"changed": False, "reboot": "", "say": []}
    if key.state == "missing" and before.get("boot") not in (None, boot):
        if not check:
            discard(note)
        raise TargetError(
            "the key of this machine was not enrolled at the blue screen (%s)" % key.path,
            "run again: it is asked anew at the next start; choose Enroll MOK there within ten seconds",
        )
    why = "the firmware must be told to trust this machine's key (%s)" % key.path
    if key.state == "asked" and before.get("password"):
        return {"changed": False, "reboot": why, "say": steps(str(before["password"]))}
    if check:
        return {"changed": True, "reboot": why, "say": []}
    password = "".join(secrets.choice("0123456789") for _ in range(DIGITS))
    ask(host, key.path, password, state)
    # Only root reads it, and it is of no use but at the machine's own screen.
    write(note, {"schema": 1, "certificate": key.path, "password": password, "boot": boot}, private=True)
    return {"changed": True, "reboot": why, "say": steps(password)}


def ask(host: Host, certificate: str, password: str, state: str) -> None:
    """`mokutil --import`, with the password's hash in a file: words of a command are seen by everybody."""
    mokutil, openssl = host.tool("mokutil"), host.tool("openssl")
    if mokutil is None or openssl is None:
        raise TargetError(
            "%s is not installed, and the key of this machine cannot be enrolled without it"
            % ("openssl" if mokutil else "mokutil"),
            "install it, then run again",
        )
    plain, hashed = ("%s/machine-key.%s" % (state, end) for end in ("plain", "hash"))
    try:
        put(host, plain, password)
        done = host.do([openssl, "passwd", "-6", "-in", plain], "see what openssl says")
        put(host, hashed, done.lines[-1])
        host.do(
            [mokutil, "--import", certificate, "--hash-file", hashed],
            "enroll it by hand: mokutil --import %s, then restart" % certificate,
        )
    finally:
        discard(host.box.path(plain))
        discard(host.box.path(hashed))


def put(host: Host, path: str, text: str) -> None:
    """A file that only root reads, for a moment."""
    real = host.box.path(path)
    folders(os.path.dirname(real))
    discard(real)
    fd = os.open(real, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w") as file:
        file.write(text + "\n")
