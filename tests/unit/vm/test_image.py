"""What decides which image it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.lab import image as lab_image
from tests.lab.process import LabError
from tests.vm import image


@pytest.fixture
def wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> lab_image.Recipe:
    owner = tmp_path / "owner.key"
    owner.write_text("key")
    monkeypatch.setattr(image, "OWNER_KEY", owner)
    monkeypatch.setattr(lab_image, "configured_mirrors", lambda: ("http://mirror.example/debian", None))
    return image.recipe()


def test_the_recipe_is_the_labs_with_a_kernel(wanted: lab_image.Recipe) -> None:
    plain = lab_image.recipe("trixie", (), "http://mirror.example/debian", None)
    added = ("linux-image-amd64", "initramfs-tools", "zstd")
    assert wanted == replace(plain, packages=(*plain.packages, *added), hooks=wanted.hooks)
    assert wanted.hooks[-len(plain.hooks) :] == plain.hooks


@pytest.mark.parametrize(
    ("name", "value"),
    [("MASKED", ()), ("FILES", {}), ("SCRIPT", "true"), ("DISK_BYTES", 1), ("PEOPLE", ())],
)
def test_another_content_is_another_image(
    name: str, value: object, wanted: lab_image.Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = image.key_of(wanted)
    assert before == image.key_of(image.recipe())
    monkeypatch.setattr(image, name, value)
    assert image.key_of(wanted) != before


def test_another_owner_or_recipe_is_another_image(wanted: lab_image.Recipe, tmp_path: Path) -> None:
    keys = {image.key_of(wanted), image.key_of(replace(wanted, release="bookworm"))}
    (tmp_path / "owner.key").write_text("another")
    assert len(keys | {image.key_of(wanted)}) == 3


@pytest.mark.parametrize("kernels", [(), ("vmlinuz-1", "vmlinuz-2")])
def test_one_kernel_is_taken_and_no_guess_made(kernels: tuple[str, ...], tmp_path: Path) -> None:
    for name in (*kernels, "initrd.img-1"):
        (tmp_path / name).touch()
    with pytest.raises(LabError, match=rf"{len(kernels)} files match vmlinuz-\* in the new image"):
        image._kernel(tmp_path, image.Image(tmp_path / "made"))
