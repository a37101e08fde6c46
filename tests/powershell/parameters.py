"""param(): what a function takes, and how a call's arguments find their places."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from tests.powershell import coercion
from tests.powershell.coercion import is_null, text
from tests.powershell.syntax import Node, Unsupported
from tests.powershell.values import Switch, Thrown, TypeName, Void, failed

_BINDING = "System.Management.Automation.ParameterBindingException"
COMMON = {
    "erroraction": "erroraction", "ea": "erroraction", "verbose": "verbose", "vb": "verbose", "debug":
    "debug", "warningaction": "warningaction", "wa": "warningaction", "informationaction":
    "informationaction",
}  # fmt: skip
_SHOULD_PROCESS = {"whatif": "whatif", "wi": "whatif", "confirm": "confirm", "cf": "confirm"}
_ATTRIBUTES = (
    "cmdletbinding", "parameter", "validateset", "validaterange", "validatenotnullorempty",
    "validatenotnull", "alias", "allownull", "allowemptystring", "allowemptycollection", "outputtype",
    "validatepattern",
)  # fmt: skip


class Positional(NamedTuple):
    """An argument without a name; native programs get `raw` of what was written bare."""

    value: object
    raw: str | None = None


class Given(NamedTuple):
    """`-Name`, with a colon's value where there was one."""

    name: str
    raw: str
    value: object = None
    attached: bool = False


Argument = Positional | Given


@dataclass(frozen=True)
class Parameter:
    """One parameter."""

    name: str
    kind: TypeName | None
    default: Node | None
    attributes: dict[str, Node]
    settings: dict[str, Node | None]
    aliases: tuple[str, ...] = ()

    @property
    def switch(self) -> bool:
        return self.kind is not None and coercion.type_key(self.kind.name) == "switch"

    def set(self, setting: str) -> bool:
        if setting not in self.settings:
            return False
        node = self.settings[setting]
        if node is None or node.text.lower() in ("$true", "1"):
            return True
        if node.text.lower() in ("$false", "0"):
            return False
        raise Unsupported(f"{setting} with something computed", node)


@dataclass(frozen=True)
class Signature:
    """What a block takes."""

    parameters: tuple[Parameter, ...]
    advanced: bool
    should_process: bool


def attribute(node: Node) -> tuple[str, list[Node], dict[str, Node | None]]:
    """An attribute's name, its positional arguments and its settings."""
    name_node = node.find("attribute_name")
    if name_node is None:
        raise Unsupported("an attribute of this form", node)
    name = name_node.text.lower().removesuffix("attribute")
    if name not in _ATTRIBUTES:
        raise Unsupported(f"the attribute {name_node.text}", node)
    positional: list[Node] = []
    settings: dict[str, Node | None] = {}
    held = node.find("attribute_arguments")
    for one in held.named if held else ():
        if one.kind != "attribute_argument":  # a bare literal, its wrapper unwrapped
            positional.append(one)
        elif one.named and one.named[0].kind == "simple_name":
            settings[one.named[0].text.lower()] = one.named[1] if len(one.named) > 1 else None
        else:
            positional += one.named
    return name, positional, settings


def signature(owner: Node, type_of: Callable[[Node], TypeName], value: Callable[[Node], object]) -> Signature:
    """What a script, a function or a block takes: `owner` holds param() or the names in brackets."""
    block = owner.find("param_block")
    holder = block or owner.find("function_parameter_declaration")
    listed = holder.find("parameter_list") if holder else None
    advanced = should_process = False
    attributes = block.find("attribute_list") if block else None
    for one in attributes.every("attribute") if attributes else ():
        name, _, settings = attribute(one)
        if name == "cmdletbinding":
            advanced = True
            wanted = settings.get("supportsshouldprocess", ...)
            should_process = wanted is None or (wanted is not ... and wanted.text.lower() == "$true")
            if known := set(settings) - {"supportsshouldprocess", "confirmimpact", "positionalbinding"}:
                raise Unsupported(f"CmdletBinding with {sorted(known)}", one)
    found = tuple(
        _parameter(one, type_of, value) for one in (listed.every("script_parameter") if listed else ())
    )
    advanced = advanced or any("parameter" in one.attributes for one in found)
    return Signature(found, advanced, should_process)


