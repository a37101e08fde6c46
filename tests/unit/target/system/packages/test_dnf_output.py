"""dnf 4 and rpm, read: what they said of small repositories of the test's author, and of NVIDIA's in logs."""

from __future__ import annotations

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.probe import rpmdb
from provisioner.target.system.packages import dnf_output
from provisioner.target.system.packages.base import Change, NotFetched, Package, UnknownPackage

WRAPPED = """\
Last metadata expiration check: 0:00:01 ago on Mon Nov 23 02:54:25 2026.
Dependencies resolved.
=========================================================================================
 Package                                                     Arch    Version     Repo
                                                                                     Size
=========================================================================================
Installing:
 a-very-long-package-name-for-wrapping-lines-in-a-terminal   x86_64  1.2.3-1.el9 t  5.7 k
 nvidia-driver-libs-with-a-long-name-too-that-wraps-everywhere
                                                             i686    3:580.95.05-1.el9
                                                                                 cuda-rhel9-x86_64
                                                                                     1.5 M
Installing dependencies:
 libfoo                                                      noarch  2.0-1.el9   t    0

Transaction Summary
=========================================================================================
Install  3 Packages

Total download size: 1.5 M
Installed size: 2 k
Is this ok [y/N]: Operation aborted.
"""
DOWN = """\
Downgrading:
 foo             x86_64            1.0-1.el9               t            5.4 k
Upgrading:
 bar             x86_64            2.0-1.el9               t            5.4 k
Removing:
 libfoo          x86_64            1.0-1.el9               @t             0
Removing dependent packages:
 baz             x86_64            1.0-1.el9               @t           5.4 k

Transaction Summary
Freed space: 5.4 k
"""


def there(version: str) -> Package:
    return Package(version, "x86_64")


@pytest.mark.parametrize(
    ("text", "installed", "expected"),
    [
        (WRAPPED, {}, Change(
            {"a-very-long-package-name-for-wrapping-lines-in-a-terminal": "1.2.3-1.el9",
             "nvidia-driver-libs-with-a-long-name-too-that-wraps-everywhere": "3:580.95.05-1.el9",
             "libfoo": "2.0-1.el9"}, {}, {}, 1572864, 2048)),
        (DOWN, {"foo": there("2.0-1.el9"), "bar": there("1.0-1.el9"), "libfoo": there("1.0-1.el9")}, Change(
            {}, {"foo": ("2.0-1.el9", "1.0-1.el9"), "bar": ("1.0-1.el9", "2.0-1.el9")},
            {"libfoo": "1.0-1.el9", "baz": "1.0-1.el9"}, 0, -5529)),
        ("Dependencies resolved.\nNothing to do.\nComplete!\n", {}, Change({}, {}, {})),
    ],
)  # fmt: skip
def test_a_transaction_is_read_across_wrapped_lines(
    text: str, installed: dict[str, Package], expected: Change
) -> None:
    assert dnf_output.change(text.splitlines(), installed) == expected


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("No match for argument: nosuch\nError: Unable to find a match: nosuch", UnknownPackage,
         "no source of this machine has nosuch"),
        ("Module or Group 'nvidia-driver:590-open' is not available.\nError: Nothing to do.", UnknownPackage,
         "no source of this machine has the module stream nvidia-driver:590-open"),
        ("Error: \n  - package libfoo-2.0-1.el9.x86_64 is filtered out by exclude filtering", TargetError,
         "libfoo is held, and that stands in the way: cannot install foo"),
        ("[MIRROR] foo.rpm: Status code: 404 for http://u:p@mirror/foo.rpm\nError: it ended", NotFetched,
         "foo.rpm did not come: Status code: 404 for http://***@mirror/foo.rpm"),
        ("Public key for foo.rpm is not installed\nError: GPG check FAILED", NotFetched,
         "foo.rpm is not signed by a key that this machine trusts"),
        ("Error Summary\n  At least 12MB more space needed on the /boot filesystem.", TargetError,
         "/boot lacks 12MB"),
        ("Error: \n Problem: problem with bar-1.0\n  - package a conflicts with bar", TargetError,
         "dnf cannot install foo: Problem: problem with bar-1.0 package a conflicts with bar"),
        ("", TargetError, "dnf cannot install foo: it said nothing"),
    ],
)  # fmt: skip
def test_a_refusal_names_what_is_wrong(text: str, kind: type[TargetError], message: str) -> None:
    error = dnf_output.refusal(text.splitlines(), "install foo")
    assert (type(error), error.message) == (kind, message)
    assert error.hint


def test_lists_that_did_not_come_are_named_by_address() -> None:
    text = (
        "Errors during downloading metadata for repository 't':\n"
        "  - Curl error (37): Couldn't read a file for file:///nope/repodata/repomd.xml [Couldn't open]\n"
        "Error: Failed to download metadata for repo 't': Cannot download repomd.xml\n"
        "Error: Failed to download metadata for repo 'u': GPG verification is enabled, but GPG signature is"
        " not available.\n"
        "Ignoring repositories: t, u\n"
    )
    assert dnf_output.of_lists(text.splitlines()) == [
        "file:///nope/repodata/repomd.xml: Couldn't open",
        "u: GPG verification is enabled, but GPG signature is not available.",
    ]


def test_two_versions_of_one_package_are_half_way_but_of_a_kernel() -> None:
    lines = [
        "foo\tx86_64\t(none)\t1-1",
        "foo\tx86_64\t0\t2-1",
        "foo\ti686\t0\t2-1",
        "kernel-core\tx86_64\t0\t5.14-1",
        "kernel-core\tx86_64\t0\t5.14-2",
        "nvidia-driver\tx86_64\t3\t580.1-1",
        "gpg-pubkey\t(none)\t0\td42d0685-1",
        "a warning of rpm",
    ]
    found = dnf_output.packages(dnf_output.rows(lines), {"foo"}, {"nvidia-driver"}, "x86_64")
    assert found == {
        "foo": Package("2-1", "x86_64", True, False, False),
        "foo:i686": Package("2-1", "i686", True),
        "kernel-core": Package("5.14-2", "x86_64"),
        "nvidia-driver": Package("3:580.1-1", "x86_64", held=True),
    }


def test_what_is_held_is_written_and_read_alike() -> None:
    package = Package("3:580.95.05-1.el9", "x86_64")
    entries = [dnf_output.lock_entry("nvidia-driver", package), dnf_output.lock_entry("foo", there("1-1"))]
    assert entries == ["nvidia-driver-3:580.95.05-1.el9.*", "foo-0:1-1.*"]
    text = "# by dnf\n" + "\n".join(entries) + "\n!bar-0:1-1.*  # only shut out\n"
    assert rpmdb.held(text) == ["nvidia-driver", "foo"]


def test_what_went_wrong_in_a_script_names_its_package() -> None:
    text = "Error in POSTIN scriptlet in rpm package kmod-nvidia\nError: Transaction failed"
    error = dnf_output.failure(text.splitlines(), "install nvidia-driver")
    assert error.message == "dnf could not install nvidia-driver: Transaction failed"
    assert getattr(error, "packages", None) == ["kmod-nvidia"]
