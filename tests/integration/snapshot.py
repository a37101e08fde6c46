"""What a machine is, as text: packages and their marks, and every file that provision could touch."""

from __future__ import annotations

import difflib
import re

from tests.lab import Machine

# In nothing but sh and findutils: it must work where there is no Python. /var/cache/provisioner is left out:
# all machines of the lab share one.
SCRIPT = r"""
export LC_ALL=C
dpkg-query -W -f='package ${Package}:${Architecture} ${Version} ${db:Status-Want} ${db:Status-Status}\n'
apt-mark showauto | sed 's/^/auto /'
apt-mark showhold | sed 's/^/hold /'
for place in /etc /usr/local /opt /var/lib/provisioner /var/lib/dpkg/alternatives \
  /var/lib/systemd/deb-systemd-helper-enabled /home /var/mail; do
  [ -e "$place" ] || continue
  find "$place" -printf '%p %y %m %U:%G %l\n'
  find "$place" -type f -exec sha256sum {} + | sed 's/^\([0-9a-f]*\)  \(.*\)/\2 sha256 \1/'
done
"""
# What may differ although all is as it was, and why.
DIFFERS = {
    r"/etc/ld\.so\.cache ": "ldconfig's own cache, made anew whenever a library comes or goes",
    r"/etc/(passwd|shadow|group|gshadow|subuid|subgid)- ": "backups that the tools for accounts make",
}


def snapshot(machine: Machine) -> list[str]:
    """Sorted lines, without those of `DIFFERS`."""
    lines = machine.run("sh", "-c", SCRIPT).stdout.splitlines()
    return sorted(line.rstrip() for line in lines if not any(re.match(one, line) for one in DIFFERS))


def differences(before: list[str], after: list[str]) -> list[str]:
    """Lines that went (-) and came (+)."""
    found = difflib.unified_diff(before, after, lineterm="", n=0)
    return [line for line in found if line[:1] in "+-" and line[:3] not in ("+++", "---")]
