"""Names of GPUs as people write them → one card, or what to say instead."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provisioner.compat import knowledge
from provisioner.compat.cards import GIB, cards
from provisioner.errors import UsageError


def card(name: str, gib: int | None, *aliases: str) -> knowledge.Gpu:
    """A card that is only known here."""
    return knowledge.Gpu(
        name=name, capability="8.9", memory_bytes=None if gib is None else gib * GIB - GIB // 64,
        aliases=aliases, source="this test", confidence="unconfirmed",
    )  # fmt: skip


KNOWN = (
    card("GeForce RTX 4060 Ti 8GB", 8),
    card("GeForce RTX 4060 Ti 16GB", 16),
    card("GeForce RTX 4090", 24, "AD102-300"),
    card("Tesla T4", 16),
    card("A100 PCIe 80GB", 80, "A100 80GB"),
    card("A100 80GB MIG 3g.40gb", 40),
    card("A100 PCIe 40GB", 40, "A100 40GB"),
    card("H100 SXM 80GB", 80, "H100"),
    card("H100 PCIe 80GB", 80),
    card("GB10", None, "DGX Spark"),
)


PIECES = (
    "8",
    "x",
    " ",
    "RTX 4090",
    "RTX 4060 Ti",
    "H100",
    "16GB",
    "MIG",
    "+",
    ",",
    "none",
    "²",
    "×",
    "0",
    "-",
)


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(knowledge, "gpus", lambda: KNOWN)


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ("none", []),
        ("RTX 4090", ["NVIDIA GeForce RTX 4090"]),
        ("rtx4090", ["NVIDIA GeForce RTX 4090"]),
        ("NVIDIA GeForce RTX 4090", ["NVIDIA GeForce RTX 4090"]),
        ("RTX 4090 24GB", ["NVIDIA GeForce RTX 4090"]),
        ("ad102-300", ["NVIDIA GeForce RTX 4090"]),
        ("RTX 4060 Ti 16GB", ["NVIDIA GeForce RTX 4060 Ti 16GB"]),
        ("rtx-4060-ti 8 GB", ["NVIDIA GeForce RTX 4060 Ti 8GB"]),
        ("T4", ["NVIDIA Tesla T4"]),
        ("dgx spark", ["NVIDIA GB10"]),
        ("H100", ["NVIDIA H100 SXM 80GB"]),
        ("H100 80GB", ["NVIDIA H100 SXM 80GB"]),
        ("3x H100", ["NVIDIA H100 SXM 80GB"] * 3),
        ("2 RTX 4090", ["NVIDIA GeForce RTX 4090"] * 2),
        ("T4 ×2", ["NVIDIA Tesla T4"] * 2),
        ("RTX 4090 + T4", ["NVIDIA GeForce RTX 4090", "NVIDIA Tesla T4"]),
        ("A100 80GB MIG 3g.40gb", ["NVIDIA A100 80GB MIG 3g.40gb"]),
    ],
)
def test_names(said: str, names: list[str]) -> None:
    assert [one.name for one in cards(said)] == names


@pytest.mark.parametrize(
    ("said", "message", "hint"),
    [
        ("RTX 4009", "--gpu RTX 4009: no such GPU is known", "did you mean RTX 4090?"),
        (
            "RTX 4090 48GB",
            "--gpu RTX 4090 48GB: GeForce RTX 4090 has 24 GB",
            "leave the size out, or correct it",
        ),
        (
            "RTX 4060 Ti",
            "--gpu RTX 4060 Ti: several cards are called so",
            "say one of: GeForce RTX 4060 Ti 8GB, GeForce RTX 4060 Ti 16GB",
        ),
        (
            "RTX 4060 Ti 12GB",
            "--gpu RTX 4060 Ti 12GB: GeForce RTX 4060 Ti 8GB has 8 GB or 16 GB",
            "leave the size out, or correct it",
        ),
        ("GB10 16GB", "--gpu GB10 16GB: GB10 has no memory of its own", "leave the size out, or correct it"),
        (
            "T4 MIG 3g.40gb",
            "--gpu T4 MIG 3g.40gb: no such GPU is known",
            "did you mean A100 80GB MIG 3g.40gb?",
        ),
        ("99x T4", "--gpu 99x T4: 99 GPUs", "no machine has more than 64"),
        ("40x T4 + 40x H100", "--gpu 40x T4 + 40x H100: 80 GPUs", "no machine has more than 64"),
        ("0x T4", "--gpu 0x T4: names no GPU", 'say --gpu "RTX 4090", "8x H100" or none'),
        (
            "RX 7900 XTX",
            "--gpu RX 7900 XTX: no NVIDIA GPU",
            "GPUs of other makers are not used: --gpu none is the CPU route",
        ),
        ("T4 +", "--gpu T4 +: names no GPU", 'say --gpu "RTX 4090", "8x H100" or none'),
    ],
)
def test_what_names_no_card(said: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        cards(said)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_every_known_card_is_found_by_its_own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    for entry in knowledge.gpus():
        for name in (entry.name, *entry.aliases):
            assert [one.entry for one in cards(name)] == [entry], name


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=40), st.lists(st.sampled_from(PIECES), max_size=6).map("".join)))
def test_any_text_is_cards_or_a_usage_error(text: str) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(knowledge, "gpus", lambda: KNOWN)
        with contextlib.suppress(UsageError):
            assert len(cards(text)) <= 64
