"""The job `packages` on a fresh machine, over SSH: small packages, and each thing that may be in the way."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from provisioner.hosts.connect import connect
from provisioner.hosts.errors import Refused
from provisioner.hosts.target import parse_host
from provisioner.hosts.transport import Access
from tests.integration import small_packages
from tests.integration.small_packages import ADDRESS, Small
from tests.lab import Machine
from tests.lab.fixtures import MachineFactory

STATE = "/var/lib/provisioner"
CONF = "/etc/small.conf"
KEPT = "/root/sources"
CLEAN = """
    names=$(dpkg-query -W -f '${Package} ' 'small-*' 2>/dev/null)
    [ -z "$names" ] || { apt-mark unhold $names; dpkg --purge --force-all $names; }
"""
# Holds dpkg's lock for so many seconds.
LOCKER = (
    "import fcntl, time; held = open('/var/lib/dpkg/lock-frontend', 'w');"
    " fcntl.lockf(held, fcntl.LOCK_EX); time.sleep(%d)"
)


def app(version: str, needs: str = "small-lib") -> Small:
    """A package with a configuration file and a dependency."""
    return Small(
        "small-app", version, {"Depends": needs}, files={CONF: f"{version}\n"}, conffiles=(CONF,)
    )  # fmt: skip


BASE = (
    Small("small-lib", "1", files={"/usr/lib/small/lib": "one"}),
    app("1"),
    Small("small-victim", "1"),
    Small("small-rival", "1", {"Conflicts": "small-victim"}),
    Small("small-slow", "1", scripts={"postinst": "sleep 60"}),
    Small("small-bad", "1", scripts={"postinst": "echo the disk smells odd; exit 3"}),
    Small("small-huge", "1", {"Installed-Size": str(1 << 40)}),
)
NEW = (*BASE, Small("small-lib", "2"), app("2", "small-lib (= 2)"))


class Site:
    """One machine, its mirror, and the job."""

    def __init__(self, machine: Machine, folder: Path) -> None:
        self.machine, self._folder, self._count = machine, folder, 0
        self._way = connect(parse_host(machine.alias()), Access(ssh_config=str(machine.ssh_config)))

    def offer(self, *packages: Small) -> None:
        self._count += 1
        small_packages.offer(self.machine, self._folder / str(self._count), packages)

    def spec(self, *install: str, **more: Any) -> dict[str, Any]:
        return {
            "role": "small_role", "state": STATE, "install": list(install), "own": ["small-app", "small-lib"],
            "hold": True, "may_remove": [], "recommends": False, "network": {}, "lock_timeout": 3, **more,
        }  # fmt: skip

    def job(self, *install: str, wait: bool = True, check: bool = False, **more: Any) -> dict[str, Any]:
        request = {
            "job": "packages", "name": "small", "spec": self.spec(*install, **more), "dirs": {"state": STATE},
            "wait": wait, "check": check,
        }  # fmt: skip
        return self._way.call("runtime.jobs", request, timeout=600)

    def refusal(self, *install: str, **more: Any) -> tuple[str, str | None]:
        """What is wrong and the next step, without the machine's name."""
        with pytest.raises(Refused) as refused:
            self.job(*install, **more)
        return refused.value.message.partition(": ")[2], refused.value.hint

    def saved(self, role: str = "small_role") -> dict[str, Any]:
        found = self.machine.run("cat", f"{STATE}/saved/{role}/packages.json", check=False)
        return dict(json.loads(found.stdout)["packages"]) if found.returncode == 0 else {}

    def sh(self, script: str) -> str:
        return self.machine.run("sh", "-c", script).stdout.strip()

    def versions(self, *names: str) -> list[str]:
        return [
            self.sh(f"dpkg-query -W -f '${{db:Status-Abbrev}}${{Version}}' {name} 2>/dev/null || true")
            for name in names
        ]


