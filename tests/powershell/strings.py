"""What literals stand for."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.powershell.coercion import MULTIPLIERS
from tests.powershell.syntax import Node, Unsupported
from tests.powershell.values import Long, whole

_NUMBER = re.compile(
    r"(0x[0-9a-f]+|\d+|\d*\.\d+|\d+\.|(?:\d+\.?\d*|\.\d+)e[+-]?\d+)(l?)(kb|mb|gb|tb|pb)?", re.IGNORECASE
)
_RANGE = re.compile(r"(-?\d+)\.\.(-?\d+)")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "0": "\0", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_QUOTES = "\u2018\u2019\u201a\u201b\u201c\u201d\u201e"


def literal_number(node: Node) -> int | float:
    found = _NUMBER.fullmatch(node.text)
    if not found:
        raise Unsupported("a number of this form", node)
    digits, long, multiplier = found[1].lower(), found[2], MULTIPLIERS.get((found[3] or "").lower(), 1)
    if digits.startswith("0x"):
        value = int(digits, 16)
        if value > 2**31 - 1:
            raise Unsupported("a hexadecimal number that may be negative", node)
        return whole(value * multiplier)
    if digits.isdigit():
        number = int(digits) * multiplier
        return Long(number) if long else whole(number)
    return float(digits) * multiplier


def is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None


def literal_range(text: str) -> tuple[int, int] | None:
    """`1..3`, which the grammar takes for a command's name."""
    found = _RANGE.fullmatch(text)
    return (int(found[1]), int(found[2])) if found else None


def verbatim(node: Node) -> str:
    _no_curly_quotes(node)
    return node.text[1:-1].replace("''", "'")


def verbatim_here(node: Node) -> str:
    found = re.fullmatch(r"@'[ \t]*\r?\n(?:([\s\S]*?)\r?\n)?'@", node.text)
    if not found:
        raise Unsupported("a here-string of this form", node)
    return found[1] or ""


def _no_curly_quotes(node: Node) -> None:
    if any(one in node.text for one in _QUOTES):
        raise Unsupported("a typographic quote, which PowerShell takes for a plain one", node)


def pieces(node: Node) -> Iterator[str | Node]:
    """The text of a string in double quotes, and the nodes that stand for values in it."""
    raw = node.text.encode()
    here = node.kind == "expandable_here_string_literal"
    if here:
        opening = re.match(rb'@"[ \t]*\r?\n', raw)
        closing = re.search(rb'\r?\n"@$', raw)
        if not opening or not closing:
            raise Unsupported("a here-string of this form", node)
        place, end = opening.end(), max(closing.start(), opening.end())
    else:
        _no_curly_quotes(node)
        place, end = 1, len(raw) - 1
    for child in node.children:
        if child.kind in ("variable", "braced_variable", "sub_expression"):
            start, stop = child.start - node.start, child.end - node.start
            yield _unescaped(raw[place:start].decode(), node, here=here)
            if (
                child.kind == "variable"
                and not child.text.startswith("${")
                and raw[stop : stop + 1] in (b":", b"?")
            ):
                raise Unsupported(
                    "a variable before a colon or question mark in a string; write ${name}", node
                )
            yield child
            place = stop
        elif child.kind[0].isalpha():
            raise Unsupported(f"node kind '{child.kind}' in a string", node)
    yield _unescaped(raw[place:end].decode(), node, here=here)


def _unescaped(text: str, node: Node, *, here: bool) -> str:
    if re.search(r"(?<!`)(?:``)*\$[A-Za-z_({]", text):
        raise Unsupported("a variable that the grammar did not see", node)

    def one(found: re.Match[str]) -> str:
        if found.group() == '""':
            return found.group() if here else '"'
        sign = found.group()[1:]
        if sign in ("e", "u", "\n", "\r", ""):
            raise Unsupported(f"the escape {found.group()!r}", node)
        return _ESCAPES.get(sign, sign)

    return re.sub(r'`[\s\S]?|""', one, text)
