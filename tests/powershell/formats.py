"""`-f` and the formats of numbers, as an English Windows writes them."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal

from tests.powershell.coercion import text
from tests.powershell.syntax import Unsupported
from tests.powershell.values import Thrown, failed

_PIECE = re.compile(r"\{\{|\}\}|\{(\d+)(?:,(-?\d+))?(?::([^{}]*))?\}|[{}]")


def composed(template: str, values: list[object], edition: str = "5.1") -> str:
    """`template -f values`."""

    def one(found: re.Match[str]) -> str:
        whole = found.group()
        if whole in ("{{", "}}"):
            return whole[0]
        if found[1] is None:
            raise _bad("Input string was not in a correct format.")
        if int(found[1]) >= len(values):
            raise _bad(
                "Index (zero based) must be greater than or equal to zero and less than the size of the "
                "argument list."
            )
        shown = formatted(values[int(found[1])], found[3] or "", edition)
        width = int(found[2] or 0)
        return shown.ljust(-width) if width < 0 else shown.rjust(width)

    return _PIECE.sub(one, template)


def _bad(why: str) -> Thrown:
    return failed(f"Error formatting a string: {why}", "System.Management.Automation.RuntimeException")


def formatted(value: object, how: str, edition: str = "5.1") -> str:
    """One value in one format."""
    if not how:
        return text(value, edition)
    if isinstance(value, (str, bool)) or not isinstance(value, (int, float)):
        if isinstance(value, (str, bool)) or value is None:
            return text(value, edition)  # .NET ignores the format where the type knows none
        raise Unsupported(f"the format {how!r} of a {type(value).__name__}")
    if not (found := re.fullmatch(r"([NnFfDdXx])(\d*)", how)):
        return _custom(value, how, edition)
    letter, digits = found[1], int(found[2]) if found[2] else None
    if letter in "Dd":
        if isinstance(value, float):
            raise _bad("Format specifier was invalid.")
        return f"{'-' if value < 0 else ''}{abs(value):0{digits or 1}d}"
    if letter in "Xx":
        if isinstance(value, float) or value < 0:
            raise Unsupported(f"the format {how!r} of {value}")
        return f"{value:0{digits or 1}{letter}}"
    places = 2 if digits is None else digits
    rounded = _rounded(value, places, edition)
    return f"{rounded:,.{places}f}" if letter in "Nn" else f"{rounded:.{places}f}"


def _rounded(value: float, places: int, edition: str) -> Decimal:
    """.NET Framework rounds the fifteen digits that it shows; later ones round the number itself."""
    exact = Decimal(f"{value:.15g}") if edition == "5.1" and isinstance(value, float) else Decimal(value)
    rounded = exact.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    if rounded == 0 and exact < 0:
        raise Unsupported(f"how {value} rounds to nothing: with or without its sign")
    return rounded


def _custom(value: float, how: str, edition: str) -> str:
    """0.0, 00 and their like."""
    if not (found := re.fullmatch(r"(0+|#)(?:\.(0*)(#*))?", how)) or value < 0:
        raise Unsupported(f"the format {how!r} of {value}")
    fixed, optional = len(found[2] or ""), len(found[3] or "")
    shown = f"{_rounded(value, fixed + optional, edition):.{fixed + optional}f}"
    whole, _, rest = shown.partition(".")
    if found[1] == "#":
        whole = whole.lstrip("0")
    kept = rest[:fixed] + rest[fixed:].rstrip("0")
    return whole.zfill(len(found[1]) if found[1] != "#" else 0) + (f".{kept}" if kept else "")
