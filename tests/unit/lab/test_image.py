"""Recipes, their keys, and the mirrors read from apt."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.lab import image
from tests.lab.image import Source
from tests.lab.process import LabError

ARCHIVE = "http://mirror.example/debian"
SECURITY = "http://mirror.example/debian-security"


@pytest.mark.parametrize(
    ("index_targets", "found"),
    [
        pytest.param("", (None, None), id="no sources"),
        pytest.param(
            "http://mirror.example/debian/ bookworm main\n"
            "http://mirror.example/debian/ bookworm-updates main\n"
            "http://mirror.example/debian-security/ bookworm-security main\n",
            (ARCHIVE, SECURITY),
            id="a Debian host",
        ),
        pytest.param(
            "https://vendor.example/linux/debian bookworm stable\n"
            "https://vendor.example/apt bookworm-tools main\n"
            "http://mirror.example/debian/ bookworm main\n",
            (ARCHIVE, None),
            id="third parties that use Debian's names",
        ),
        pytest.param("http://mirror.example/ubuntu/ noble main\n", (None, None), id="no Debian host"),
        pytest.param(
            "http://mirror.example/debian bookworm contrib\nhttp://other.example/debian bookworm main\n",
            ("http://other.example/debian", None),
            id="the component that holds the system",
        ),
    ],
)
def test_mirrors(index_targets: str, found: tuple[str | None, str | None]) -> None:
    assert image.mirrors(index_targets) == found


def test_a_recipe_holds_packages_and_all_sources() -> None:
    assert image.recipe("trixie", ["python3"], ARCHIVE, SECURITY) == image.Recipe(
        "trixie",
        (*image.ESSENTIAL, "sudo", "ca-certificates", "kmod", "procps"),
        (
            Source(ARCHIVE, "trixie"),
            Source(ARCHIVE, "trixie-updates"),
            Source(SECURITY, "trixie-security"),
        ),
    )


def test_without_a_known_mirror_the_bootstrap_decides() -> None:
    assert image.recipe("trixie", (), None, SECURITY).sources == ()


@pytest.mark.parametrize(
    ("release", "without", "message"),
    [
        ("noble", (), "no such release: noble\none of: bookworm, trixie"),
        (
            "trixie",
            ("systemd", "python3", "bash"),
            "cannot leave out bash, systemd\none of: python3, sudo, ca-certificates, kmod, procps",
        ),
    ],
)
def test_bad_recipes_are_refused(release: str, without: tuple[str, ...], message: str) -> None:
    with pytest.raises(LabError) as caught:
        image.recipe(release, without, None, None)
    assert str(caught.value) == message


def test_the_key_follows_the_recipe() -> None:
    base = image.recipe("trixie", (), ARCHIVE, SECURITY)
    others = [
        image.recipe("bookworm", (), ARCHIVE, SECURITY),
        image.recipe("trixie", ("python3",), ARCHIVE, SECURITY),
        image.recipe("trixie", (), "http://other.example/debian", SECURITY),
        replace(base, hooks=(*base.hooks, "true")),
        replace(base, components=("main",)),
    ]
    keys = [recipe.key for recipe in (base, *others)]
    assert len(set(keys)) == len(keys)
    assert image.recipe("trixie", (), ARCHIVE, SECURITY).key == base.key
    assert base.tag == f"provision-lab:trixie-{base.key}"


BOOKWORM = f"""\
deb {ARCHIVE} bookworm main non-free-firmware
deb {ARCHIVE} bookworm-updates main non-free-firmware
deb {SECURITY} bookworm-security main non-free-firmware
"""
TRIXIE = f"""\
Types: deb
URIs: {ARCHIVE}
Suites: trixie trixie-updates
Components: main non-free-firmware
Signed-By: {image.KEYRING}

Types: deb
URIs: {SECURITY}
Suites: trixie-security
Components: main non-free-firmware
Signed-By: {image.KEYRING}
"""


@pytest.mark.parametrize(
    ("release", "file"),
    [
        ("bookworm", ("/etc/apt/sources.list", BOOKWORM)),
        ("trixie", ("/etc/apt/sources.list.d/debian.sources", TRIXIE)),
    ],
)
def test_sources_have_the_form_the_release_installs_with(release: str, file: tuple[str, str]) -> None:
    assert image.recipe(release, (), ARCHIVE, SECURITY).sources_file == file
