"""Operators between two values. The left side says of what type the question is."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

from tests.powershell import coercion, regexes
from tests.powershell.coercion import is_null, number, text, truth
from tests.powershell.syntax import Unsupported
from tests.powershell.values import (
    INT_HIGH,
    INT_LOW,
    LONG_HIGH,
    LONG_LOW,
    Char,
    Long,
    ScriptBlock,
    Switch,
    Table,
    Thrown,
    TypeName,
    Version,
    Void,
    failed,
)

# Characters whose order is the same for every culture's comparison and for the ordinal one.
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")


def equal(left: object, right: object, *, ignore_case: bool = True, edition: str = "5.1") -> bool:
    """`-eq` between two single values."""
    if is_null(left) or is_null(right):
        return is_null(left) and is_null(right)
    if isinstance(left, Switch) or (isinstance(left, bool) and not isinstance(right, list)):
        return truth(left) == truth(right)
    if isinstance(left, str):
        if isinstance(left, Char) and not isinstance(right, str):
            raise Unsupported("a [char] compared with what is no text")
        one, other = str(left), text(right, edition)
        return one.casefold() == other.casefold() if ignore_case else one == other
    if isinstance(left, (int, float, Version)):
        if isinstance(right, list):
            return False
        try:
            return compare(left, right) == 0
        except Thrown:
            return False
    if isinstance(left, TypeName) and isinstance(right, TypeName):
        return coercion.type_key(left.name) == coercion.type_key(right.name) and left.array == right.array
    return left is right


def compare(left: object, right: object, *, ignore_case: bool = True, edition: str = "5.1") -> int:
    """Less than zero, zero or more, for -lt and its kind, and for sorting."""
    if is_null(left) or is_null(right):
        return _compare_null(left, right)
    if isinstance(left, Version):
        other = coercion.version(right)
        return (left > other) - (left < other)
    if isinstance(left, (bool, Switch, Char)):
        raise Unsupported(f"an order of {coercion.type_of(left)}s")
    if isinstance(left, str):
        return compare_text(left, text(right, edition), ignore_case=ignore_case)
    if isinstance(left, (int, float)):
        one, two = left, number(right)
        return (one > two) - (one < two)
    raise failed(f'Cannot compare "{text(left, edition)}" because it is not IComparable.')


def _compare_null(left: object, right: object) -> int:
    """$null stands between the negative numbers and 0, and before every text."""
    if is_null(left):
        return 0 if is_null(right) else -_compare_null(right, None)
    return -1 if isinstance(left, (int, float)) and left < 0 else 1


def compare_text(left: str, right: str, *, ignore_case: bool = True) -> int:
    if left == right or (ignore_case and left.casefold() == right.casefold()):
        return 0
    one, two = left.lower(), right.lower()
    if not ignore_case:
        raise Unsupported("an order of texts that heeds case")
    if not all(_orderable(some) for some in (one, two)):
        raise Unsupported(f"an order that hangs on the culture: {left!r} and {right!r}")
    return (one > two) - (one < two)


def _orderable(one: str) -> bool:
    # Dots and blanks come before every letter and digit, in each culture as in the code page.
    return all(char in _PLAIN or char in ". " for char in one)


def _whole(result: int, left: object, right: object) -> int | float:
    if isinstance(left, Long) or isinstance(right, Long):
        return Long(result) if LONG_LOW <= result <= LONG_HIGH else float(result)
    return int(result) if INT_LOW <= result <= INT_HIGH else float(result)


def add(left: object, right: object, edition: str) -> object:
    if isinstance(left, list):
        return [*left, *(right if isinstance(right, list) else [] if isinstance(right, Void) else [right])]
    if is_null(left):
        return right
    if isinstance(left, str):
        if isinstance(left, Char) and (isinstance(right, Char) or not isinstance(right, str)):
            raise Unsupported("a [char] plus what is no string")
        return str(left) + text(right, edition)
    if isinstance(left, Table) and isinstance(right, Table):
        return _merged(left, right)
    if isinstance(left, (int, float, Switch)) and not isinstance(right, list):
        one, two = number(left), number(right)
        return (
            _whole(one + two, one, two) if isinstance(one, int) and isinstance(two, int) else float(one + two)
        )
    kind, other = coercion.type_of(left), coercion.type_of(right)
    raise failed(
        f"Method invocation failed because [{kind}] does not contain a method named 'op_Addition' ({other})."
    )


def _merged(left: Table, right: Table) -> Table:
    result = Table(ordered=left.ordered)
    for key, value in [*left.items(), *right.items()]:
        if key in result:
            raise failed(
                f"Item has already been added. Key in dictionary: '{text(key)}'", "System.ArgumentException"
            )
        result.set(key, value)
    return result


def subtract(left: object, right: object, edition: str) -> object:
    one, two = number(left), number(right)
    return _whole(one - two, one, two) if isinstance(one, int) and isinstance(two, int) else float(one - two)


def multiply(left: object, right: object, edition: str) -> object:
    if isinstance(left, (str, list)) and not isinstance(left, Char):
        times = coercion.integer(right)
        if times < 0:
            raise Unsupported("something repeated less than no times")
        return left * times
    one, two = number(left), number(right)
    return _whole(one * two, one, two) if isinstance(one, int) and isinstance(two, int) else float(one * two)


def divide(left: object, right: object, edition: str) -> object:
    one, two = number(left), number(right)
    if isinstance(one, int) and isinstance(two, int):
        if two == 0:
            raise failed("Attempted to divide by zero.", "System.DivideByZeroException")
        return one / two if one % two else _whole(one // two, one, two)
    if two == 0:
        raise Unsupported("a double divided by zero")
    return one / two


def remainder(left: object, right: object, edition: str) -> object:
    one, two = number(left), number(right)
    if two == 0:
        raise failed("Attempted to divide by zero.", "System.DivideByZeroException")
    if isinstance(one, int) and isinstance(two, int):
        return _whole(int(math.copysign(abs(one) % abs(two), one)) if one else 0, one, two)
    return math.fmod(one, two)


ARITHMETIC: dict[str, Callable[[object, object, str], object]] = {
    "+": add, "-": subtract, "*": multiply, "/": divide, "%": remainder,
}  # fmt: skip


def bitwise(operator: str, left: object, right: object) -> object:
    one, two = number(left), number(right)
    if not isinstance(one, int) or not isinstance(two, int):
        raise Unsupported(f"{operator} of a double")
    result = {"-band": one & two, "-bor": one | two, "-bxor": one ^ two}[operator]
    return _whole(result, one, two)


def span(left: object, right: object) -> list[object]:
    """`1..3`, also downwards."""
    one, two = coercion.integer(left), coercion.integer(right)
    return list(range(one, two + 1) if one <= two else range(one, two - 1, -1))


# --- comparisons -------------------------------------------------------------------------------------------


def _question(name: str, ignore_case: bool, edition: str) -> Callable[[object, object], bool] | None:
    order: dict[str, Callable[[int], bool]] = {
        "lt": lambda sign: sign < 0, "le": lambda sign: sign <= 0,
        "gt": lambda sign: sign > 0, "ge": lambda sign: sign >= 0,
    }  # fmt: skip
    same = functools.partial(equal, ignore_case=ignore_case, edition=edition)
    if name == "eq":
        return same
    if name == "ne":
        return lambda left, right: not same(left, right)
    if name in order:
        return lambda left, right: order[name](compare(left, right, ignore_case=ignore_case, edition=edition))
    if name in ("like", "notlike"):
        return lambda left, right: (
            regexes.like(text(left, edition), text(right, edition), ignore_case=ignore_case)
            == (name == "like")
        )
    return None


def comparison(operator: str, left: object, right: object, edition: str = "5.1") -> object:
    """Every operator that begins with a dash, but -match and -replace, which need the shell."""
    name = operator.lstrip("-").lower()
    ignore_case = True
    if name in ("is", "isnot", "as"):
        if not isinstance(right, TypeName):
            raise Unsupported(f"-{name} with a type in a string")
        if name == "as":
            return coercion.as_type(left, right, edition)
        return coercion.is_type(left, right) == (name == "is")
    if name[0] in "ci" and name not in ("contains", "in"):
        ignore_case, name = name[0] == "i", name[1:]
    if name in ("contains", "notcontains", "in", "notin"):
        group, one = (left, right) if "contains" in name else (right, left)
        held = [] if isinstance(group, Void) else group if isinstance(group, list) else [group]
        found = any(equal(each, one, ignore_case=ignore_case, edition=edition) for each in held)
        return found != name.startswith("not")
    if name == "join":
        return text(right, edition).join(
            text(one, edition) for one in (left if isinstance(left, list) else [left])
        )
    if name == "split":
        return split(left, right, ignore_case=ignore_case, edition=edition)
    question = _question(name, ignore_case, edition)
    if question is None:
        raise Unsupported(f"the operator {operator}")
    if isinstance(left, list):
        return [one for one in left if question(one, right)]
    return question(left, right)


def split(left: object, right: object, *, ignore_case: bool, edition: str) -> list[object]:
    asked = right if isinstance(right, list) else [right]
    if not 1 <= len(asked) <= 2 or isinstance(asked[0], ScriptBlock):
        raise Unsupported("-split with options or a script block")
    pattern = regexes.as_pattern(asked[0], ignore_case=ignore_case)
    limit = coercion.integer(asked[1]) if len(asked) == 2 else 0
    pieces: list[object] = []
    for one in left if isinstance(left, list) else [left]:
        pieces += regexes.split(text(one, edition), pattern, limit)
    return pieces
