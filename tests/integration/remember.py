"""A machine that gets NVIDIA's real software without a GPU, built with a compiler that remembers.

A driver's modules take minutes to build, most of them for some nine hundred small trials of what the kernel
has (conftest.sh), each in a file named by a process number. So in these machines gcc is ccache, whose cache
lies in the folder that machines keep, behind a script that names a trial by its content. Whoever builds
notices neither; that the modules are the real ones is what the tests look at.
"""

from __future__ import annotations

from tests.lab import Machine

COMPILER = "x86_64-linux-gnu-gcc-14"
# dkms looks for programs here first, and in no folder below /usr/local.
FOLDER = "/usr/sbin"
CACHE = "/var/cache/provisioner/ccache"
# It starts as few programs as it can: there are nine hundred trials, each with some two hundred arguments.
SCRIPT = rf"""#!/bin/sh
# conftest1234.c, compiled to conftest1234.o, under a name that is the same in each build.
for last; do :; done
case "$last: $* " in
conftest[0-9]*.c:*" -c "*)
  number="${{last#conftest}}" number="${{number%.c}}"
  sum="$(md5sum <"$last")"
  stable="conftest-${{sum%% *}}.c"
  # Another trial of the same content may be reading it.
  [ -e "$stable" ] || {{ cp "$last" "$stable.$$" && mv "$stable.$$" "$stable"; }}
  count=$#
  while [ "$count" -gt 1 ]; do
    case "$1" in
    *"#conftest$number"*) set -- "$@" "${{1%%#conftest$number*}}#conftest${{1#*#conftest$number}}" ;;
    *) set -- "$@" "$1" ;;
    esac
    shift
    count=$((count - 1))
  done
  shift
  exec ccache /usr/bin/{COMPILER} "$@" "$stable" -o "conftest$number.o"
  ;;
esac
exec ccache /usr/bin/{COMPILER} "$@"
"""


def remember(machine: Machine, *more: str) -> None:
    """Have the machine's compiler remember what it has compiled in machines before; install `more` too."""
    # Nobody needs these machines after a power cut, so dpkg need not wait for the disk at each file.
    machine.run("tee", "/etc/dpkg/dpkg.cfg.d/lab", input="force-unsafe-io\n")
    machine.run("apt-get", "update", "--quiet")
    machine.run("apt-get", "install", "--yes", "--quiet", "--no-install-recommends", "ccache", *more)
    machine.run("tee", "/etc/ccache.conf", input=f"cache_dir = {CACHE}\nmax_size = 500M\nhash_dir = false\n")
    machine.run("tee", f"{FOLDER}/{COMPILER}", input=SCRIPT)
    machine.run("chmod", "0755", f"{FOLDER}/{COMPILER}")
