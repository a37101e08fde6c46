"""Static members: the pure ones of .NET, and those that a test registers."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_EVEN, Decimal

from tests.powershell import coercion, formats, members, regexes
from tests.powershell.coercion import is_null, number, text, type_key
from tests.powershell.members import Host
from tests.powershell.syntax import Unsupported
from tests.powershell.values import (
    INT_HIGH,
    INT_LOW,
    LONG_HIGH,
    Long,
    Object,
    TypeName,
    Version,
    failed,
    to_shell,
)


def _round(value: object, places: object = 0) -> float:
    """Halves go to the even neighbour."""
    factor = 10.0 ** coercion.integer(places)
    return float(Decimal(number(value) * factor).quantize(Decimal(1), ROUND_HALF_EVEN)) / factor


def _larger(one: object, two: object) -> object:
    return _of_two(one, two, max)


def _smaller(one: object, two: object) -> object:
    return _of_two(one, two, min)


def _of_two(one: object, two: object, choose: Callable[..., int | float]) -> object:
    chosen = choose(number(one), number(two))
    if isinstance(number(one), int) and isinstance(number(two), int):
        return Long(chosen) if isinstance(one, Long) or isinstance(two, Long) else chosen
    return float(chosen)


def _absolute(value: object) -> object:
    given = number(value)
    return Long(abs(given)) if isinstance(given, Long) else abs(given)


def _joined(separator: object, *values: object) -> str:
    given = values[0] if len(values) == 1 and isinstance(values[0], list) else list(values)
    return text(separator).join(text(one) for one in given)


def _formatted(template: object, *values: object) -> str:
    given = values[0] if len(values) == 1 and isinstance(values[0], list) else list(values)
    return formats.composed(text(template), given)


_PURE: dict[str, Callable[..., object]] = {
    "math::floor": lambda value: float(math.floor(number(value))),
    "math::ceiling": lambda value: float(math.ceil(number(value))),
    "math::truncate": lambda value: float(math.trunc(number(value))),
    "math::round": _round,
    "math::max": _larger,
    "math::min": _smaller,
    "math::abs": _absolute,
    "math::pow": lambda base, power: float(number(base)) ** number(power),
    "string::isnullorempty": lambda value: is_null(value) or text(value) == "",
    "string::isnullorwhitespace": lambda value: is_null(value) or not text(value).strip(),
    "string::join": _joined,
    "string::format": _formatted,
    "regex::escape": lambda value: regexes.escape(text(value)),
    "char::isdigit": lambda value: text(value).isdecimal(),
    "version::new": lambda *parts: Version(_parts([coercion.integer(part) for part in parts])),
}
_VALUES: dict[str, object] = {
    "environment::newline": "\r\n", "string::empty": "", "int::maxvalue": INT_HIGH, "int::minvalue": INT_LOW,
    "long::maxvalue": Long(LONG_HIGH),
}  # fmt: skip
# Members of enumerations go by their names.
_NAMES = ("stringcomparison::", "stringsplitoptions::", "text.regularexpressions.regexoptions::")
_OPTIONS = {"none": 0, "singleline": re.DOTALL, "multiline": re.MULTILINE}


def _parts(given: list[int]) -> tuple[int, int, int, int]:
    if not 2 <= len(given) <= 4:
        raise Unsupported(f"[version]::new with {len(given)} parts")
    padded = [*given, *[-1] * (4 - len(given))]
    return padded[0], padded[1], padded[2], padded[3]


class Statics:
    """Static members by `Type::Member`, the test's before the built-in ones."""

    def __init__(self, registered: Mapping[str, object]) -> None:
        self._registered = {self._key(*name.split("::", 1)): value for name, value in registered.items()}

    @staticmethod
    def _key(type_name: str, member: str) -> str:
        return f"{type_key(type_name)}::{member.lower()}"

    def get(self, kind: TypeName, member: str) -> object:
        key = self._key(kind.name, member)
        for known in (self._registered, _VALUES):
            if key in known and not callable(known[key]):
                return to_shell(known[key])
        if key.startswith(_NAMES):
            return member
        raise Unsupported(f"the static member [{kind.name}]::{member}, which no test registered")

    def put(self, kind: TypeName, member: str, value: object) -> None:
        key = self._key(kind.name, member)
        if key not in self._registered:
            raise Unsupported(f"setting the static member [{kind.name}]::{member}, which no test registered")
        self._registered[key] = value

    def call(self, kind: TypeName, member: str, arguments: list[object], host: Host) -> object:
        key = self._key(kind.name, member)
        known = self._registered.get(key)
        if callable(known):
            return to_shell(known(*arguments))
        if key.startswith("regex::") and key != "regex::escape":
            return _regex(member.lower(), arguments, host)
        if key in _PURE:
            try:
                return _PURE[key](*arguments)
            except TypeError as error:
                raise Unsupported(
                    f"[{kind.name}]::{member} with {len(arguments)} arguments: {error}"
                ) from error
        if member.lower() == "new" and kind.name.lower().endswith("exception") and len(arguments) <= 1:
            message = text(arguments[0]) if arguments else f"Exception of type '{kind.name}' was thrown."
            return Object({"Message": message}, f"System.{kind.name.removeprefix('System.')}")
        raise Unsupported(f"the static method [{kind.name}]::{member}, which no test registered")


def _regex(member: str, arguments: list[object], host: Host) -> object:
    """[regex]::Match and its kind: input, pattern, then what the method wants, then options."""
    wanted = 3 if member == "replace" else 2
    ignore_case, flags = False, 0
    if len(arguments) == wanted + 1:
        names = (
            arguments[wanted] if isinstance(arguments[wanted], list) else text(arguments[wanted]).split(",")
        )
        assert isinstance(names, list)
        for name in names:
            low = text(name).strip().lower()
            if low == "ignorecase":
                ignore_case = True
            elif low in _OPTIONS:
                flags |= _OPTIONS[low]
            else:
                raise Unsupported(f"the option {name} of a regular expression")
    elif len(arguments) != wanted:
        raise Unsupported(f"[regex]::{member} with {len(arguments)} arguments")
    if is_null(arguments[0]):
        raise failed("Value cannot be null. Parameter name: input", "System.ArgumentNullException")
    compiled = regexes.compiled(text(arguments[1]), ignore_case=ignore_case, options=flags)
    return members.pattern(compiled, member, [text(arguments[0]), *arguments[2:wanted]], host)
