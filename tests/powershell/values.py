"""What a variable can hold, where Python has nothing that behaves the same.

Strings, integers of 32 bits, doubles, booleans, $null and arrays are Python's own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from tests.powershell.syntax import Node, Unsupported

INT_LOW, INT_HIGH = -(2**31), 2**31 - 1
LONG_LOW, LONG_HIGH = -(2**63), 2**63 - 1


class Void:
    """What a command that wrote nothing leaves behind: equal to $null, and no element in a pipeline."""

    def __repr__(self) -> str:
        return "VOID"


VOID = Void()


class Long(int):
    """An integer of 64 bits."""


class Char(str):
    """One character."""

    __slots__ = ()


@dataclass(frozen=True)
class Switch:
    """A [switch] parameter's value."""

    present: bool


@dataclass(frozen=True)
class TypeName:
    """A type as a value: the right side of -is, the left side of ::."""

    name: str
    array: bool = False


@functools.total_ordering
@dataclass(frozen=True)
class Version:
    """System.Version: a part that is missing is -1, and therefore less than 0."""

    parts: tuple[int, int, int, int]

    def __lt__(self, other: Version) -> bool:
        return self.parts < other.parts

    def __str__(self) -> str:
        return ".".join(str(part) for part in self.parts if part >= 0)


class Table:
    """A hashtable. Keys ignore case; without [ordered] nothing may rely on an order: it is turned round."""

    def __init__(self, items: Mapping[str, object] | None = None, *, ordered: bool = False) -> None:
        self.ordered = ordered
        self.changes = 0
        self._items: dict[object, tuple[object, object]] = {}
        for key, value in (items or {}).items():
            self.set(key, value)

    @staticmethod
    def _form(key: object) -> object:
        if key is None or isinstance(key, (Void, list, Table)):
            raise Unsupported(f"a hashtable's key that is {type(key).__name__}")
        return (str, key.lower()) if isinstance(key, str) else (type(key), key)

    def get(self, key: object, default: object = None) -> object:
        return self._items.get(self._form(key), (None, default))[1]

    def set(self, key: object, value: object) -> None:
        form = self._form(key)
        kept = self._items.get(form)
        self._items[form] = (kept[0] if kept else key, value)
        self.changes += 1

    def remove(self, key: object) -> None:
        self._items.pop(self._form(key), None)
        self.changes += 1

    def items(self) -> list[tuple[object, object]]:
        found = list(self._items.values())
        return found if self.ordered else found[::-1]

    def keys(self) -> list[object]:
        return [key for key, _ in self.items()]

    def values(self) -> list[object]:
        return [value for _, value in self.items()]

    def __contains__(self, key: object) -> bool:
        return self._form(key) in self._items

    def __len__(self) -> int:
        return len(self._items)


class View(list[object]):
    """A table's keys or values, which nobody may go through while the table changes."""

    def __init__(self, table: Table, found: list[object]) -> None:
        self.table = table
        super().__init__(found)


class BoundParameters(Table):
    """$PSBoundParameters: in the order of the parameters, and no OrderedDictionary."""


class Object:
    """A PSCustomObject, or something of the host's that shows itself as one."""

    def __init__(
        self, properties: Mapping[str, object] | None = None, type_name: str = "PSCustomObject",
        methods: Mapping[str, Callable[..., object]] | None = None,
    ) -> None:  # fmt: skip
        self.type_name = type_name
        self.properties = Table(properties, ordered=True)
        self.methods = {name.lower(): method for name, method in (methods or {}).items()}

    def __iter__(self) -> Iterator[tuple[object, object]]:
        return iter(self.properties.items())


class PropertyList(list[object]):
    """What .PSObject.Properties gives: name and value of each, reached by name too."""

    def __init__(self, owner: Object) -> None:
        self.owner = owner
        super().__init__(Object({"Name": key, "Value": value}, "PSNoteProperty") for key, value in owner)


class Groups(list[object]):
    """A match's groups, reached by number or by name."""

    def __init__(self, groups: list[object], names: Mapping[str, int]) -> None:
        self.names = names
        super().__init__(groups)


@dataclass
class ScriptBlock:
    """A block of code: its node, and the name it goes by where it is a function."""

    node: Node
    name: str = ""


@dataclass(frozen=True)
class ErrorRecord:
    """What catch finds in $_."""

    message: str
    type_name: str = "System.Management.Automation.RuntimeException"
    line: int = 0
    target: object = field(default=None, compare=False)

    def __str__(self) -> str:
        return self.message


class Thrown(Exception):  # noqa: N818 - PowerShell's word
    """A terminating error on its way to a catch. `throw` and 'Stop' end more than a statement."""

    def __init__(self, record: ErrorRecord, *, ends_script: bool = False) -> None:
        self.record = record
        self.ends_script = ends_script
        super().__init__(record.message)


class Exit(Exception):  # noqa: N818 - what a script does, not a failure of it
    """`exit N`."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(f"exit {code}")


class Failure(Exception):  # noqa: N818 - raised by a test's commands
    """A test's cmdlet fails: what -ErrorAction holds for, or with `terminating` what only a catch sees."""

    def __init__(
        self, message: str, type_name: str = "System.Management.Automation.RuntimeException",
        *, terminating: bool = False,
    ) -> None:  # fmt: skip
        self.record = ErrorRecord(message, type_name)
        self.terminating = terminating
        super().__init__(message)


def failed(message: str, type_name: str = "System.Management.Automation.RuntimeException") -> Thrown:
    """The error of an expression: it ends its statement."""
    return Thrown(ErrorRecord(message, type_name))


def whole(number: int) -> int:
    """An integer with the type that fits, as for a literal."""
    if INT_LOW <= number <= INT_HIGH:
        return int(number)
    if LONG_LOW <= number <= LONG_HIGH:
        return Long(number)
    raise Unsupported(f"an integer of more than 64 bits: {number}")


def to_shell(value: object) -> object:
    """A test's Python value as the script sees it: a dict is an object with properties."""
    if isinstance(value, Mapping):
        return Object({str(key): to_shell(one) for key, one in value.items()})
    if isinstance(value, (list, tuple)):
        return [to_shell(one) for one in value]
    if isinstance(value, int) and not isinstance(value, (bool, Long)):
        return whole(value)
    return value


def plain(value: object) -> object:
    """A script's value for a test to compare: objects and hashtables are dicts."""
    if isinstance(value, Void):
        return None
    if isinstance(value, Object):
        return {str(key): plain(one) for key, one in value}
    if isinstance(value, Table):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, Switch):
        return value.present
    if isinstance(value, Long):
        return int(value)
    return str(value) if isinstance(value, (Char, Version)) else value


def collected(outputs: list[object]) -> object:
    """What an assignment takes from a pipeline: nothing, the only thing, or an array."""
    if not outputs:
        return VOID
    return outputs[0] if len(outputs) == 1 else outputs


def spread(value: object) -> list[object]:
    """What a value is in a pipeline: an array's elements, nothing for nothing, itself otherwise."""
    if isinstance(value, Void):
        return []
    return list(value) if isinstance(value, list) else [value]


def one_by_one(value: object) -> Iterator[object]:
    """The same, for a loop, which ends with an error where a table changes under it."""
    changes = value.table.changes if isinstance(value, View) else 0
    for one in spread(value):
        if isinstance(value, View) and value.table.changes != changes:
            raise failed(
                "Collection was modified; enumeration operation may not execute.", "InvalidOperationException"
            )
        yield one
