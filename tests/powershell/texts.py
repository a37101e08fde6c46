"""The methods of strings."""

from __future__ import annotations

from tests.powershell.coercion import integer, is_null, text
from tests.powershell.syntax import Unsupported
from tests.powershell.values import Char, Thrown, failed

_BLANKS = "".join(chr(code) for code in range(0x3001) if chr(code).isspace() and not 0x1C <= code <= 0x1F)
_COMPARISONS = {
    "ordinal": False, "ordinalignorecase": True, "invariantculture": False, "invariantcultureignorecase":
    True, "currentculture": False, "currentcultureignorecase": True,
}  # fmt: skip


def call(value: str, low: str, arguments: list[object], edition: str) -> object:  # noqa: C901 - one case each
    """A method of a string; case counts, other than for operators."""
    if low in ("trim", "trimstart", "trimend"):
        return _trim(value, low, arguments)
    if low == "split":
        return _split(value, arguments)
    if low in ("startswith", "endswith", "indexof", "lastindexof", "contains"):
        return _search(value, low, arguments, edition)
    match low, arguments:
        case "tostring", []:
            return value
        case (("tolower" | "tolowerinvariant"), []):
            return value.lower()
        case (("toupper" | "toupperinvariant"), []):
            return value.upper()
        case "tochararray", []:
            return [Char(one) for one in value]
        case "replace", [old, new]:
            if is_null(old) or text(old) == "":
                raise failed(
                    "String cannot be of zero length. Parameter name: oldValue", "System.ArgumentException"
                )
            return value.replace(text(old), text(new))
        case "substring", [start]:
            return _part(value, integer(start), len(value) - integer(start))
        case "substring", [start, length]:
            return _part(value, integer(start), integer(length))
        case "remove", [start]:
            return _part(value, 0, integer(start))
        case "insert", [place, new]:
            return _part(value, 0, integer(place)) + text(new) + value[integer(place) :]
        case "padleft", [width]:
            return value.rjust(integer(width))
        case "padright", [width]:
            return value.ljust(integer(width))
        case "padleft", [width, Char() | str() as filler] if len(filler) == 1:
            return value.rjust(integer(width), filler)
        case "padright", [width, Char() | str() as filler] if len(filler) == 1:
            return value.ljust(integer(width), filler)
    raise Unsupported(f"the method {low} of a string with {len(arguments)} arguments")


def _characters(arguments: list[object]) -> str:
    return "".join(
        text(one) for given in arguments for one in (given if isinstance(given, list) else [given])
    )


def _trim(value: str, low: str, arguments: list[object]) -> str:
    characters = _characters(arguments) if arguments else _BLANKS
    return {"trim": value.strip, "trimstart": value.lstrip, "trimend": value.rstrip}[low](characters)


def _split(value: str, arguments: list[object]) -> list[object]:
    separators: list[object] = []
    if arguments:
        separators = arguments[0] if isinstance(arguments[0], list) else [arguments[0]]
    if any(not isinstance(one, str) or len(one) != 1 for one in separators) or len(arguments) > 2:
        raise Unsupported("Split() by more than one character, which 5.1 and 7 do differently")
    limit = -1
    if len(arguments) == 2:
        if not isinstance(arguments[1], int):
            raise Unsupported("Split() with options")
        limit = arguments[1]
        if limit < 1:
            raise Unsupported(f"Split() into {limit} pieces")
    cuts = _characters(separators) or _BLANKS
    pieces: list[object] = []
    start = 0
    for place, one in enumerate(value):
        if one in cuts and (limit < 0 or len(pieces) < limit - 1):
            pieces.append(value[start:place])
            start = place + 1
    return [*pieces, value[start:]]


def _search(value: str, low: str, arguments: list[object], edition: str) -> object:
    if not 1 <= len(arguments) <= 2 or not isinstance(arguments[0], str):
        raise Unsupported(f"the method {low} of a string with these arguments")
    wanted, ignore_case = str(arguments[0]), False
    if len(arguments) == 2:
        name = text(arguments[1]).lower()
        if name not in _COMPARISONS or (low == "contains" and edition == "5.1"):
            raise Unsupported(f"the method {low} of a string with {text(arguments[1])!r}")
        ignore_case = _COMPARISONS[name]
    subject = value
    if ignore_case:
        subject, wanted = value.lower(), wanted.lower()
    match low:
        case "startswith":
            return subject.startswith(wanted)
        case "endswith":
            return subject.endswith(wanted)
        case "contains":
            return wanted in subject
        case "indexof":
            return subject.find(wanted)
    return subject.rfind(wanted)


def _part(value: str, start: int, length: int) -> str:
    if start < 0 or length < 0 or start + length > len(value):
        raise _outside()
    return value[start : start + length]


def _outside() -> Thrown:
    return failed(
        "Index and length must refer to a location within the string. Parameter name: length",
        "System.ArgumentOutOfRangeException",
    )
