"""Headers of safetensors files: eight bytes of length, then JSON; the tensors follow without a gap.

As the format's own reader, this one refuses holes, overlaps and repeated names.
"""

from __future__ import annotations

import json
import struct
from typing import Any, BinaryIO, Dict, List, NoReturn, Optional, Tuple

from .header import LARGEST, BadHeader, Cursor, Header, Tensor, elements_of, shown, size_of

LIMIT = 100_000_000  # bytes of JSON: the limit of the format's own reader
# Longer headers must look like tables of tensors (a comma or bracket every nine bytes or so), not like
# something that is made to fill memory.
DENSE_ABOVE, DENSEST = 16 << 20, 4

BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "U16": 16, "I16": 16, "U32": 32, "I32": 32, "U64": 64, "I64": 64,
    "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8, "F16": 16, "BF16": 16, "F32": 32, "F64": 64, "C64": 64,
}  # fmt: skip


def read(file: BinaryIO, size: Optional[int] = None) -> Header:
    """The header; `size` in bytes as in `read_header`. A file that lacks data at its end still has one."""
    size = size_of(file, size)
    cursor = Cursor(file, size, LIMIT + 8)
    (length,) = struct.unpack("<Q", cursor.take(8, "the length of its header"))
    if length > LIMIT:
        raise BadHeader("it is no safetensors file: its first bytes give no length of a header")
    text = cursor.take(length, "its header")
    if text[:1] != b"{":
        raise BadHeader("it is no safetensors file: its header is not JSON")
    if length > DENSE_ABOVE and sum(map(text.count, (b",", b"[", b"{"))) > length // DENSEST:
        raise BadHeader("its header is no table of tensors")
    table = _json(text)
    metadata = table.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise BadHeader("its __metadata__ is not a table of texts")
    data = 8 + length
    tensors = sorted(
        (_tensor(name, entry, data) for name, entry in table.items()),
        key=lambda one: (one.offset, one.nbytes),
    )
    at = data
    for tensor in tensors:
        if tensor.offset != at:
            raise BadHeader(f"{shown(tensor.name)} does not begin where the tensor before it ends")
        at += tensor.nbytes
    return Header("safetensors", tuple(tensors), metadata, data, size)


def _tensor(name: str, entry: Any, data: int) -> Tensor:
    label = shown(name)
    if not isinstance(entry, dict):
        raise BadHeader(f"{label} is not described as a tensor")
    dtype: Any = entry.get("dtype")
    shape: Any = entry.get("shape")
    offsets: Any = entry.get("data_offsets")
    if not isinstance(dtype, str) or dtype not in BITS:
        raise BadHeader(f"{label} is of the unknown type {shown(str(dtype))}")
    if not _numbers(shape) or not _numbers(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise BadHeader(f"{label} has no shape, or no place in the file")
    bits = elements_of(tuple(shape), label) * BITS[dtype]
    if bits != 8 * (offsets[1] - offsets[0]):
        raise BadHeader(
            f"{label} has {offsets[1] - offsets[0]} bytes where its shape needs {(bits + 7) // 8}"
        )
    return Tensor(name, dtype, tuple(shape), data + offsets[0], offsets[1] - offsets[0])


def _numbers(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and 0 <= item <= LARGEST for item in value)


def _json(text: bytes) -> Dict[str, Any]:
    try:
        value = json.loads(
            text.decode("utf-8"),
            object_pairs_hook=_unique, parse_int=_int, parse_float=_no_number, parse_constant=_no_number,
        )  # fmt: skip
    except (ValueError, RecursionError) as error:
        raise BadHeader("its header is not JSON") from error
    if not isinstance(value, dict):
        raise BadHeader("its header is not a table")
    return value


def _unique(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise BadHeader("its header names something twice")
    try:
        "".join(table).encode("utf-8")
    except UnicodeEncodeError as error:
        raise BadHeader("its header has a name that is no text") from error
    return table


def _int(text: str) -> int:
    # Before the conversion: a number of a million digits takes minutes on an old Python.
    if len(text) > 19:
        raise BadHeader("its header holds an impossible number")
    return int(text)


def _no_number(text: str) -> NoReturn:
    raise BadHeader(f"its header holds {shown(text)} where sizes belong")
