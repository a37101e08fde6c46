"""Headers of GGUF files, versions 2 and 3, either byte order: key-values, then a table of tensors.

Arrays (a tokenizer is several of 250,000 entries) are walked over, and kept as `Array`: where they are, so
that they can be digested, or read with `values`.
"""

from __future__ import annotations

import struct
from typing import Any, BinaryIO, Dict, List, Optional, Tuple

from .header import LARGEST, Array, BadHeader, Cursor, Header, Tensor, elements_of, shown, size_of

MAGIC = b"GGUF"
LIMIT = 64 << 20  # bytes of header: several times the largest tokenizer known
ALIGNMENT = 32
DIMENSIONS = 8  # ggml itself has four
NESTED = 4
LONGEST_TEXT = 64 << 20

# The numbers of ggml's types, with (values a block, bytes a block): ggml.h, and the gguf package's constants.
TYPES: Dict[int, Tuple[str, int, int]] = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 9: ("Q8_1", 32, 40), 10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110), 12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210),
    15: ("Q8_K", 256, 292), 16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50), 20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110), 22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136), 24: ("I8", 1, 1), 25: ("I16", 1, 2), 26: ("I32", 1, 4), 27: ("I64", 1, 8),
    28: ("F64", 1, 8), 29: ("IQ1_M", 256, 56), 30: ("BF16", 1, 2), 34: ("TQ1_0", 256, 54),
    35: ("TQ2_0", 256, 66), 39: ("MXFP4", 32, 17), 40: ("NVFP4", 64, 36), 41: ("Q1_0", 128, 18),
}  # fmt: skip

# Of key-values: name and struct letter by number; 8 is a text, 9 an array.
SCALARS = {
    0: ("u8", "B"), 1: ("i8", "b"), 2: ("u16", "H"), 3: ("i16", "h"), 4: ("u32", "I"), 5: ("i32", "i"),
    6: ("f32", "f"), 7: ("bool", "?"), 10: ("u64", "Q"), 11: ("i64", "q"), 12: ("f64", "d"),
}  # fmt: skip
TEXT, ARRAY = 8, 9
_BY_NAME = {**{name: number for number, (name, _) in SCALARS.items()}, "text": TEXT, "array": ARRAY}


