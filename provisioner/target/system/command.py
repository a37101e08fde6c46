"""The box that is changed: its files, below a root that tests choose, and the programs that change it."""

from __future__ import annotations

import os
from typing import List, Mapping, Optional, Sequence

from ..errors import TargetError
from ..probe import system
from ..probe.box import Box, mounts
from ..runtime import process

FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
# Their words are searched, so they must be in English; over SSH and sudo PATH often lacks the sbin folders.
ENVIRONMENT = {"PATH": ":".join(FOLDERS), "LC_ALL": "C", "LANG": "C", "HOME": "/root", "TERM": "dumb"}


class Host:
    """One box. `root` is "/" for the live one; `run` starts programs as `runtime.process.run` does."""

    def __init__(self, root: str = "/", run: process.Runner = process.run) -> None:
        self.box = Box(root)
        self.run = run

    def tool(self, *names: str) -> Optional[str]:
        """The path of the first of these programs that is here; None when none is."""
        for name in names:
            for folder in FOLDERS:
                path = "%s/%s" % (folder, name)
                if os.access(self.box.path(path), os.X_OK) and os.path.isfile(self.box.path(path)):
                    return path
        return None

    def ask(self, argv: Sequence[str], more: Optional[Mapping[str, str]] = None) -> process.Done:
        """Run a program, with `more` variables, and give what it said, however it ended. Raises TargetError
        when it cannot start.
        """
        return self.run([*argv], {**ENVIRONMENT, **(more or {})})

    def listing(self, argv: Sequence[str]) -> Optional[List[str]]:
        """Every line of a program that lists many; None when it fails."""
        found: List[str] = []

        def keep(line: str) -> bool:
            found.append(line)
            return True

        return None if self.run([*argv], ENVIRONMENT, keep).rc else found

    def do(self, argv: Sequence[str], hint: str) -> process.Done:
        """Run a program that must succeed. Raises TargetError with its last words."""
        done = self.ask(argv)
        if done.rc:
            raise TargetError(
                "%s ended with %d: %s" % (" ".join(argv), done.rc, last_words(done.lines)), hint
            )
        return done

    @property
    def container(self) -> Optional[str]:
        """The kind of container this is; None when it is a machine."""
        return system.find_container(self.box, mounts(self.box))

    def read_only(self, path: str) -> bool:
        """Whether the file system that `path` lies on is mounted read-only."""
        table = mounts(self.box)
        inside = [
            mount for mount in table if mount["point"] == "/" or (path + "/").startswith(mount["point"] + "/")
        ]
        if not inside:
            return False
        # Of two mounts on the same point the later one lies on top.
        top = max(enumerate(inside), key=lambda pair: (len(pair[1]["point"]), pair[0]))[1]
        return "ro" in top["flags"] or "ro" in top["options"]


def last_words(lines: List[str], count: int = 3) -> str:
    """The lines that say why a program failed: those that say so themselves, else its last ones."""
    telling = [line for line in lines if line.startswith(("E: ", "W: ")) or "error" in line.lower()]
    return "; ".join(line.strip() for line in (telling or lines)[-count:]) or "it said nothing"
