from __future__ import annotations

from typing import NamedTuple

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.system.packages import apt_errors
from provisioner.target.system.packages.base import NotFetched, Package, SetupFailed, UnknownPackage


class Case(NamedTuple):
    """What apt said, and what becomes of it."""

    said: str
    kind: type[TargetError]
    message: str
    hint: str | None


REFUSALS = {
    "unknown name": Case(
        "E: Unable to locate package nvidia-drivr",
        UnknownPackage,
        "none of this machine's package sources has nvidia-drivr",
        "correct the name, or add the source (or the component) that has it",
    ),
    "a name with a dot is taken for a pattern": Case(
        "E: Unable to locate package cuda-12.4\nE: Couldn't find any package by glob 'cuda-12.4'",
        UnknownPackage,
        "none of this machine's package sources has cuda-12.4",
        "correct the name, or add the source (or the component) that has it",
    ),
    "unknown version": Case(
        "E: Version '560' for 'nvidia-driver' was not found",
        UnknownPackage,
        "none of this machine's package sources has nvidia-driver 560",
        "apt-cache madison nvidia-driver shows the versions that are",
    ),
    "mentioned only": Case(
        "Package steam is not available, but is referred to by another package.\n"
        "E: Package 'steam' has no installation candidate",
        UnknownPackage,
        "none of this machine's package sources has steam",
        "correct the name, or add the source (or the component) that has it",
    ),
    "virtual": Case(
        "Package mail-agent is a virtual package provided by:\n  exim4 4.98\n  postfix 3.10\n"
        "E: Package 'mail-agent' has no installation candidate",
        UnknownPackage,
        "mail-agent is no package but a name that several provide",
        "name one of those that apt-cache showpkg mail-agent lists",
    ),
    "locked": Case(
        "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 4711 (unattended-upgr)",
        TargetError,
        "packages are locked by process 4711 (unattended-upgr)",
        "let it finish or stop it, and run again",
    ),
    "locked by somebody": Case(
        "E: Could not get lock /var/lib/apt/lists/lock - open (11: Resource temporarily unavailable)",
        TargetError,
        "packages are locked by another process",
        "let it finish or stop it, and run again",
    ),
    "no room in the cache": Case(
        "E: You don't have enough free space in /var/cache/apt/archives/.",
        TargetError,
        "/var/cache/apt/archives/ has not the room for what is to be fetched",
        "free some space there (apt-get clean), and run again",
    ),
    "404": Case(
        "Err:1 http://u:secret@m/debian trixie/main amd64 small amd64 1\n  404  Not Found [IP: 10.0.0.1 80]\n"
        "E: Failed to fetch http://u:secret@m/debian/small_1_amd64.deb  404  Not Found [IP: 10.0.0.1 80]\n"
        "E: Unable to fetch some archives, maybe run apt-get update or try with --fix-missing?",
        NotFetched,
        "http://***@m/debian/small_1_amd64.deb did not come: 404  Not Found [IP: 10.0.0.1 80]",
        "look whether that mirror is up to date and within reach, or name another in apt's sources",
    ),
    # As in microsoft/WSL issue 4114.
    "a clock that is behind": Case(
        "E: Release file for http://u:secret@m/debian/dists/trixie/InRelease is not valid yet (invalid for "
        "another 9h 3min 2s). Updates for this repository will not be applied.",
        NotFetched,
        "http://***@m/debian/dists/trixie/InRelease: not valid yet (invalid for another 9h 3min 2s): "
        "this machine's clock is behind",
        "set its clock right (`date` shows it; in WSL `sudo hwclock -s`, or wsl --shutdown), and run again",
    ),
    "a clock that is behind, by a certificate": Case(
        "E: Failed to fetch https://m/x.deb  Certificate verification failed: The certificate is NOT "
        "trusted. The certificate chain uses not yet valid certificate.",
        NotFetched,
        "this machine's clock is behind: Failed to fetch https://m/x.deb  Certificate verification failed: "
        "The certificate is NOT trusted. The certificate chain uses not yet valid certificate.",
        "set its clock right (`date` shows it; in WSL `sudo hwclock -s`, or wsl --shutdown), and run again",
    ),
    "digest": Case(
        "E: Failed to fetch http://m/small_1_amd64.deb  Hash Sum mismatch\n   Hashes of expected file:",
        NotFetched,
        "http://m/small_1_amd64.deb did not come: Hash Sum mismatch",
        "look whether that mirror is up to date and within reach, or name another in apt's sources",
    ),
    "held and asked for": Case(
        "The following held packages will be changed:\n  small-app small-lib\n"
        "The following packages will be upgraded:\n  small-app small-lib bash\n"
        "E: Held packages were changed and -y was used without --allow-change-held-packages.",
        TargetError,
        "to install small-app=2, small-app, small-lib would have to change, and they are held",
        "apt-mark unhold small-app small-lib, if nothing speaks against it, and run again",
    ),
    "held and needed": Case(
        "Some packages could not be installed. This may mean that you have\n"
        "The following packages have unmet dependencies:\n"
        " small-app : Depends: small-lib (= 2) but 1 is to be installed\n"
        "E: Unable to correct problems, you have held broken packages.",
        TargetError,
        "to install small-app=2, small-app, small-lib would have to change, and they are held",
        "apt-mark unhold small-app small-lib, if nothing speaks against it, and run again",
    ),
    "the new solver": Case(
        "E: Unable to satisfy dependencies. Reached two conflicting decisions:\n"
        "   1. other:amd64=2 is selected for install\n"
        "   2. other:amd64 Depends absent\n"
        "      but none of the choices are installable:\n"
        "      [no choices]",
        TargetError,
        "apt cannot install small-app=2: 1. other:amd64=2 is selected for install;"
        " 2. other:amd64 Depends absent; but none of the choices are installable:",
        "look which of its sources do not fit together (apt-cache policy)",
    ),
    "unmet, and nothing held": Case(
        "The following packages have unmet dependencies:\n"
        " other : Depends: absent but it is not installable\n"
        "E: Unable to correct problems, you have held broken packages.",
        TargetError,
        "apt cannot install small-app=2: other : Depends: absent but it is not installable",
        "look which of its sources do not fit together (apt-cache policy)",
    ),
    "anything else": Case(
        "Reading package lists...\nE: The value 'x' is invalid for APT::Default-Release\nE: second",
        TargetError,
        "apt cannot install small-app=2: The value 'x' is invalid for APT::Default-Release",
        None,
    ),
    "nothing at all": Case("", TargetError, "apt cannot install small-app=2: it said nothing", None),
}
INSTALLED = {
    "small-app": Package("1", "amd64", held=True),
    "small-lib": Package("1", "amd64", held=True),
    "bash": Package("1", "amd64"),
    "held": Package("1", "amd64", held=True),
}