def _parameter(node: Node, type_of: Callable[[Node], TypeName], value: Callable[[Node], object]) -> Parameter:
    kind: TypeName | None = None
    attributes: dict[str, Node] = {}
    settings: dict[str, Node | None] = {}
    aliases: tuple[str, ...] = ()
    listed = node.find("attribute_list")
    for one in listed.every("attribute") if listed else ():
        literal = one.find("type_literal")
        if literal is not None:
            kind = type_of(literal)
            continue
        name, positional, given = attribute(one)
        attributes[name] = one
        if name == "alias":
            aliases = tuple(text(value(each)).lower() for each in positional)
        if name == "parameter":
            settings = given
            if strange := set(given) - {"mandatory", "position", "helpmessage"}:
                raise Unsupported(f"Parameter with {sorted(strange)}", one)
    named = next((child for child in node.children if child.kind in ("variable", "braced_variable")), None)
    if named is None:
        raise Unsupported("a parameter of this form", node)
    default = node.find("script_parameter_default")
    return Parameter(
        named.text[1:].strip("{}"),
        kind,
        default.children[-1] if default else None,
        attributes,
        settings,
        aliases,
    )


class Bound(NamedTuple):
    """A call's arguments in their places."""

    values: dict[str, object]  # by the parameter's name, as written
    rest: list[object]  # $args
    common: dict[str, object]


def bind(sign: Signature, arguments: list[Argument], called: str) -> Bound:
    """Named arguments first, then the others in the order of the parameters."""
    values: dict[str, object] = {}
    common: dict[str, object] = {}
    loose: list[object] = []
    waiting = list(arguments)
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, Positional):
            loose.append(one.value)
            continue
        parameter = _named(sign, one.name, called)
        if parameter is None:
            loose += [one.raw, *([one.value] if one.attached else [])]
        elif isinstance(parameter, str):
            taken = parameter in ("whatif", "confirm", "verbose", "debug")
            common[parameter] = _argument(one, waiting, takes_none=taken, called=called)
        else:
            if parameter.name in values:
                raise _cannot(called, f"the parameter '{parameter.name}' is specified more than once")
            values[parameter.name] = _argument(one, waiting, takes_none=parameter.switch, called=called)
    for parameter in _by_position(sign):
        if loose and parameter.name not in values:
            values[parameter.name] = loose.pop(0)
    if loose and sign.advanced:
        raise _cannot(
            called, f"A positional parameter cannot be found that accepts argument '{text(loose[0])}'."
        )
    return Bound(values, loose, common)


def _by_position(sign: Signature) -> list[Parameter]:
    places = [one for one in sign.parameters if not one.switch]
    if any("position" in one.settings for one in places):
        numbered = [(one.settings["position"], one) for one in places if "position" in one.settings]
        return [one for _, one in sorted(numbered, key=lambda pair: int(pair[0].text) if pair[0] else 0)]
    return places


def _named(sign: Signature, name: str, called: str) -> Parameter | str | None:
    low = name.lower()
    by_name = {one.name.lower(): one for one in sign.parameters}
    by_name |= {alias: one for one in sign.parameters for alias in one.aliases}
    if low in by_name:
        return by_name[low]
    extra = (COMMON if sign.advanced else {}) | (_SHOULD_PROCESS if sign.should_process else {})
    if low in extra:
        return extra[low]
    starts: list[Parameter | str] = [one for key, one in by_name.items() if key.startswith(low)]
    starts += [key for key in extra if key.startswith(low) and len(key) > 2]
    if len(starts) == 1:
        return starts[0]
    if len(starts) > 1:
        raise _cannot(called, f"the parameter name '{name}' is ambiguous")
    if sign.advanced:
        raise _cannot(called, f"A parameter cannot be found that matches parameter name '{name}'.")
    return None


