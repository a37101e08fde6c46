"""Names of header packages by system and kernel."""

from __future__ import annotations

from typing import Any

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.probe.audit import versions
from provisioner.target.system.driver_headers import Kernel, Needs, family, flavour, major, needs

OVERRIDE = "name packages in nvidia_driver_headers"


def newer(what: str, manager: str = "apt-get") -> str:
    return f"install the newest kernel ({manager} install {what}) and restart, then run again; or {OVERRIDE}"


@pytest.mark.parametrize(
    ("kind", "kernels", "installed", "compiler", "expected"),
    [
        pytest.param(
            "debian",
            [Kernel("6.12.57+deb13-cloud-amd64", False, "14.2.0")],
            ["linux-image-cloud-amd64"],
            "14",
            Needs(
                ["linux-headers-6.12.57+deb13-cloud-amd64", "linux-headers-cloud-amd64"],
                newer("linux-image-cloud-amd64"),
            ),
            id="debian-13-cloud",
        ),
        pytest.param(
            "debian",
            [Kernel("6.1.0-18-amd64", True, "12.2.0"), Kernel("6.1.0-28-amd64", False, "12.2.0")],
            [
                "linux-headers-6.1.0-18-amd64",
                "linux-image-amd64",
                "linux-image-amd64-dbg",
                "linux-image-6.1.0-18-amd64",
            ],
            "12",
            Needs(
                ["linux-headers-6.1.0-18-amd64", "linux-headers-6.1.0-28-amd64", "linux-headers-amd64"],
                newer("linux-image-amd64"),
            ),
            id="debian-12-running-and-next",
        ),
        pytest.param(
            "debian",
            [Kernel("6.6.12-mine", True)],
            ["linux-image-amd64"],
            "12",
            Needs([]),
            id="a-kernel-of-ones-own-with-its-headers",
        ),
        pytest.param(
            "ubuntu",
            [Kernel("6.8.0-45-generic", False, "13.2.0")],
            ["linux-image-generic"],
            "13.2.0",
            Needs(["linux-headers-6.8.0-45-generic", "linux-headers-generic"], newer("linux-image-generic")),
            id="ubuntu-24.04",
        ),
        pytest.param(
            "ubuntu",
            [Kernel("6.8.0-45-generic", False, "12.3.0")],
            ["linux-image-generic-hwe-22.04"],
            "11",
            Needs(
                ["linux-headers-6.8.0-45-generic", "gcc-12", "linux-headers-generic-hwe-22.04"],
                newer("linux-image-generic"),
            ),
            id="jammy-hwe-wants-gcc-12-where-gcc-is-11",
        ),
        pytest.param(
            "ubuntu",
            [Kernel("6.8.0-1017-aws", True, "12.3.0")],
            ["linux-headers-6.8.0-1017-aws", "linux-image-aws"],
            "",
            Needs(["linux-headers-6.8.0-1017-aws", "gcc-12", "linux-headers-aws"]),
            id="ubuntu-aws-with-headers-and-no-compiler",
        ),
        pytest.param(
            "el",
            [Kernel("5.14.0-427.13.1.el9_4.x86_64", False, "11.4.1")],
            [],
            "11",
            Needs(["kernel-devel=5.14.0-427.13.1.el9_4"], newer("kernel", "dnf")),
            id="el-9.4",
        ),
        pytest.param(
            "el",
            [Kernel("5.14.0-427.13.1.el9_4.aarch64+64k", False), Kernel("5.14.0-503.el9.x86_64+rt", False)],
            [],
            "",
            Needs(
                ["kernel-64k-devel=5.14.0-427.13.1.el9_4", "kernel-rt-devel=5.14.0-503.el9"],
                newer("kernel", "dnf"),
            ),
            id="el-variants",
        ),
        pytest.param(None, [Kernel("6.1", True)], [], "", Needs([]), id="a-system-unknown-with-headers"),
    ],
)
def test_packages(kind: Any, kernels: Any, installed: Any, compiler: str, expected: Needs) -> None:
    assert needs(kind, kernels, installed, compiler) == expected


def test_a_system_whose_names_are_unknown() -> None:
    with pytest.raises(TargetError) as caught:
        needs(None, [Kernel("6.1.0-arch1-1", False)], [], "")
    assert caught.value.message == (
        "the headers of kernel 6.1.0-arch1-1 are missing, and this system's names for them are not known"
    )
    assert caught.value.hint == f"install them, or {OVERRIDE}"


@pytest.mark.parametrize(
    ("ident", "like", "expected"),
    [
        ("debian", [], "debian"),
        ("ubuntu", ["debian"], "ubuntu"),
        ("linuxmint", ["ubuntu", "debian"], "ubuntu"),
        ("pop", ["ubuntu", "debian"], "ubuntu"),
        ("rocky", ["rhel", "centos", "fedora"], "el"),
        ("ol", ["fedora"], "el"),
        ("fedora", [], "el"),
        ("arch", [], None),
    ],
)
def test_families(ident: str, like: list[str], expected: str | None) -> None:
    assert family(ident, like) == expected


@pytest.mark.parametrize(("version", "expected"), [("9.4", "9"), ("8.10", "8"), ("9", "9"), ("10.0", "10")])
def test_9_4_is_el_9(version: str, expected: str) -> None:
    assert major(version) == expected


@pytest.mark.parametrize(
    ("release", "kind"),
    [
        ("6.12.57+deb13-cloud-amd64", "cloud-amd64"),
        ("6.1.0-18-amd64", "amd64"),
        ("6.1.0-18-rt-amd64", "rt-amd64"),
        ("6.12.9+bpo-arm64", "arm64"),
        ("6.8.0-45-generic", "generic"),
        ("6.8.0-1017-aws", "aws"),
        ("6.8.0-45-lowlatency-64k", "lowlatency-64k"),
        ("6.6.12", ""),
    ],
)
def test_kinds_of_kernels(release: str, kind: str) -> None:
    assert flavour(release) == kind


def test_kernels_are_compared_as_versions() -> None:
    # As texts 6.1.0-9 comes after 6.1.0-18, and 6.8 after 6.14.
    assert versions.newest(["6.1.0-9-amd64", "6.1.0-18-amd64"]) == "6.1.0-18-amd64"
    assert versions.newest(["6.8.0-45-generic", "6.14.0-2-generic"]) == "6.14.0-2-generic"
