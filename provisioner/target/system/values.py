"""Values of module parameters as modprobe takes them, checked against the type that the module declares."""

from __future__ import annotations

import re
from typing import Any, Dict, Tuple

# Of kernel/params.c: each type's smallest and largest number.
RANGES: Dict[str, Tuple[int, int]] = {
    "byte": (0, (1 << 8) - 1),
    "short": (-(1 << 15), (1 << 15) - 1),
    "ushort": (0, (1 << 16) - 1),
    "int": (-(1 << 31), (1 << 31) - 1),
    "uint": (0, (1 << 32) - 1),
    "hexint": (0, (1 << 32) - 1),
    "long": (-(1 << 63), (1 << 63) - 1),
    "ulong": (0, (1 << 64) - 1),
    "ullong": (0, (1 << 64) - 1),
}
TRUTHS = ("bool", "invbool", "bint")
YES, NO = ("1", "y", "Y", "yes", "on", "true", "True"), ("0", "n", "N", "no", "off", "false", "False")
NUMBER = re.compile(r"[+-]?(?:0[xX][0-9a-fA-F]{1,16}|0[0-7]{0,22}|[1-9][0-9]{0,19})\Z")
# modprobe's files have no way to write these within a value.
UNWRITABLE = re.compile(r"[\"\\\n\r\0]")


def worded(value: Any, kind: str) -> str:
    """The value as modprobe is to be told it. Raises ValueError with what would be right."""
    if isinstance(value, dict) or value is None:
        raise ValueError("a word or a number")
    if kind.startswith("array of "):
        parts = value if isinstance(value, list) else str(value).split(",")
        return ",".join(worded(part, kind[len("array of ") :]) for part in parts)
    if isinstance(value, list):
        if kind in TRUTHS or kind in RANGES:
            raise ValueError("one value, not a list")
        return ",".join(worded(part, kind) for part in value)
    text = ("1" if value else "0") if isinstance(value, bool) else str(value).strip()
    if kind in TRUTHS:
        return truth(text)
    if kind in RANGES:
        return number(text, kind)
    if UNWRITABLE.search(text):
        raise ValueError("a word without quotes, backslashes and line breaks")
    return text


def truth(text: str) -> str:
    """1 or 0 for a yes or a no."""
    if text in YES:
        return "1"
    if text in NO:
        return "0"
    raise ValueError("true or false")


def number(text: str, kind: str) -> str:
    """The number as it was written, once it fits."""
    low, high = RANGES[kind]
    if NUMBER.match(text):
        sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text.lstrip("+"))
        octal = len(digits) > 1 and digits[0] == "0" and digits[1] not in "xX"
        if low <= sign * (int(digits, 8) if octal else int(digits, 0)) <= high:
            return text
    raise ValueError("a whole number from %d to %d" % (low, high))


def assignment(name: str, text: str) -> str:
    """`name=value` as a line of modprobe's files has it."""
    pair = "%s=%s" % (name, text)
    return '%s="%s"' % (name, text) if re.search(r"\s", pair) else pair
