"""An emulated GRUB: its menu is made by a shell from the settings, and it starts as its script says."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from provisioner.target.system.loaders import SCRIPT

from .boxes import FakeBox
from .kernels import boot, machine

MAKER = "#!/bin/sh\nfor x in ${sysconfdir}/default/grub.d/*.cfg ; do . $x; done\n"
SETTINGS = 'GRUB_DEFAULT=0\nGRUB_CMDLINE_LINUX_DEFAULT="quiet"\nGRUB_CMDLINE_LINUX=""\n'
READ = (
    'for x in "$0/etc/default/grub" "$0"/etc/default/grub.d/*.cfg; do test -e "$x" && . "$x"; done; '
    'printf "%s" "$GRUB_CMDLINE_LINUX $GRUB_CMDLINE_LINUX_DEFAULT"'
)
ENV = "/boot/grub/grubenv"


class GrubBox:
    """A machine of Debian with GRUB. `lies_on`: what grub-probe says of /boot/grub."""

    def __init__(self, root: Path, *, folder: bool = True, lies_on: str = "ext2") -> None:
        self.box: FakeBox = machine(root)
        self.boots = 0
        self.box.program("grub-mkconfig")
        self.box.write("/usr/sbin/grub-mkconfig", MAKER if folder else "#!/bin/sh\n").chmod(0o755)
        self.box.write("/etc/default/grub", SETTINGS)
        self.box.write("/boot/grub/grub.cfg", "")
        self.box.program("update-grub", self.update)
        self.box.program("grub-editenv", self.edit)
        self.box.program("grub-probe", lambda target, _: (0, [lies_on] if target == "--target=fs" else []))
        self.update()

    def update(self, *_: str) -> tuple[int, list[str]]:
        """What grub-mkconfig makes: the script's words before the entry."""
        root = str(self.box.root)
        words = subprocess.run(
            ["/bin/sh", "-c", READ, root], capture_output=True, text=True, check=True
        ).stdout
        script = self.box.path(SCRIPT)
        head = ""
        if script.exists():
            assert script.stat().st_mode & 0o777 == 0o755
            head = subprocess.run([script], capture_output=True, text=True, check=True).stdout
        self.box.write("/boot/grub/grub.cfg", f"{head}linux /vmlinuz root=/dev/vda1 ro {words}\n")
        return 0, []

    def edit(self, path: str, verb: str, *what: str) -> tuple[int, list[str]]:
        assert path == ENV
        env = self.environment
        if verb == "list":
            return 0, [f"{key}={value}" for key, value in env.items()]
        if verb == "set":
            env |= dict(one.split("=", 1) for one in what)
        else:
            env = {key: value for key, value in env.items() if key not in what}
        self.box.write(ENV, "".join(f"{key}={value}\n" for key, value in env.items()))
        return 0, []

    @property
    def environment(self) -> dict[str, str]:
        text = self.box.read(ENV) if self.box.path(ENV).exists() else ""
        return dict(line.split("=", 1) for line in text.splitlines())

    def start(self, *, fails_with: str | None = None) -> str:
        """Start the machine; a line with `fails_with` does not come up, and the next one is tried."""
        menu = self.box.read("/boot/grub/grub.cfg")
        once = ""
        if "provisioner_try" in menu and self.environment.get("provisioner_try") == "1":
            found = re.search(r'set provisioner_options="(.*)"', menu)
            assert found is not None
            once = found.group(1)
            self.edit(ENV, "set", "provisioner_try=0")
        line = menu.strip().splitlines()[-1].removeprefix("linux /vmlinuz ")
        line = line.replace("${provisioner_options}", once)
        if fails_with is not None and fails_with in line.split():
            return self.start(fails_with=fails_with)
        self.boots += 1
        boot(self.box, f"boot {self.boots}")
        self.box.write("/proc/cmdline", " ".join(line.split()) + "\n")
        return " ".join(line.split())