@pytest.fixture(scope="module")
def site(module_machine_factory: MachineFactory, tmp_path_factory: pytest.TempPathFactory) -> Site:
    machine = module_machine_factory(release="trixie", cache=True)
    found = Site(machine, tmp_path_factory.mktemp("small"))
    # The mirror inside is all there is: whatever comes is known to the byte.
    machine.run("sh", "-c", f"mkdir {KEPT}; mv /etc/apt/sources.list.d/* {KEPT}")
    found.offer(*BASE)
    small_packages.serve(machine)
    return found


@pytest.fixture(autouse=True)
def fresh(site: Site) -> None:
    """No small package, no hold, nothing saved, the mirror as it was."""
    site.sh("rm -f /var/lib/dpkg/info/small-*.postinst; systemctl stop locker 2>/dev/null || true")
    site.sh(CLEAN)
    site.sh(f"rm -rf {STATE}/saved {STATE}/jobs /var/cache/apt/archives/small-*")
    site.offer(*BASE)


def within(seconds: float, holds: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.2)


def only(found: dict[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    return {key: found[key] for key in keys}


def test_packages_come_with_what_they_need_and_a_second_run_finds_nothing_to_do(site: Site) -> None:
    foreseen = site.job("small-app", check=True)
    assert foreseen["result"] == {"reason": "small-app is not installed"}
    assert site.versions("small-app") == [""]

    done = site.job("small-app")
    assert done["changed"]
    assert only(done["result"], ("own", "installs", "replaces", "removes")) == {
        "own": {"small-app": "1", "small-lib": "1"},
        "installs": {"small-app": "1", "small-lib": "1"},
        "replaces": {},
        "removes": {},
    }
    assert site.versions("small-app", "small-lib") == ["hi 1", "hi 1"]
    assert site.sh("apt-mark showauto 'small-*'") == "small-lib"
    assert {name: entry["version"] for name, entry in site.saved().items()} == {
        "small-app": None,
        "small-lib": None,
    }
    again = site.job("small-app")
    assert (again["changed"], again["result"]["installs"]) == (False, {})


def test_packages_of_the_distribution_come_with_their_dependencies(site: Site) -> None:
    site.sh(f"cp {KEPT}/* /etc/apt/sources.list.d")
    try:
        done = site.job("jq", own=["jq"], role="jq_role")
        assert {"jq", "libjq1"} <= set(done["result"]["installs"])
        assert site.sh("apt-mark showhold") == "jq"
        assert site.sh("echo 6 | jq '. * 7'") == "42"
        assert not site.job("jq", own=["jq"], role="jq_role")["changed"]
    finally:
        site.sh(f"cd /etc/apt/sources.list.d && for file in $(ls {KEPT}); do rm $file; done")


def test_what_is_replaced_is_saved_first_and_can_be_put_back(site: Site) -> None:
    site.sh("apt-get -qq update; apt-get -qqy install small-app; apt-mark hold small-app")
    site.sh(f"echo mine >> {CONF}")
    site.sh("rm -f /var/cache/apt/archives/small-*")
    # The mirror has dropped the older one of each: one must be packed again.
    site.offer(Small("small-lib", "2"), app("2", "small-lib (= 2)"))
    assert site.refusal("small-app=2") == (
        "to install small-app=2, small-app would have to change, and it is held",
        "apt-mark unhold small-app, if nothing speaks against it, and run again",
    )
    assert (site.versions("small-app"), site.saved()) == (["hi 1"], {})

    site.sh("apt-mark unhold small-app")
    done = site.job("small-app=2")
    assert done["result"]["replaces"] == {"small-app": ["1", "2"], "small-lib": ["1", "2"]}
    # No question was asked: the administrator's file is kept.
    assert site.sh(f"cat {CONF}") == "1\nmine"
    saved = site.saved()
    assert saved == {
        "small-app": {
            "arch": "all", "version": "1", "auto": False, "held": False, "archive": "small-app_1_all.deb",
            "remains": False, "left": "2",
        },
        "small-lib": {
            "arch": "all", "version": "1", "auto": True, "held": False, "archive": "small-lib_1_all.deb",
            "remains": False, "left": "2",
        },
    }  # fmt: skip
    archives = f"{STATE}/saved/small_role/archives"
    site.sh("apt-mark unhold small-app small-lib")
    back = "./small-app_1_all.deb ./small-lib_1_all.deb"
    site.sh(f"cd {archives}; apt-get -qqy --allow-downgrades install {back}")
    assert site.versions("small-app", "small-lib") == ["ii 1", "ii 1"]
    assert site.sh("cat /usr/lib/small/lib") == "one"
    assert site.sh(f"cat {CONF}") == "1\nmine"


def test_an_upgrade_passes_over_what_the_role_holds_and_not_the_role(site: Site) -> None:
    site.job("small-app")
    site.offer(Small("small-lib", "2"), app("2", "small-lib (= 2)"))
    site.sh("apt-get -qq update; apt-get -qqy dist-upgrade")
    assert site.versions("small-app", "small-lib") == ["hi 1", "hi 1"]
    done = site.job("small-app=2")
    assert done["result"]["replaces"] == {"small-app": ["1", "2"], "small-lib": ["1", "2"]}
    assert site.versions("small-app", "small-lib") == ["hi 2", "hi 2"]


def test_nothing_is_removed_that_may_not_be(site: Site) -> None:
    site.job("small-victim")
    assert site.refusal("small-rival") == (
        "installing small-rival would remove small-victim",
        "remove it yourself if nothing needs it, or choose another version or route",
    )
    assert site.versions("small-victim", "small-rival") == ["ii 1", ""]
    done = site.job("small-rival", may_remove=["small-v*"], role="other_role")
    assert done["result"]["removes"] == {"small-victim": "1"}
    assert site.saved("other_role")["small-victim"]["archive"] == "small-victim_1_all.deb"


@pytest.mark.parametrize(
    ("asked", "message", "hint"),
    [
        (
            "small-ap",
            "none of this machine's package sources has small-ap",
            (
                "did you mean small-app? Otherwise correct the name, or add the source (or the component)"
                " that has it"
            ),
        ),
        (
            "small-app=7",
            "none of this machine's package sources has small-app 7",
            "apt-cache madison small-app shows the versions that are",
        ),
    ],
)
def test_what_no_source_has_is_named(site: Site, asked: str, message: str, hint: str) -> None:
    assert site.refusal(asked) == (message, hint)


def test_who_holds_the_lock_is_named_and_waited_for(site: Site) -> None:
    site.machine.run("systemd-run", "--quiet", "--unit=locker", "python3", "-c", LOCKER % 600)
    pid = site.sh("systemctl show -P MainPID locker")
    assert site.refusal("small-app") == (
        f"after 3 s apt is still locked by process {pid} (python3)",
        "let it finish or stop it, or raise the role's apt_lock_timeout",
    )
    site.sh("systemctl stop locker")
    site.machine.run("systemd-run", "--quiet", "--unit=locker", "python3", "-c", LOCKER % 4)
    assert site.job("small-app", lock_timeout=60)["changed"]


def test_a_mirror_that_is_gone_or_lies_is_named_and_nothing_has_changed(site: Site) -> None:
    site.sh("apt-get -qq update")
    site.sh(f"rm {small_packages.ROOT}/small-lib_1_all.deb")
    message, hint = site.refusal("small-app")
    assert message.startswith(f"{ADDRESS}/./small-lib_1_all.deb did not come: 404 ")
    assert hint == (
        "look whether that mirror is up to date and within reach, or name another in apt's sources"
    )
    site.sh(f"cd {small_packages.ROOT}; head -c 300 small-app_1_all.deb > small-lib_1_all.deb")
    message, _ = site.refusal("small-app")
    assert message.startswith(f"{ADDRESS}/./small-lib_1_all.deb did not come: ")
    assert "unexpected size" in message
    small_packages.silence(site.machine)
    try:
        message, _ = site.refusal("small-app")
    finally:
        small_packages.serve(site.machine)
    assert message.startswith(f"{ADDRESS}/./small-lib_1_all.deb did not come: ")
    assert "nable to connect" in message or "ould not connect" in message
    assert (site.versions("small-app", "small-lib"), site.saved()) == (["", ""], {})
    site.offer(*BASE)
    assert site.job("small-app")["changed"]


def test_a_script_that_fails_is_named_and_the_next_run_goes_on(site: Site) -> None:
    message, hint = site.refusal("small-app", "small-bad")
    assert message == (
        "small-bad could not be set up: installed small-bad package post-installation script subprocess"
        " returned error exit status 3"
    )
    assert hint == f"the lines before say why; see {STATE}/jobs/small/log.txt on that machine"
    assert "the disk smells odd" in site.sh(f"cat {STATE}/jobs/small/log.txt")
    assert sorted(site.saved()) == ["small-app", "small-bad", "small-lib"]
    # Somebody mends what the script complained of.
    site.sh("printf '#!/bin/sh\\n' > /var/lib/dpkg/info/small-bad.postinst")
    assert site.job("small-app", "small-bad")["changed"]
    assert site.versions("small-app", "small-bad") == ["hi 1", "ii 1"]


def test_a_machine_that_went_off_while_dpkg_was_at_work_is_finished(site: Site) -> None:
    site.job("small-app", "small-slow", wait=False)
    within(60, lambda: site.sh("pgrep -f [s]mall-slow.postinst || true") != "")
    site.sh("kill -9 $(pgrep -f '^sleep 60') $(pgrep -x dpkg) $(pgrep -x apt-get) 2>/dev/null; sleep 0.5")
    holder = json.loads(site.sh(f"cat {STATE}/jobs/small/lock"))
    site.sh(f"kill -9 -- -{holder['pid']} || true")
    assert site.versions("small-slow") != ["ii 1"]
    site.sh("printf '#!/bin/sh\\n' > /var/lib/dpkg/info/small-slow.postinst")
    site.job("small-app", "small-slow")
    assert site.versions("small-app", "small-lib", "small-slow") == ["hi 1", "hi 1", "ii 1"]
    assert sorted(site.saved()) == ["small-app", "small-lib", "small-slow"]
    assert site.sh(f"ls {STATE}/saved/small_role") == "packages.json"
    assert not site.job("small-app", "small-slow")["changed"]


def test_what_cannot_be_saved_is_not_replaced(site: Site) -> None:
    site.job("small-app", role="other_role")
    site.offer(Small("small-lib", "2"), app("2", "small-lib (= 2)"))
    saved = f"{STATE}/saved"
    site.sh("apt-mark unhold small-app small-lib")
    site.sh(f"mount -t tmpfs -o size=64k tmpfs {saved} && head -c 60k /dev/zero > {saved}/full")
    try:
        message, hint = site.refusal("small-app=2")
    finally:
        site.sh(f"umount {saved}")
    assert message.startswith(f"{saved}/small_role")
    assert "No space left on device" in message
    assert hint == "free some disk space there, then run again: what is complete is kept"
    assert site.versions("small-app", "small-lib") == ["ii 1", "ii 1"]
    assert site.job("small-app=2")["changed"]
    assert site.saved()["small-lib"]["archive"] == "small-lib_1_all.deb"


def test_without_room_nothing_begins(site: Site) -> None:
    message, hint = site.refusal("small-huge")
    assert message.startswith("/usr: 1.1 PB are needed and ") or "are needed and" in message
    assert hint is not None
    assert hint.endswith("on that file system, and run again")
    site.sh(
        "mount -t tmpfs -o size=66m tmpfs /var/cache/apt/archives && mkdir /var/cache/apt/archives/partial"
    )
    try:
        site.sh("head -c 66M /dev/zero > /var/cache/apt/archives/full || true")
        message, _ = site.refusal("small-app")
    finally:
        site.sh("umount /var/cache/apt/archives")
    assert message.startswith("/var/cache/apt/archives: ")
    assert site.versions("small-app", "small-huge") == ["", ""]
