"""Headers as the formats' own packages read them: tests/data/formats/make.py recorded their words."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from provisioner.target.runtime.formats import Header, gguf, is_weights, read_header
from provisioner.target.runtime.formats.header import WINDOW, Array

DATA = Path(__file__).parents[4] / "data/formats"
SAID = json.loads((DATA / "said.json").read_text())


def rows(header: Header) -> list[list[Any]]:
    return [[t.name, t.dtype, list(t.shape), t.offset, t.nbytes] for t in header.tensors]


@pytest.mark.parametrize("name", ["little.gguf", "big.gguf"])
def test_gguf_as_its_own_package_reads_it(name: str) -> None:
    with (DATA / name).open("rb") as file:
        header = read_header(file)
        metadata = {
            key: gguf.values(file, header, value) if isinstance(value, Array) else value
            for key, value in header.metadata.items()
        }
    assert rows(header) == SAID[name]["tensors"]
    assert metadata == SAID[name]["metadata"]
    assert (header.format, header.truncation) == ("gguf", None)


def test_an_array_is_known_by_its_place() -> None:
    content = (DATA / "little.gguf").read_bytes()
    tokens = read_header(io.BytesIO(content)).metadata["tokenizer.ggml.tokens"]
    assert (tokens.type, tokens.length) == ("text", 4)
    encoded = content[tokens.offset : tokens.offset + tokens.nbytes]
    assert encoded == b"".join(
        len(text.encode()).to_bytes(8, "little") + text.encode() for text in ("<s>", "</s>", "你好", "a\nb")
    )


def test_safetensors_as_its_own_package_reads_it() -> None:
    content = (DATA / "plain.safetensors").read_bytes()
    header = read_header(io.BytesIO(content))
    said = SAID["plain.safetensors"]
    assert {
        t.name: [t.dtype, list(t.shape), content[t.offset : t.offset + t.nbytes].hex()]
        for t in header.tensors
    } == said["tensors"]
    assert header.metadata == said["metadata"]
    assert (header.format, header.end, header.size) == ("safetensors", len(content), len(content))


class Remote(io.BytesIO):
    """Counts what is asked of it: each read is a request."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.asked: list[int] = []

    def read(self, size: int | None = -1) -> bytes:
        self.asked.append(size or 0)
        return super().read(size)


@pytest.mark.parametrize("name", ["little.gguf", "plain.safetensors"])
def test_a_remote_header_takes_few_reads_and_no_data(name: str) -> None:
    whole = (DATA / name).read_bytes()
    end = read_header(io.BytesIO(whole)).data
    remote = Remote(whole[:end])
    header = read_header(remote, len(whole))
    assert header == read_header(io.BytesIO(whole))
    assert len(remote.asked) <= 3
    assert max(remote.asked) <= WINDOW


@pytest.mark.parametrize("name", ["little.gguf", "big.gguf", "plain.safetensors"])
def test_a_file_that_ends_early_has_a_header_and_says_how_much_is_missing(name: str) -> None:
    content = (DATA / name).read_bytes()
    header = read_header(io.BytesIO(content[:-5]))
    assert header.tensors == read_header(io.BytesIO(content)).tensors
    assert header.truncation == "ends 5 B before its last tensor does"
    assert (
        header._replace(size=header.end - 12_000_000).truncation == "ends 12 MB before its last tensor does"
    )
    # More than enough is no truncation.
    assert read_header(io.BytesIO(content + bytes(64))).truncation is None


def test_names_of_weights() -> None:
    names = ["a.gguf", "b/model-00001-of-00002.safetensors", "model.safetensors.index.json", "m.bin", "gguf"]
    assert [is_weights(name) for name in names] == [True, True, False, False, False]
