"""A box made of files below a folder, whose programs are functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from provisioner.target.runtime.process import Done
from provisioner.target.system.command import Host

# What a program does and how it ends: its exit status and its lines.
Program = Callable[..., tuple[int, list[str]]]
MACHINE = "25 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
CONTAINER = "25 1 0:40 / / rw - overlay overlay rw\n"


class FakeBox:
    """A box whose programs are emulated; `ran` is every command line, without folders."""

    def __init__(self, root: Path, files: Mapping[str, str] | None = None) -> None:
        self.root = root
        self.ran: list[str] = []
        self.programs: dict[str, Program] = {}
        self.write("/proc/self/mountinfo", MACHINE)
        for path, text in (files or {}).items():
            self.write(path, text)
        self.host = Host(str(root), self._run)

    def write(self, path: str, text: str) -> Path:
        file = self.path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def path(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def read(self, path: str) -> str:
        return self.path(path).read_text()

    def program(self, name: str, does: Program | None = None) -> None:
        """Install a program; without `does` it succeeds and says nothing."""
        self.write(f"/usr/sbin/{name}", "#!/bin/false\n").chmod(0o755)
        self.programs[name] = does or (lambda *_: (0, []))

    def kernel(self, release: str, image: str = "initrd.img-") -> None:
        """Install a kernel, with an initramfs named like the one of Debian or of dracut; "" for none."""
        self.write(f"/boot/vmlinuz-{release}", "kernel")
        self.write(f"/lib/modules/{release}/modules.order", "")
        if image:
            self.write(f"/boot/{image}{release}", "image")

    def _run(
        self, argv: Sequence[str], env: Mapping[str, str], on_line: Callable[[str], bool] | None = None
    ) -> Done:
        assert env["LC_ALL"] == "C"
        name = argv[0].rsplit("/", 1)[-1]
        self.ran.append(" ".join([name, *argv[1:]]))
        rc, lines = self.programs[name](*argv[1:])
        return Done(rc, [line for line in lines if on_line is None or not on_line(line)])
