"""Properties and methods of values."""

from __future__ import annotations

import re
from typing import Protocol

from tests.powershell import coercion, formats, regexes, texts
from tests.powershell.coercion import is_null, text
from tests.powershell.syntax import Unsupported
from tests.powershell.values import (
    VOID,
    BoundParameters,
    ErrorRecord,
    Groups,
    Object,
    PropertyList,
    ScriptBlock,
    Switch,
    Table,
    TypeName,
    Version,
    View,
    collected,
    failed,
    to_shell,
)

_FULL_NAMES = {
    "string": "String", "int": "Int32", "long": "Int64", "double": "Double", "bool": "Boolean", "char":
    "Char", "array": "Object[]", "version": "Version", "hashtable": "Collections.Hashtable",
    "ordereddictionary": "Collections.Specialized.OrderedDictionary", "pscustomobject":
    "Management.Automation.PSCustomObject",
}  # fmt: skip
# Objects of .NET that have more properties than are shown here: another name is a refusal, not $null.
_PARTIAL = ("text.regularexpressions.", "management.automation.")


class Host(Protocol):
    """What members need of the shell."""

    edition: str

    @property
    def strict(self) -> int: ...

    def call_block(self, block: ScriptBlock, arguments: list[object]) -> object: ...


class _Missing:
    pass


_MISSING = _Missing()


def get(value: object, name: str, host: Host) -> object:
    """`value.name`."""
    found = _property(value, name, host)
    if not isinstance(found, _Missing):
        return found
    if isinstance(value, list):
        results = [one for one in (_each(element, name, host) for element in value) if one is not _MISSING]
        if results:
            return collected(
                [inner for one in results for inner in (one if isinstance(one, list) else [one])]
            )
    elif name.lower() in ("count", "length") and host.strict < 2:
        if is_null(value):
            return 0
        # 5.1 forgets the count of a single object that is a PSCustomObject.
        return None if isinstance(value, Object) and host.edition == "5.1" else 1
    if host.strict >= 2:
        raise failed(
            f"The property '{name}' cannot be found on this object. Verify that the property exists.",
            "System.Management.Automation.PropertyNotFoundException",
        )
    return None


def _each(element: object, name: str, host: Host) -> object:
    if isinstance(element, list):
        raise Unsupported(f"the property {name} of arrays in an array")
    return _property(element, name, host)


def _property(value: object, name: str, host: Host) -> object:
    low = name.lower()
    if is_null(value):
        return _MISSING
    if low == "psobject":
        if not isinstance(value, Object):
            raise Unsupported(f".PSObject of a {coercion.type_of(value)}")
        return Object({"Properties": PropertyList(value)}, "management.automation.psobject")
    if isinstance(value, (list, str)):
        return len(value) if low == "length" or (low == "count" and isinstance(value, list)) else _MISSING
    if isinstance(value, Table):
        if name in value:
            return value.get(name)
        own = {"count": len(value), "keys": View(value, value.keys()), "values": View(value, value.values())}
        return own.get(low, _MISSING)
    if isinstance(value, Object):
        return _object_property(value, name)
    if isinstance(value, ErrorRecord):
        return _error_property(value, low)
    if isinstance(value, Version):
        parts = ("major", "minor", "build", "revision")
        return value.parts[parts.index(low)] if low in parts else _MISSING
    if isinstance(value, Switch):
        return value.present if low == "ispresent" else _MISSING
    if isinstance(value, (TypeName, re.Pattern, ScriptBlock)):
        raise Unsupported(f"the property {name} of a {coercion.type_of(value)}")
    return _MISSING


def _object_property(value: Object, name: str) -> object:
    if name in value.properties:
        return value.properties.get(name)
    if value.type_name.lower().startswith(_PARTIAL):
        raise Unsupported(f"the property {name} of a {value.type_name}")
    return _MISSING


def _error_property(value: ErrorRecord, low: str) -> object:
    if low == "exception":
        return Object({"Message": value.message}, value.type_name)
    if low == "invocationinfo":
        return Object({"ScriptLineNumber": value.line}, "management.automation.invocationinfo")
    if low == "targetobject":
        return value.target
    raise Unsupported(f"the property {low} of an error record")