@pytest.mark.parametrize("case", REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_is_one_line_and_the_next_step(case: Case) -> None:
    error = apt_errors.refusal(case.said.splitlines(), "install small-app=2", INSTALLED)
    assert (type(error), error.message, error.hint) == (case.kind, case.message, case.hint)


FAILURES = {
    "a script": Case(
        "Setting up nvidia-kernel-dkms (550) ...\n"
        "Error! Bad return status for module build\n"
        "dpkg: error processing package nvidia-kernel-dkms (--configure):\n"
        " installed nvidia-kernel-dkms package post-installation script subprocess returned error exit"
        " status 10\n"
        "dpkg: dependency problems prevent configuration of nvidia-driver:\n"
        "dpkg: error processing package nvidia-driver (--configure):\n"
        " dependency problems - leaving unconfigured\n"
        "E: Sub-process /usr/bin/dpkg returned an error code (1)",
        SetupFailed,
        "nvidia-kernel-dkms could not be set up: installed nvidia-kernel-dkms package post-installation"
        " script subprocess returned error exit status 10",
        "the lines before say why",
    ),
    "no room": Case(
        "dpkg: error processing archive /var/cache/apt/archives/big_1_amd64.deb (--unpack):\n"
        " cannot copy extracted data for './usr/lib/big' to '/usr/lib/big.dpkg-new': failed to write"
        " (No space left on device)\n"
        "E: Sub-process /usr/bin/dpkg returned an error code (1)",
        SetupFailed,
        "no space is left for /usr/lib/big",
        "free some space on that file system (df -h), and run again: it goes on from there",
    ),
    "not fetched after all": Case(
        "E: Failed to fetch http://m/x.deb  503  Service Unavailable",
        NotFetched,
        "http://m/x.deb did not come: 503  Service Unavailable",
        "look whether that mirror is up to date and within reach, or name another in apt's sources",
    ),
    "apt alone": Case(
        "E: Packages need to be removed but remove is disabled.",
        SetupFailed,
        "apt cannot install x: Packages need to be removed but remove is disabled.",
        None,
    ),
}


@pytest.mark.parametrize("case", FAILURES.values(), ids=FAILURES)
def test_a_failure_is_the_decisive_line(case: Case) -> None:
    error = apt_errors.failure(case.said.splitlines(), "install x")
    assert (type(error), error.message, error.hint) == (case.kind, case.message, case.hint)


def test_a_failure_names_all_packages_that_failed() -> None:
    error = apt_errors.failure(FAILURES["a script"].said.splitlines(), "install x")
    assert isinstance(error, SetupFailed)
    assert error.packages == ["nvidia-kernel-dkms", "nvidia-driver"]


def test_lists_that_did_not_come_are_named_once_and_without_logins() -> None:
    said = [
        "W: Failed to fetch http://u:secret@m/debian/dists/trixie/InRelease  Could not connect to m:80",
        "W: Failed to fetch http://u:secret@m/debian/dists/trixie/InRelease  Could not connect to m:80",
        "W: GPG error: http://r ./ InRelease: The following signatures couldn't be verified: NO_PUBKEY 3BF8",
        "E: The repository 'http://s ./ InRelease' is not signed.",
        "E: Release file for http://f/InRelease is not valid yet (invalid for another 9h). Updates for this",
        "W: Some index files failed to download. They have been ignored, or old ones used instead.",
    ]
    assert apt_errors.of_lists(said) == [
        "http://***@m/debian/dists/trixie/InRelease: Could not connect to m:80",
        "http://r ./ InRelease: The following signatures couldn't be verified: NO_PUBKEY 3BF8",
        "http://s ./ InRelease: it is not signed by a key that this machine trusts",
        "http://f/InRelease: not valid yet (invalid for another 9h): this machine's clock is behind",
    ]