def read(file: BinaryIO, size: Optional[int] = None) -> Header:
    """The header; `size` in bytes as in `read_header`. A file that lacks data at its end still has one."""
    size = size_of(file, size)
    walk = _Walk(Cursor(file, size, LIMIT))
    count = walk.begin()
    pairs = walk.number("u64")
    walk.room_for(pairs, 13, "its table of keys")
    metadata: Dict[str, Any] = {}
    for _ in range(pairs):
        key = walk.text("a key")
        if key in metadata:
            raise BadHeader(f"it has the key {shown(key)} twice")
        metadata[key] = walk.value(walk.number("u32"), shown(key))
    walk.room_for(count, 24, "its table of tensors")
    table = [walk.tensor() for _ in range(count)]
    alignment = metadata.get("general.alignment", ALIGNMENT)
    if type(alignment) is not int or not 1 <= alignment <= 1 << 20:
        raise BadHeader("its general.alignment is impossible")
    data = -(-walk.cursor.at // alignment) * alignment
    return Header("gguf", _placed(table, data, size), metadata, data, size)


def values(file: BinaryIO, header: Header, array: Array) -> List[Any]:
    """The entries of an array, decoded: numbers, texts or, nested, lists. A tokenizer takes some 20 MB."""
    walk = _Walk(Cursor(file, header.size, LIMIT))
    walk.begin()
    walk.cursor.at = array.offset
    return walk.values(_BY_NAME[array.type], array.length)


class _Walk:
    """Reads the format's parts one after the other."""

    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor
        self._order = "<"
        self._layouts: Dict[str, struct.Struct] = {}

    def begin(self) -> int:
        """Magic, version and byte order; the number of tensors."""
        if self.cursor.take(4, "its first bytes") != MAGIC:
            raise BadHeader("it is no GGUF file")
        raw = self.cursor.take(4, "its version")
        # A small number in one of the two orders; version 3 exists in both.
        if raw[:2] == b"\0\0":
            self._order = ">"
        (version,) = struct.unpack(self._order + "I", raw)
        if version not in (2, 3):
            raise BadHeader(f"it is GGUF version {version}; 2 and 3 are known")
        self._layouts = {name: struct.Struct(self._order + letter) for name, letter in SCALARS.values()}
        count: int = self.number("u64")
        return count

    def number(self, kind: str, what: str = "its header") -> Any:
        return self.cursor.unpack(self._layouts[kind], what)

    def room_for(self, count: int, least: int, what: str) -> None:
        """Refuses a count that the bytes left cannot hold, before anything is made for it."""
        self.cursor.require(count * least, what)

    def text(self, what: str) -> str:
        length = self.number("u64", what)
        if length > LONGEST_TEXT:
            raise BadHeader(f"{what} is a text of {length} bytes")
        return self.cursor.take(length, what).decode("utf-8", "backslashreplace")

    def value(self, kind: int, what: str) -> Any:
        """A key's value; an array as its place."""
        if kind == ARRAY:
            inner, count = self.number("u32", what), self.number("u64", what)
            begin = self.cursor.at
            self.skip(inner, count, what)
            return Array(self.kind(inner, what), count, begin, self.cursor.at - begin)
        if kind == TEXT:
            return self.text(what)
        return self.number(self.kind(kind, what), what)

    def kind(self, number: int, what: str) -> str:
        if number in (TEXT, ARRAY):
            return "text" if number == TEXT else "array"
        if number not in SCALARS:
            raise BadHeader(f"{what} has a value of the unknown type {number}")
        return SCALARS[number][0]

    def skip(self, kind: int, count: int, what: str, depth: int = 0) -> None:
        """Walks over the entries of an array: only texts and arrays must be looked at one by one."""
        if kind == TEXT:
            self.room_for(count, 8, what)
            number, cursor = self._layouts["u64"], self.cursor
            for _ in range(count):
                cursor.skip(cursor.unpack(number, what), what)
        elif kind == ARRAY:
            if depth == NESTED:
                raise BadHeader(f"{what} is nested too deeply")
            self.room_for(count, 12, what)
            for _ in range(count):
                inner, inner_count = self.number("u32", what), self.number("u64", what)
                self.skip(inner, inner_count, what, depth + 1)
        else:
            self.cursor.skip(count * self._layouts[self.kind(kind, what)].size, what)

    def values(self, kind: int, count: int, depth: int = 0) -> List[Any]:
        if kind == TEXT:
            return [self.text("a text") for _ in range(count)]
        if kind == ARRAY:
            if depth == NESTED:
                raise BadHeader("an array is nested too deeply")
            return [
                self.values(self.number("u32"), self.number("u64"), depth + 1)
                for _ in range(count)
            ]  # fmt: skip
        letter = self._order + str(count) + SCALARS[kind][1]
        return list(struct.unpack(letter, self.cursor.take(struct.calcsize(letter), "an array")))

    def tensor(self) -> Tuple[str, Tuple[int, ...], int, int]:
        """Name, shape (outermost first), number of the type, offset within the data."""
        name = self.text("a tensor's name")
        dimensions = self.number("u32")
        if dimensions > DIMENSIONS:
            raise BadHeader(f"{shown(name)} has {dimensions} dimensions")
        shape = tuple(self.number("u64") for _ in range(dimensions))[::-1]
        return name, shape, self.number("u32"), self.number("u64")


def _placed(table: List[Tuple[str, Tuple[int, ...], int, int]], data: int, size: int) -> Tuple[Tensor, ...]:
    """The tensors with their bytes, in the order of the file; none may overlap the next."""
    table.sort(key=lambda row: row[3])
    tensors: List[Tensor] = []
    names = set()
    for i, (name, shape, number, offset) in enumerate(table):
        label = shown(name)
        if name in names:
            raise BadHeader(f"it has the tensor {label} twice")
        names.add(name)
        if offset > LARGEST:
            raise BadHeader(f"{label} lies beyond any file")
        begin = data + offset
        after = data + table[i + 1][3] if i + 1 < len(table) else None
        elements = elements_of(shape, label)
        if number in TYPES:
            dtype, values_a_block, bytes_a_block = TYPES[number]
            if elements % values_a_block or (shape and shape[-1] % values_a_block):
                raise BadHeader(f"{label} has rows of {shape[-1]} values, no multiple of {values_a_block}")
            nbytes = elements // values_a_block * bytes_a_block
        else:
            # Newer than this table: it has what lies before the next tensor.
            dtype, nbytes = f"type {number}", max(0, (size if after is None else after) - begin)
        if after is not None and begin + nbytes > after:
            raise BadHeader(f"{label} overlaps {shown(table[i + 1][0])}")
        tensors.append(Tensor(name, dtype, shape, begin, nbytes))
    return tuple(tensors)