def put(value: object, name: str, new: object, host: Host) -> None:
    """`value.name = new`."""
    if isinstance(value, Table):
        value.set(name, new)
    elif isinstance(value, Object) and (name in value.properties):
        value.properties.set(name, new)
    elif isinstance(value, Object) or is_null(value):
        raise failed(
            f"The property '{name}' cannot be found on this object. Verify that the property exists and can "
            "be set."
        )
    else:
        raise Unsupported(f"setting {name} of a {coercion.type_of(value)}")


def index(value: object, key: object, host: Host) -> object:
    """`value[key]`."""
    if is_null(value):
        raise failed("Cannot index into a null array.")
    if isinstance(key, list):
        if isinstance(value, Table):
            return [value.get(one) for one in key]
        return [index(value, one, host) for one in key]
    if isinstance(value, Table):
        if value.ordered and isinstance(key, int):
            return value.values()[key] if -len(value) <= key < len(value) else None
        return None if is_null(key) else value.get(key)
    if isinstance(value, Groups):
        place = value.names.get(key, int(key) if key.isdecimal() else -1) if isinstance(key, str) else key
        known = isinstance(place, int) and 0 <= place < len(value)
        return value[place] if known and isinstance(place, int) else regexes.no_group()
    if isinstance(value, PropertyList) and isinstance(key, str):
        name = next((one for one, _ in value.owner if str(one).lower() == key.lower()), None)
        return (
            None
            if name is None
            else Object({"Name": name, "Value": value.owner.properties.get(name)}, "PSNoteProperty")
        )
    if isinstance(value, Object):
        raise failed(f"Unable to index into an object of type {value.type_name}.")
    if isinstance(value, (list, str)):
        return _element(value, coercion.integer(key), host)
    if isinstance(value, (int, float)):
        if key in (0, -1):
            return value
        return _outside(host)
    raise Unsupported(f"an element of a {coercion.type_of(value)}")


def _element(value: list[object] | str, position: int, host: Host) -> object:
    if not -len(value) <= position < len(value):
        return _outside(host)
    return coercion.cast(value[position], TypeName("char")) if isinstance(value, str) else value[position]


def _outside(host: Host) -> object:
    if host.strict >= 3:
        raise failed("Index was outside the bounds of the array.", "System.IndexOutOfRangeException")
    return None


def put_index(value: object, key: object, new: object) -> None:
    """`value[key] = new`."""
    if is_null(value):
        raise failed("Cannot index into a null array.")
    if isinstance(value, Table):
        if value.ordered and isinstance(key, int):
            raise Unsupported("an ordered table's element set by its place")
        value.set(key, new)
    elif isinstance(value, list) and not isinstance(value, PropertyList):
        position = coercion.integer(key)
        if not -len(value) <= position < len(value):
            raise failed("Index was outside the bounds of the array.", "System.IndexOutOfRangeException")
        value[position] = new
    else:
        raise Unsupported(f"setting an element of a {coercion.type_of(value)}")


# --- methods -----------------------------------------------------------------------------------------------


def call(value: object, name: str, arguments: list[object], host: Host) -> object:
    """`value.name(arguments)`."""
    low = name.lower()
    if is_null(value):
        raise failed("You cannot call a method on a null-valued expression.")
    if low == "gettype":
        full = _full_name(value)
        return Object({"FullName": full, "Name": full.rsplit(".", 1)[-1]}, "management.automation.type")
    if isinstance(value, Object) and low in value.methods:
        return to_shell(value.methods[low](*arguments))
    if isinstance(value, str):
        return texts.call(str(value), low, arguments, host.edition)
    if isinstance(value, Table):
        return _table(value, low, arguments)
    if isinstance(value, PropertyList):
        if low == "remove" and len(arguments) == 1:
            value.owner.properties.remove(arguments[0])
            return VOID
        raise Unsupported(f"the method {name} of .PSObject.Properties")
    if isinstance(value, list):
        return _array(value, low, arguments, host)
    if isinstance(value, re.Pattern):
        return pattern(value, low, arguments, host)
    if isinstance(value, ScriptBlock) and low == "invoke":
        return host.call_block(value, arguments)
    return _simple(value, low, arguments, host)


