"""How one type becomes another: truth, text, numbers and casts."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, Decimal

from tests.powershell.syntax import Unsupported
from tests.powershell.values import (
    INT_HIGH,
    INT_LOW,
    LONG_HIGH,
    LONG_LOW,
    Char,
    ErrorRecord,
    Long,
    Object,
    ScriptBlock,
    Switch,
    Table,
    Thrown,
    TypeName,
    Version,
    Void,
    failed,
    whole,
)

_CAST = "System.Management.Automation.PSInvalidCastException"
_WHOLE = re.compile(r"[+-]?\d+")
_HEX = re.compile(r"([+-]?)0x([0-9a-f]+)", re.IGNORECASE)
_REAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
MULTIPLIERS = {"kb": 2**10, "mb": 2**20, "gb": 2**30, "tb": 2**40, "pb": 2**50}

SHORT_NAMES = {
    "int": "int", "int32": "int", "long": "long", "int64": "long", "uint64": "long", "double": "double",
    "float": "double", "string": "string", "bool": "bool", "boolean": "bool", "char": "char", "version":
    "version", "regex": "regex", "text.regularexpressions.regex": "regex", "hashtable": "hashtable",
    "collections.hashtable": "hashtable", "pscustomobject": "pscustomobject", "psobject": "pscustomobject",
    "management.automation.pscustomobject": "pscustomobject", "scriptblock": "scriptblock",
    "management.automation.scriptblock": "scriptblock", "switch": "switch", "array": "array",
    "management.automation.switchparameter": "switch", "object": "object", "void": "void", "ordered":
    "ordered", "exception": "exception", "management.automation.errorrecord": "errorrecord",
    "collections.specialized.ordereddictionary": "ordereddictionary",
}  # fmt: skip


def type_key(name: str) -> str:
    """A type's name in one form: small letters, without System."""
    low = name.lower().removeprefix("system.")
    return SHORT_NAMES.get(low, low)


def type_of(value: object) -> str:
    """The type of a value, by its short name; $null has none."""
    kinds: tuple[tuple[type, str], ...] = (
        (bool, "bool"), (Long, "long"), (int, "int"), (float, "double"), (Char, "char"), (str, "string"),
        (list, "array"), (ScriptBlock, "scriptblock"), (Switch, "switch"), (Version, "version"),
        (re.Pattern, "regex"), (ErrorRecord, "errorrecord"), (TypeName, "type"),
    )  # fmt: skip
    for kind, name in kinds:
        if isinstance(value, kind):
            return name
    if isinstance(value, Table):
        return "ordereddictionary" if value.ordered else "hashtable"
    if isinstance(value, Object):
        return type_key(value.type_name)
    raise Unsupported(f"the type of {value!r}")


def is_null(value: object) -> bool:
    return value is None or isinstance(value, Void)


def truth(value: object) -> bool:
    """What `if` asks: "False" is true, an array of one is its element."""
    if is_null(value):
        return False
    if isinstance(value, list):
        if len(value) == 1:
            # An array in an array counts by whether it holds anything.
            return bool(value[0]) if isinstance(value[0], list) else truth(value[0])
        return len(value) > 1
    if isinstance(value, Switch):
        return value.present
    if isinstance(value, Char):
        return value != "\0"
    return bool(value) if isinstance(value, (bool, int, float, str)) else True


def text(value: object, edition: str = "5.1") -> str:
    """What a string makes of a value."""
    if is_null(value):
        return ""
    if isinstance(value, Switch):
        return str(value.present)
    if isinstance(value, float):
        return _real_text(value, edition)
    if isinstance(value, list):
        return " ".join(text(one, edition) for one in value)
    if isinstance(value, Table):
        name = "Specialized.OrderedDictionary" if value.ordered else "Hashtable"
        return f"System.Collections.{name}"
    if isinstance(value, Object):
        if value.type_name.startswith("Text.RegularExpressions."):
            return text(value.properties.get("Value"))
        if value.type_name != "PSCustomObject":
            raise Unsupported(f"the text of a {value.type_name}")
        shown = "; ".join(f"{key}={text(one, edition)}" for key, one in value)
        return f"@{{{shown}}}" if len(value.properties) else ""
    if isinstance(value, ScriptBlock):
        return value.node.text.strip()[1:-1]
    if isinstance(value, re.Pattern):
        raise Unsupported("the text of a [regex]")
    if isinstance(value, TypeName):
        raise Unsupported("the text of a type")
    return str(value)


def _real_text(value: float, edition: str) -> str:
    if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124 - NaN is not itself
        raise Unsupported(f"the text of {value}")
    digits = f"{value:.15g}" if edition == "5.1" else repr(value)
    if "e" in digits:
        raise Unsupported(f"the text of a double written with an exponent: {digits}")
    return digits.removesuffix(".0")


def number(value: object) -> int | float:
    """A value where arithmetic or a comparison needs a number."""
    if is_null(value):
        return 0
    if isinstance(value, (bool, Switch)):
        return int(truth(value))
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, Char):
        return ord(value)
    if isinstance(value, str):
        return _parsed_number(value)
    raise failed(f'Cannot convert the "{text(value)}" value of type "{type_of(value)}" to a number.', _CAST)


