"""The cmdlets that only compute. What looks at a machine or changes one, a test registers."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from tests.powershell import coercion, members, operators
from tests.powershell.coercion import is_null, number, text
from tests.powershell.parameters import Argument, Given
from tests.powershell.syntax import Unsupported
from tests.powershell.values import (
    Failure,
    Long,
    Object,
    ScriptBlock,
    Table,
    Version,
    Void,
    spread,
    whole,
)

if TYPE_CHECKING:
    from tests.powershell.commands import Commands

BuiltIn = Callable[["Commands", list[object], dict[str, object], list[object]], Iterable[object]]
_DATE = re.compile(r"\d{4}-\d\d-\d\dT")


def first_only(arguments: list[Argument]) -> int | None:
    """N of `Select-Object -First N` with nothing else: what ends a pipeline early."""
    match arguments:
        case [Given("First" | "first"), wanted] if not isinstance(wanted, Given):
            return coercion.integer(wanted.value)
    return None


def _only(named: dict[str, object], *allowed: str) -> None:
    if strange := set(named) - set(allowed):
        raise Unsupported(f"the parameters {sorted(strange)} of a built-in cmdlet")


def write_output(
    shell: Commands, args: list[object], named: dict[str, object], given: list[object]
) -> list[object]:
    _only(named, "inputobject", "noenumerate")
    objects = [*args, *([named["inputobject"]] if "inputobject" in named else [])]
    if named.get("noenumerate"):
        return objects
    return [one for each in objects or given for one in (spread(each) if objects else [each])]


def out_null(
    shell: Commands, args: list[object], named: dict[str, object], given: list[object]
) -> list[object]:
    return []


def out_string(
    shell: Commands, args: list[object], named: dict[str, object], given: list[object]
) -> list[object]:
    _only(named, "inputobject", "width")
    lines = [one for each in [*args, *named.values(), *given] for one in spread(each)]
    if not all(isinstance(one, str) for one in lines):
        raise Unsupported("Out-String of what is no string")
    return ["".join(f"{one}\r\n" for one in lines)]


def written(
    shell: Commands, args: list[object], named: dict[str, object], given: list[object]
) -> list[object]:
    """Write-Host: kept line by line for the test."""
    _only(named, "object", "foregroundcolor", "backgroundcolor")
    objects = [*args, *([named["object"]] if "object" in named else []), *given]
    shown = " ".join(text(one, shell.edition) for each in objects for one in spread(each))
    shell.written += shown.split("\n")
    return []


def write_warning(
    shell: Commands, args: list[object], named: dict[str, object], given: list[object]
) -> list[object]:
    shell.written.append(f"WARNING: {text([*args, *named.values()][0], shell.edition)}")
    return []


def write_verbose(
    shell: Commands, args: list[object], named: dict[str, object], given: list[object]
) -> list[object]:
    return []


def write_error(
    shell: Commands, args: list[object], named: dict[str, object], given: list[object]
) -> list[object]:
    _only(named, "message")
    raise Failure(
        text([*args, *named.values()][0], shell.edition), "Microsoft.PowerShell.Commands.WriteErrorException"
    )


def set_strict_mode(
    shell: Commands, args: list[object], named: dict[str, object], given: list[object]
) -> list[object]:
    _only(named, "version", "off")
    if named.get("off"):
        shell.scope.strict = 0
        return []
    asked = text(named.get("version", args[0] if args else "")).lower()
    if asked not in ("latest", "1", "1.0", "2", "2.0", "3", "3.0"):
        raise Unsupported(f"Set-StrictMode -Version {asked}")
    shell.scope.strict = 3 if asked == "latest" else int(asked[0])
    return []


def join_path(
    shell: Commands, args: list[object], named: dict[str, object], given: list[object]
) -> list[object]:
    _only(named, "path", "childpath")
    rest = list(args)
    path = named.get("path", rest.pop(0) if rest else None)
    child = named.get("childpath", rest.pop(0) if rest else None)
    if rest or isinstance(path, list) or isinstance(child, list):
        raise Unsupported("Join-Path with more than two parts, which Windows PowerShell 5.1 does not know")
    if is_null(path) or text(path) == "":
        raise Failure(
            "Cannot bind argument to parameter 'Path' because it is null or empty.", terminating=True
        )
    one, two = text(path).replace("/", "\\"), text(child).replace("/", "\\")
    return [f"{one.rstrip(chr(92))}\\{two.lstrip(chr(92))}"]


def split_path(
    shell: Commands, args: list[object], named: dict[str, object], given: list[object]
) -> list[object]:
    _only(named, "path", "parent", "leaf")
    asked = [one for one in (named.get("parent"), named.get("leaf")) if isinstance(one, str)]
    path = text(named.get("path", (asked or args or [""])[0])).replace("/", "\\").rstrip("\\")
    if not re.match(r"[A-Za-z]:\\.|\\\\[^\\]+\\[^\\]+\\.", path):
        raise Unsupported(f"Split-Path of {path!r}")
    parent, _, leaf = path.rpartition("\\")
    return [leaf if named.get("leaf") else parent + ("\\" if parent.endswith(":") else "")]


# --- selecting, sorting, measuring -------------------------------------------------------------------------


def _key(shell: Commands, one: object, by: object) -> object:
    if isinstance(by, ScriptBlock):
        return shell.captured(lambda emit: shell.run_in_place(by, one, emit))
    return one if by is None else members.get(one, text(by), shell)


def select_object(
    shell: Commands, args: list[object], named: dict[str, object], given: list[object]
) -> list[object]:
    _only(named, "first", "last", "skip", "expandproperty", "property", "inputobject")
    chosen = list(given)
    if "skip" in named:
        chosen = chosen[coercion.integer(named["skip"]) :]
    if "first" in named:
        chosen = chosen[: coercion.integer(named["first"])]
    if "last" in named:
        last = coercion.integer(named["last"])
        chosen = chosen[-last:] if last else []
    if "expandproperty" in named:
        name = text(named["expandproperty"])
        for one in chosen:
            if not isinstance(one, Object) or name not in one.properties:
                raise Failure(
                    f'Property "{name}" cannot be found.', "System.Management.Automation.PSArgumentException"
                )
        return [inner for one in chosen for inner in spread(members.get(one, name, shell))]
    asked = [*args, *spread(named.get("property", Void()))]
    if not asked:
        return chosen
    names = [text(one) for each in asked for one in spread(each)]
    if any(re.search(r"[*?\[]", name) for name in names):
        raise Unsupported("Select-Object with a wildcard")
    return [Object({name: members.get(one, name, shell) for name in names}) for one in chosen]


def sort_object(
    shell: Commands, args: list[object], named: dict[str, object], given: list[object]
) -> list[object]:
    _only(named, "property", "descending", "unique")
    asked = [
        one for each in [*args, *([named["property"]] if "property" in named else [])] for one in spread(each)
    ]
    if any(isinstance(one, Table) for one in asked):
        raise Unsupported("Sort-Object with a computed property in a table")

    def compare(left: object, right: object) -> int:
        for by in asked or [None]:
            if sign := operators.compare(
                _key(shell, left, by), _key(shell, right, by), edition=shell.edition
            ):
                return -sign if named.get("descending") else sign
        return 0

    found = sorted(given, key=functools.cmp_to_key(compare))
    if not named.get("unique"):
        return found
    return [one for place, one in enumerate(found) if place == 0 or compare(found[place - 1], one) != 0]


def measure_object(
    shell: Commands, args: list[object], named: dict[str, object], given: list[object]
) -> list[object]:
    _only(named, "property", "sum", "average", "maximum", "minimum")
    by = named.get("property", args[0] if args else None)
    chosen = [one for one in given if not is_null(one)]
    asked = any(named.get(one) for one in ("sum", "average", "maximum", "minimum"))
    numbers = [float(number(_key(shell, one, by))) for one in chosen] if asked else []
    result: dict[str, object] = {
        "Count": len(chosen),
        "Sum": sum(numbers) if named.get("sum") and numbers else None,
        "Average": sum(numbers) / len(numbers) if named.get("average") and numbers else None,
        "Maximum": max(numbers) if named.get("maximum") and numbers else None,
        "Minimum": min(numbers) if named.get("minimum") and numbers else None,
    }
    return [Object(result, "Microsoft.PowerShell.Commands.GenericMeasureInfo")]


# --- JSON --------------------------------------------------------------------------------------------------


def convert_from_json(
    shell: Commands, args: list[object], named: dict[str, object], given: list[object]
) -> list[object]:
    _only(named, "inputobject")
    lines = [text(one) for one in [*args, *spread(named.get("inputobject", Void())), *given]]
    if any(line == "" for line in lines) and len(lines) == 1:
        raise Failure("Cannot bind argument to parameter 'InputObject' because it is an empty string.")
    results: list[object] = []
    for value in _documents(lines):
        found = _from_json(value, shell.edition)
        # 5.1 hands an array on in one piece.
        results += found if isinstance(found, list) and shell.edition != "5.1" else [found]
    return results


def _documents(lines: list[str]) -> list[object]:
    """Several lines are a document each if the first one is one; otherwise they are one together."""
    try:
        if len(lines) > 1:
            try:
                _loads(lines[0])
            except ValueError:
                return [_loads("\n".join(lines))]
        return [_loads(line) for line in lines]
    except ValueError as error:
        raise Failure(
            f"Invalid JSON primitive: {error}", "System.ArgumentException", terminating=True
        ) from error


def _loads(document: str) -> object:
    return json.loads(document, object_pairs_hook=_pairs)


def _pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    names = [name.lower() for name, _ in pairs]
    if len(set(names)) < len(names):
        raise ValueError("keys that differ in case only")
    if "" in names:
        raise Unsupported("an empty key in JSON")
    return dict(pairs)


def _from_json(value: object, edition: str) -> object:
    if isinstance(value, dict):
        return Object({name: _from_json(one, edition) for name, one in value.items()})
    if isinstance(value, list):
        return [_from_json(one, edition) for one in value]
    if isinstance(value, str) and _DATE.match(value) and edition != "5.1":
        raise Unsupported("a date in JSON, which PowerShell 7 turns into a [datetime]")
    return whole(value) if isinstance(value, int) and not isinstance(value, bool) else value


def convert_to_json(
    shell: Commands, args: list[object], named: dict[str, object], given: list[object]
) -> list[object]:
    """The values are PowerShell's; blanks and line ends without -Compress are not."""
    _only(named, "inputobject", "depth", "compress")
    direct = [*args, *([named["inputobject"]] if "inputobject" in named else [])]
    if not direct and not given:
        return []
    value = direct[0] if direct else given[0] if len(given) == 1 else given
    plain = _to_json(value, coercion.integer(named.get("depth", 2)))
    packed = (",", ":") if named.get("compress") else None
    shown = json.dumps(plain, ensure_ascii=False, separators=packed, indent=None if packed else 4)
    if shell.edition == "5.1":
        shown = re.sub(r"[<>&']", lambda found: f"\\u{ord(found.group()):04x}", shown)
    return [shown if packed else shown.replace("\n", "\r\n")]