def _simple(value: object, low: str, arguments: list[object], host: Host) -> object:
    match low, arguments:
        case "tostring", [] if isinstance(value, (int, float, ErrorRecord, Switch, Version)):
            return text(value, host.edition)
        case "tostring", [how] if isinstance(value, (int, float)):
            return formats.formatted(value, text(how), host.edition)
        case "tobool", [] if isinstance(value, Switch):
            return value.present
    raise Unsupported(f"the method {low} of a {coercion.type_of(value)} with {len(arguments)} arguments")


def _full_name(value: object) -> str:
    kind = coercion.type_of(value)
    if kind in _FULL_NAMES:
        return f"System.{_FULL_NAMES[kind]}"
    if isinstance(value, Object):
        return value.type_name
    raise Unsupported(f"GetType() of a {kind}")


def _table(table: Table, low: str, arguments: list[object]) -> object:
    if low == "containskey" and table.ordered and not isinstance(table, BoundParameters):
        raise failed(
            "Method invocation failed because [System.Collections.Specialized.OrderedDictionary] does not "
            "contain a method named 'ContainsKey'."
        )
    match low, len(arguments):
        case "containskey" | "contains", 1:
            return arguments[0] in table
        case "add", 2:
            if arguments[0] in table:
                raise failed("Item has already been added.", "System.ArgumentException")
            table.set(*arguments)
            return VOID
        case "remove", 1:
            table.remove(arguments[0])
            return VOID
        case "getenumerator", 0:
            return [
                Object({"Key": key, "Name": key, "Value": value}, "DictionaryEntry")
                for key, value in table.items()
            ]
    raise Unsupported(f"the method {low} of a table with {len(arguments)} arguments")


def _array(value: list[object], low: str, arguments: list[object], host: Host) -> object:
    if low in ("contains", "indexof") and len(arguments) == 1:
        # .NET compares these by type and by case.
        same = [type(one) is type(arguments[0]) and one == arguments[0] for one in value]
        return any(same) if low == "contains" else (same.index(True) if True in same else -1)
    if low in (
        "foreach",
        "where",
        "getlength",
        "getvalue",
        "setvalue",
        "clone",
        "copyto",
        "getenumerator",
        "equals",
    ):
        raise Unsupported(f"the method {low} of an array")
    return collected(
        [one for element in value for one in [call(element, low, arguments, host)] if one is not VOID]
    )


def pattern(value: re.Pattern[str], low: str, arguments: list[object], host: Host) -> object:
    """A [regex]'s methods."""
    if not arguments or not isinstance(arguments[0], str) or len(arguments) > 2:
        if not (arguments and is_null(arguments[0])):
            raise Unsupported(f"the method {low} of a [regex] with {len(arguments)} arguments")
        raise failed("Value cannot be null. Parameter name: input", "System.ArgumentNullException")
    subject = str(arguments[0])
    match low, len(arguments):
        case "ismatch", 1:
            return value.search(subject) is not None
        case "match", 1:
            return regexes.match_object(value.search(subject))
        case "matches", 1:
            return [regexes.match_object(found) for found in value.finditer(subject)]
        case "split", 1:
            return regexes.split(subject, value)
        case "replace", 2:
            return replaced(value, subject, arguments[1], host)
    raise Unsupported(f"the method {low} of a [regex] with {len(arguments)} arguments")


def replaced(value: re.Pattern[str], subject: str, by: object, host: Host) -> str:
    """A replacement by a template, or by what a script block says of each match."""
    if isinstance(by, ScriptBlock):
        block = by
        return value.sub(
            lambda found: text(host.call_block(block, [regexes.match_object(found)]), host.edition), subject
        )
    return value.sub(regexes.expand(text(by, host.edition)), subject)