def _argument(one: Given, waiting: list[Argument], *, takes_none: bool, called: str) -> object:
    if one.attached:
        return one.value
    if takes_none:
        return True
    if waiting and isinstance(waiting[0], Positional):
        found = waiting.pop(0)
        assert isinstance(found, Positional)
        return found.value
    raise _cannot(called, f"Missing an argument for parameter '{one.name}'.")


def _cannot(called: str, why: str) -> Thrown:
    return failed(f"Cannot process the call of {called}: {why}", _BINDING)


def converted(
    parameter: Parameter, value: object, called: str, edition: str, literal: Callable[[Node], object]
) -> object:
    """An argument as the parameter's type, or the error PowerShell has for it."""
    value = None if isinstance(value, Void) else value
    if parameter.kind is not None:
        name = coercion.type_key(parameter.kind.name)
        if name == "string" and not parameter.kind.array and isinstance(value, list):
            raise _cannot(called, f"Cannot convert an array to the string '{parameter.name}' takes.")
        if name == "bool" and isinstance(value, str):
            raise _cannot(called, f"Cannot convert a string to the boolean '{parameter.name}' takes.")
        if name == "regex":
            raise Unsupported(f"a [regex] parameter of {called}")
        value = coercion.cast(value, parameter.kind, edition)
    _validate(parameter, value, called, literal)
    return value


def _validate(parameter: Parameter, value: object, called: str, literal: Callable[[Node], object]) -> None:
    kept = parameter.attributes
    if parameter.set("mandatory"):
        _fill_mandatory(parameter, value, called)
    if "validatenotnullorempty" in kept and (is_null(value) or value in ("", [])):
        raise _cannot(called, f"the argument of '{parameter.name}' is null or empty")
    if "validatenotnull" in kept and is_null(value):
        raise _cannot(called, f"the argument of '{parameter.name}' is null")
    if "validatepattern" in kept:
        raise Unsupported("ValidatePattern", kept["validatepattern"])
    every = value if isinstance(value, list) else [value]
    if "validateset" in kept:
        _, positional, _ = attribute(kept["validateset"])
        allowed = [text(literal(one)).lower() for one in positional]
        for one in every:
            if text(one).lower() not in allowed:
                raise _cannot(
                    called, f"the argument \"{text(one)}\" is none of the set of '{parameter.name}'"
                )
    if "validaterange" in kept:
        _, positional, _ = attribute(kept["validaterange"])
        low, high = (coercion.number(literal(one)) for one in positional)
        for one in every:
            if not low <= coercion.number(one) <= high:
                raise _cannot(
                    called, f"the {text(one)} argument of '{parameter.name}' is outside {low} to {high}"
                )


def _fill_mandatory(parameter: Parameter, value: object, called: str) -> None:
    """A mandatory parameter takes nothing empty, other than where it says so."""
    kept, name = parameter.attributes, parameter.name
    typed = parameter.kind is not None and coercion.type_key(parameter.kind.name) == "string"
    hollow = value == "" or (
        isinstance(value, list) and any(one == "" for one in value if isinstance(one, str))
    )
    if is_null(value) and "allownull" not in kept:
        raise _cannot(called, f"Cannot bind argument to parameter '{name}' because it is null.")
    if typed and hollow and "allowemptystring" not in kept:
        raise _cannot(called, f"Cannot bind argument to parameter '{name}' because it is an empty string.")
    if value == [] and "allowemptycollection" not in kept:
        raise _cannot(called, f"Cannot bind argument to parameter '{name}' because it is an empty array.")


def unset(parameter: Parameter) -> object:
    """What a parameter that was neither given nor has a default holds."""
    if parameter.kind is None or parameter.kind.array:
        return None
    name = coercion.type_key(parameter.kind.name)
    known: dict[str, object] = {
        "string": "",
        "int": 0,
        "long": 0,
        "double": 0.0,
        "bool": False,
        "switch": Switch(False),
    }
    return known.get(name)
