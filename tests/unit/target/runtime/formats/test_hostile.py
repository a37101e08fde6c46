"""Headers that lie: one class of error, at once, and no memory taken on their word."""

from __future__ import annotations

import io
import json
import struct
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provisioner.target.runtime.formats import BadHeader, gguf, read_header, safetensors
from provisioner.target.runtime.formats.header import Cursor

DATA = Path(__file__).parents[4] / "data/formats"
SEEDS = [(DATA / name).read_bytes() for name in ("little.gguf", "big.gguf", "plain.safetensors")]
QUICK = settings(max_examples=100)


@contextmanager
def little_memory() -> Iterator[None]:
    """What is inside takes no more than some copies of a hostile file of a few megabytes."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


def read(content: bytes) -> None:
    """Either a header whose tensors lie where the file says, or BadHeader."""
    with little_memory():
        try:
            header = read_header(io.BytesIO(content))
        except BadHeader as error:
            if not str(error).isprintable():
                pytest.fail(f"{error!r} is nothing for a terminal")
            return
    assert all(tensor.offset >= header.data and tensor.nbytes >= 0 for tensor in header.tensors)
    assert header.end <= len(content) or header.truncation is not None


@QUICK
@given(st.sampled_from(SEEDS), st.data())
def test_any_header_with_some_bytes_changed(seed: bytes, data: st.DataObject) -> None:
    content = bytearray(seed)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, min(len(content), 900) - 1))
        new = data.draw(
            st.sampled_from([b"\0", b"\xff", b"\xff" * 8, b"\0" * 8, b"\x09\0\0\0", b"[", b'"', b"9"])
        )
        content[at : at + len(new)] = new
    read(bytes(content))


@QUICK
@given(st.sampled_from(SEEDS), st.integers(0, 900))
def test_any_header_cut_anywhere(seed: bytes, at: int) -> None:
    read(seed[:at])


@QUICK
@given(
    st.sampled_from([b"", b"GGUF\3\0\0\0", b"GGUF\0\0\0\3", b"\x40\0\0\0\0\0\0\0{"]), st.binary(max_size=200)
)
def test_any_bytes(start: bytes, rest: bytes) -> None:
    read(start + rest)


@QUICK
@given(
    st.dictionaries(
        st.text(max_size=4),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from(["dtype", "shape", "data_offsets"]), inner, max_size=3)
            ),
            max_leaves=8,
        ),
        max_size=4,
    )
)
def test_any_json(table: dict[str, object]) -> None:
    read(safe(json.dumps(table)))


def safe(text: str | bytes, data: bytes = b"") -> bytes:
    encoded = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    return struct.pack("<Q", len(encoded)) + encoded + data


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def head(tensors: int = 0, pairs: int = 0, version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, pairs)


def tensor(name: bytes, kind: int, offset: int, *shape: int) -> bytes:
    dims = struct.pack(f"<I{len(shape)}Q", len(shape), *reversed(shape))
    return text(name) + dims + struct.pack("<IQ", kind, offset)


def entry(dtype: str, shape: object, offsets: object) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


HUGE = 1 << 62
NO_LENGTH = "it is no safetensors file: its first bytes give no length of a header"
NO_PLACE = "a has no shape, or no place in the file"
BAD = {
    "nothing": (b"", "the file ends inside the length of its header"),
    "another format": (b"PK\3\4" + bytes(60), "the file ends inside its header"),
    "a page": (b"<!DOCTYPE html><html></html>", NO_LENGTH),
    "no JSON": (safe("x" * 20), "it is no safetensors file: its header is not JSON"),
    "cut JSON": (safe("{" * 20), "its header is not JSON"),
    "deep JSON": (safe('{"a":' * 200_000), "its header is not JSON"),
    "not UTF-8": (safe(b'{"\xff": 1}'), "its header is not JSON"),
    "digits": (safe('{"a":{"shape":[' + "9" * 5_000_000 + "]}}"), "its header holds an impossible number"),
    "a fraction": (safe('{"a":{"shape":[1e9]}}'), "its header holds 1e9 where sizes belong"),
    "infinity": (safe('{"a":{"shape":[Infinity]}}'), "its header holds Infinity where sizes belong"),
    "twice": (safe('{"a":1,"a":2}'), "its header names something twice"),
    "long header": (struct.pack("<Q", HUGE), NO_LENGTH),
    "missing header": (struct.pack("<Q", 90_000_000), "the file ends inside its header"),
    "filler": (safe(b"{" + b"[]," * (6 << 20)), "its header is no table of tensors"),
    "metadata": (safe('{"__metadata__": {"a": 1}}'), "its __metadata__ is not a table of texts"),
    "no tensor": (safe('{"a": []}'), "a is not described as a tensor"),
    "no type": (safe(json.dumps({"a": entry("F99", [1], [0, 4])})), "a is of the unknown type F99"),
    "no place": (safe(json.dumps({"a": entry("F32", [1], [4])})), NO_PLACE),
    "true": (safe(json.dumps({"a": entry("F32", [True], [0, 4])})), NO_PLACE),
    "negative": (safe(json.dumps({"a": entry("F32", [-1], [0, 4])})), NO_PLACE),
    "backwards": (safe(json.dumps({"a": entry("F32", [1], [4, 0])})), NO_PLACE),
    "wrong size": (
        safe(json.dumps({"a": entry("F32", [2], [0, 4])}), bytes(4)),
        "a has 4 bytes where its shape needs 8",
    ),
    "impossible": (
        safe(json.dumps({"a": entry("F32", [HUGE] * 50_000, [0, 4])})),
        "a has an impossible shape",
    ),
    "a hole": (
        safe(json.dumps({"a": entry("U8", [1], [0, 1]), "b": entry("U8", [1], [2, 3])}), bytes(3)),
        "b does not begin where the tensor before it ends",
    ),
    "overlap": (
        safe(json.dumps({"a": entry("U8", [2], [0, 2]), "b": entry("U8", [2], [1, 3])}), bytes(3)),
        "b does not begin where the tensor before it ends",
    ),
    "terminal": (safe(json.dumps({"\x1b[2J": 1})), "\\x1b[2J is not described as a tensor"),
    "gguf: version": (head(version=1), "it is GGUF version 1; 2 and 3 are known"),
    "gguf: magic only": (b"GGUF", "the file ends inside its version"),
    "gguf: tensors": (head(tensors=HUGE), "the file ends inside its table of tensors"),
    "gguf: keys": (head(pairs=HUGE), "the file ends inside its table of keys"),
    "gguf: long key": (
        head(pairs=1) + struct.pack("<Q", HUGE) + bytes(9),
        "a key is a text of 4611686018427387904 bytes",
    ),
    "gguf: cut key": (head(pairs=1) + struct.pack("<Q", 99) + bytes(9), "the file ends inside a key"),
    "gguf: type": (
        head(pairs=1) + text(b"k") + struct.pack("<I", 77),
        "k has a value of the unknown type 77",
    ),
    "gguf: array": (
        head(pairs=1) + text(b"k") + struct.pack("<IIQ", 9, 8, HUGE),
        "the file ends inside k",
    ),
    "gguf: array of numbers": (
        head(pairs=1) + text(b"k") + struct.pack("<IIQ", 9, 0, HUGE),
        "the file ends inside k",
    ),
    "gguf: array of what": (
        head(pairs=1) + text(b"k") + struct.pack("<IIQ", 9, 70, 1),
        "k has a value of the unknown type 70",
    ),
    "gguf: nested": (
        head(pairs=1) + text(b"k") + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 9 + bytes(99),
        "k is nested too deeply",
    ),
    "gguf: key twice": (
        head(pairs=2) + (text(b"k") + struct.pack("<IB", 0, 1)) * 2,
        "it has the key k twice",
    ),
    "gguf: alignment": (
        head(pairs=1) + text(b"general.alignment") + struct.pack("<II", 4, 0),
        "its general.alignment is impossible",
    ),
    "gguf: tensor twice": (
        head(tensors=2) + tensor(b"t", 0, 0, 1) + tensor(b"t", 0, 32, 1),
        "it has the tensor t twice",
    ),
    "gguf: dimensions": (
        head(tensors=1) + text(b"t") + struct.pack("<I", 1 << 31) + bytes(99),
        "t has 2147483648 dimensions",
    ),
    "gguf: shape": (
        head(tensors=1) + tensor(b"t", 0, 0, HUGE, HUGE, HUGE),
        "t has an impossible shape",
    ),
    "gguf: far": (head(tensors=1) + tensor(b"t", 0, (1 << 64) - 1, 1), "t lies beyond any file"),
    "gguf: rows": (
        head(tensors=1) + tensor(b"t", 12, 0, 4, 100),
        "t has rows of 100 values, no multiple of 256",
    ),
    "gguf: overlap": (
        head(tensors=2) + tensor(b"t", 0, 0, 64) + tensor(b"u", 0, 32, 1) + bytes(256),
        "t overlaps u",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_lie_is_called_by_name(case: str) -> None:
    content, message = BAD[case]
    with pytest.raises(BadHeader) as caught, little_memory():
        read_header(io.BytesIO(content))
    assert str(caught.value) == message


def test_a_header_may_not_be_the_whole_of_a_large_file() -> None:
    class Endless(io.BytesIO):
        """A terabyte of empty texts."""

        def seek(self, offset: int, whence: int = 0) -> int:
            return offset

        def read(self, size: int | None = -1) -> bytes:
            return bytes(size or 0)

    cursor = Cursor(Endless(), 1 << 40, 1 << 16)
    walk = gguf._Walk(cursor)
    walk._layouts = {"u64": struct.Struct("<Q")}
    with pytest.raises(BadHeader, match=r"^k goes beyond the 66 kB that a header may have$"):
        walk.skip(gguf.TEXT, 1 << 30, "k")
    # One that passes the first look is stopped at the limit, not at the end of the file.
    with pytest.raises(BadHeader, match=r"^a text goes beyond the 66 kB that a header may have$"):
        walk.values(gguf.TEXT, 1 << 20)
    assert cursor.at <= 1 << 16


def test_an_unknown_type_of_ggml_has_what_lies_before_the_next_tensor() -> None:
    table = head(tensors=2) + tensor(b"t", 99, 0, 7) + tensor(b"u", 99, 64, 7)
    begin = -(-len(table) // 32) * 32
    header = read_header(io.BytesIO(table + bytes(begin + 100 - len(table))))
    assert [(t.name, t.dtype, t.offset - begin, t.nbytes) for t in header.tensors] == [
        ("t", "type 99", 0, 64), ("u", "type 99", 64, 36),
    ]  # fmt: skip
    assert header.truncation is None


def test_every_type_of_safetensors_counts_in_bits() -> None:
    table = {"a": entry("F4", [3], [0, 1])}
    with pytest.raises(BadHeader, match=r"^a has 1 bytes where its shape needs 2$"):
        safetensors.read(io.BytesIO(safe(json.dumps(table), bytes(1))))
    table = {"a": entry("F6_E2M3", [4], [0, 3]), "b": entry("C64", [1], [3, 11])}
    assert safetensors.read(io.BytesIO(safe(json.dumps(table), bytes(11)))).truncation is None
