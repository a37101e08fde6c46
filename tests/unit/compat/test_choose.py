"""Which profile a box gets that nobody asked anything of, and whose reasons are told when none will do."""

from __future__ import annotations

from typing import Any

import pytest

from provisioner.compat.choose import choose
from provisioner.compat.described import described
from provisioner.compat.outline import Terms
from provisioner.compat.request import Settings

BF16, NF4, CPU = "autoglm-phone-9b", "autoglm-phone-9b-nf4", "gemma3-270m"


@pytest.mark.parametrize(
    ("words", "terms", "profile", "refused"),
    [
        ({"gpu": "RTX 4090", "driver": "580.65.06"}, Terms(), BF16, []),
        ({"gpu": "RTX 4070", "driver": "580.65.06"}, Terms(), NF4, [BF16]),
        ({"gpu": "RTX 3050", "driver": "580.65.06"}, Terms(), CPU, [BF16, NF4]),
        ({"gpu": "RTX 4090", "driver": "none"}, Terms(), BF16, []),
        ({"gpu": "RTX 4090", "driver": "none"}, Terms(scope="user"), CPU, [BF16, NF4]),
        ({"gpu": "none"}, Terms(), CPU, [BF16, NF4]),
    ],
)
def test_the_best_that_can_be_had(
    words: dict[str, Any], terms: Terms, profile: str, refused: list[str]
) -> None:
    choice = choose(described(os="ubuntu24.04", memory="64GB", **words), Settings(), terms)
    assert choice.outline.possible
    assert (choice.profile.name, [one.ask.profile.name for one in choice.refused]) == (profile, refused)


@pytest.mark.parametrize(
    ("words", "terms", "profile", "first"),
    [
        ({"gpu": "RTX 5090"}, Terms(cuda="12.4"), BF16, "RTX 5090 here"),
        ({"gpu": "none"}, Terms(require_gpu=True), CPU, "no NVIDIA GPU found"),
        # A machine that builds: what is wrong is the toolkit, and no profile mends that.
        ({"gpu": "none", "os": "debian13"}, Terms(cuda="12.8"), CPU, "Debian GNU/Linux 13 (trixie) here"),
        ({"gpu": "RTX 4090", "memory": "512MB"}, Terms(), CPU, "0.5 GB of memory here"),
    ],
)
def test_whose_reasons_are_told(words: dict[str, Any], terms: Terms, profile: str, first: str) -> None:
    choice = choose(described(**{"os": "ubuntu24.04", "memory": "64GB"} | words), Settings(), terms)
    assert not choice.outline.possible
    assert (choice.profile.name, choice.outline.chains[0][0].text) == (profile, first)


def test_an_environment_that_cannot_be_had_is_answered_with_another_and_the_reason() -> None:
    box = described(os="ubuntu24.04", memory="128GB", gpu="GB10")
    assert box.os.arch == "aarch64"
    found = choose(box, Settings(), Terms()).outline
    assert (found.possible, found.ask.profile.environment.lock) == (True, "transformers-cuda13")
    (note,) = [note for note in found.notes if note.startswith("the environment ")]
    assert note.startswith("the environment transformers-cuda13, not transformers-cuda: aarch64 here → ")
    named = choose(box, Settings(profile=BF16), Terms(own_lock=True)).outline
    assert not named.possible


def test_a_machine_that_the_usual_environment_serves_is_told_of_no_other() -> None:
    box = described(os="ubuntu24.04", memory="64GB", gpu="RTX 4090", arch="x86_64")
    found = choose(box, Settings(), Terms()).outline
    assert found.ask.profile.environment.lock == "transformers-cuda"
    assert not any(note.startswith("the environment ") for note in found.notes)
