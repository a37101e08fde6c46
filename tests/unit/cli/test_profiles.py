"""`provision profiles`, compared whole where a person reads it."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from provisioner import profiles
from provisioner.cli import provision

LISTED = """\
autoglm-phone-9b
  AutoGLM-Phone-9B, the model of Open-AutoGLM, BF16 through transformers on an NVIDIA GPU
  weights: about 21 GB
  needs 4 cores, 16 GB of memory, 50 GB of disk, 24 GB of VRAM
  lock transformers-cuda: resolved, not run: Linux x86-64
  licence: see the model's page, https://huggingface.co/zai-org/AutoGLM-Phone-9B
autoglm-phone-9b-multilingual
  AutoGLM-Phone-9B-Multilingual, for interfaces in English and other languages
  weights: about 21 GB
  needs 4 cores, 16 GB of memory, 50 GB of disk, 24 GB of VRAM
  lock transformers-cuda: resolved, not run: Linux x86-64
  licence: see the model's page, https://huggingface.co/zai-org/AutoGLM-Phone-9B-Multilingual
autoglm-phone-9b-nf4
  AutoGLM-Phone-9B, its weights made 4-bit (NF4) while loading, for an NVIDIA GPU with 12 GB
  weights: about 21 GB
  needs 4 cores, 16 GB of memory, 50 GB of disk, 11 GB of VRAM
  lock transformers-cuda: resolved, not run: Linux x86-64
  licence: see the model's page, https://huggingface.co/zai-org/AutoGLM-Phone-9B
gemma3-270m
  Gemma 3 270M (base), 4-bit, through llama.cpp; answers on any CPU
  weights: 253 MB
  needs 1 core, 1.0 GB of memory, 900 MB of disk, no GPU
  lock llama: run on Debian 12 and 13 (Linux x86-64); resolved, not run: Linux aarch64, macOS arm64
  licence: Gemma Terms of Use, https://ai.google.dev/gemma/terms
gemma3-270m-transformers
  the same Gemma 3 270M through transformers and torch; the road that GPU profiles take, on the CPU
  weights: 253 MB
  needs 2 cores, 4.0 GB of memory, 5.0 GB of disk, no GPU
  lock transformers-cpu: run on Debian 12 (Linux x86-64)
  licence: Gemma Terms of Use, https://ai.google.dev/gemma/terms
"""


def test_size_needs_and_licence_of_each() -> None:
    assert CliRunner().invoke(provision, ["profiles"]).output == LISTED


def test_the_document_has_every_profile_with_its_sources() -> None:
    said = CliRunner().invoke(provision, ["profiles", "--json"])
    document = json.loads(said.output)
    assert [item["name"] for item in document["profiles"]] == [
        line for line in LISTED.splitlines() if not line.startswith(" ")
    ]
    assert all(fact["source"] for item in document["profiles"] for fact in item["facts"])
    lock = document["profiles"][0]["lock"]
    assert (lock["name"], [place["ran"] for place in lock["platforms"]]) == ("transformers-cuda", [""])


def test_a_lock_of_the_users_own_is_of_unknown_standing(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = profiles.load("gemma3-270m", {"environment.lock": "./mine.txt"})
    monkeypatch.setattr(profiles, "names", lambda: ["mine"])
    monkeypatch.setattr(profiles, "load", lambda _name: mine)
    assert (
        json.loads(CliRunner().invoke(provision, ["profiles", "--json"]).output)["profiles"][0]["lock"]
        is None
    )
    assert "lock" not in CliRunner().invoke(provision, ["profiles"]).output