def _to_json(value: object, depth: int) -> object:
    if isinstance(value, (Table, Object, list)) and depth < 0:
        raise Unsupported("JSON deeper than -Depth, of which PowerShell writes the type's name")
    if isinstance(value, Table):
        return {text(key): _to_json(one, depth - 1) for key, one in value.items()}
    if isinstance(value, Object):
        return {text(key): _to_json(one, depth - 1) for key, one in value}
    if isinstance(value, list):
        return [_to_json(one, depth - 1) for one in value]
    if is_null(value):
        return None
    if isinstance(value, Long):
        return int(value)
    if isinstance(value, (bool, int, float, str)):
        return value
    raise Unsupported(f"JSON of a {'version' if isinstance(value, Version) else coercion.type_of(value)}")


def new_object(
    shell: Commands, args: list[object], named: dict[str, object], given: list[object]
) -> list[object]:
    """New-Object PSObject -Property @{…} only."""
    _only(named, "typename", "property")
    kind = text(named.get("typename", args[0] if args else "")).lower()
    table = named.get("property")
    if kind not in ("psobject", "pscustomobject") or not (table is None or isinstance(table, Table)):
        raise Unsupported(f"New-Object {kind}")
    return [Object({text(key): one for key, one in table.items()} if table is not None else {})]


BUILT_IN: dict[str, BuiltIn] = {
    "write-output": write_output, "out-null": out_null, "out-string": out_string, "write-host": written,
    "write-warning": write_warning, "write-verbose": write_verbose, "write-error": write_error,
    "set-strictmode": set_strict_mode, "join-path": join_path, "split-path": split_path,
    "select-object": select_object, "sort-object": sort_object, "measure-object": measure_object,
    "convertfrom-json": convert_from_json, "convertto-json": convert_to_json, "new-object": new_object,
}  # fmt: skip