def _parsed_number(value: str) -> int | float:
    low = value.strip().lower()
    if not low:
        return 0
    if _WHOLE.fullmatch(low):
        return whole(int(low))
    if found := _HEX.fullmatch(low):
        return whole(int(found[1] + found[2], 16))
    if _REAL.fullmatch(low):
        return float(low)
    if low[-2:] in MULTIPLIERS or re.fullmatch(r"[\d.,()$+-]+", low):
        raise Unsupported(f"a number of this form in a string: {value!r}")
    raise failed(
        f'Cannot convert value "{value}" to a number. Error: "Input string was not in a correct format."',
        _CAST,
    )


def integer(value: object, low: int = INT_LOW, high: int = INT_HIGH, name: str = "Int32") -> int:
    """[int] and [long]: halves go to the even neighbour."""
    given = number(value)
    if isinstance(given, float):
        if given != given or abs(given) > 2**63:  # noqa: PLR0124
            raise failed(f'Cannot convert value "{given}" to type "System.{name}".', _CAST)
        given = int(Decimal(given).quantize(Decimal(1), ROUND_HALF_EVEN))
    if not low <= given <= high:
        raise failed(
            f'Cannot convert value "{given}" to type "System.{name}". Error: "Value was either too large or '
            f'too small for an {name}."', _CAST,
        )  # fmt: skip
    return Long(given) if name == "Int64" else int(given)


def version(value: object) -> Version:
    if isinstance(value, Version):
        return value
    if not isinstance(value, str):
        raise Unsupported(f"[version] of a {type_of(value)}")
    parts = value.strip().split(".")
    if not 2 <= len(parts) <= 4 or not all(re.fullmatch(r"\s*\d+\s*", part) for part in parts):
        raise failed(f'Cannot convert value "{value}" to type "System.Version".', _CAST)
    numbers = [int(part) for part in parts] + [-1] * (4 - len(parts))
    return Version((numbers[0], numbers[1], numbers[2], numbers[3]))


def boolean(value: object) -> bool:
    return truth(value)


def cast(value: object, kind: TypeName, edition: str = "5.1") -> object:  # noqa: C901 - one line per type
    """`[type]value`."""
    name = type_key(kind.name)
    if kind.array:
        if is_null(value):
            return None
        return [
            cast(one, TypeName(kind.name), edition) for one in (value if isinstance(value, list) else [value])
        ]
    match name:
        case "object":
            return value
        case "void":
            return Void()
        case "string":
            return text(value, edition)
        case "bool":
            return truth(value)
        case "int" | "long":
            if isinstance(value, list):
                if len(value) != 1:
                    raise failed(f'Cannot convert the "System.Object[]" value to type "{kind.name}".', _CAST)
                value = value[0]
            return integer(value) if name == "int" else integer(value, LONG_LOW, LONG_HIGH, "Int64")
        case "double":
            return float(number(value))
        case "array":
            return value if isinstance(value, list) or is_null(value) else [value]
        case "switch":
            return Switch(truth(value))
        case "char":
            return _char(value)
        case "version":
            return None if is_null(value) else version(value)
    if is_null(value) or type_of(value) == name:
        return None if is_null(value) else value
    if name == "hashtable" and isinstance(value, Table):
        raise Unsupported("[hashtable] of an ordered table")
    if name == "pscustomobject" and isinstance(value, Table):
        return Object({text(key): one for key, one in value.items()})
    raise Unsupported(f"a cast of {type_of(value)} to [{kind.name}]")


def _char(value: object) -> Char:
    if isinstance(value, int) and not isinstance(value, bool):
        return Char(chr(value))
    if isinstance(value, str) and len(value) == 1:
        return Char(value)
    raise failed(f'Cannot convert value "{text(value)}" to type "System.Char".', _CAST)


def is_type(value: object, kind: TypeName) -> bool:
    """`-is`."""
    name = type_key(kind.name)
    if is_null(value):
        return False
    if kind.array:
        if name != "object":
            raise Unsupported(f"-is [{kind.name}[]]: arrays here do not know what they were made for")
        return isinstance(value, list)
    if name == "object":
        return True
    if name == "pscustomobject" and type_of(value) not in (
        "pscustomobject",
        "string",
        "int",
        "bool",
        "hashtable",
        "array",
    ):
        raise Unsupported(f"whether a {type_of(value)} is a [{kind.name}]")
    if name in SHORT_NAMES.values():
        return type_of(value) == name
    if name in ("collections.idictionary", "idictionary"):
        return isinstance(value, Table)
    if name in ("collections.ienumerable", "valuetype"):
        raise Unsupported(f"-is [{kind.name}]")
    return type_of(value) == name


def as_type(value: object, kind: TypeName, edition: str = "5.1") -> object:
    """`-as`: $null where the cast fails."""
    try:
        return cast(value, kind, edition)
    except Thrown:
        return None
