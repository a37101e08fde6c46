"""Scopes, variables and preferences: what a running script remembers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.powershell import coercion
from tests.powershell.coercion import text
from tests.powershell.statics import Statics
from tests.powershell.syntax import Node, Unsupported
from tests.powershell.values import VOID, ScriptBlock, Table, TypeName, Version, failed, to_shell

Emit = Callable[[object], None]

_REFUSED = ("error", "host", "myinvocation", "executioncontext", "stacktrace", "$", "^", "foreach", "switch")
_CONSTANTS = {"true": True, "false": False, "null": None}


@dataclass
class Variable:
    """A value, and the type that every later one is turned into."""

    value: object
    kind: TypeName | None = None


@dataclass
class Scope:
    """One call's variables and functions; what it lacks is looked for in its caller's."""

    parent: Scope | None = None
    variables: dict[str, Variable] = field(default_factory=dict)
    functions: dict[str, ScriptBlock] = field(default_factory=dict)
    strict: int | None = None

    def holder(self, name: str) -> Variable | None:
        scope: Scope | None = self
        while scope is not None:
            if name in scope.variables:
                return scope.variables[name]
            scope = scope.parent
        return None


class State:
    """The parts of the shell that hold something."""

    def __init__(
        self, variables: Mapping[str, object], environment: Mapping[str, str], statics: Mapping[str, object],
        edition: str
    ) -> None:  # fmt: skip
        self.edition = edition
        self.environment = Table(dict(environment), ordered=True)
        self.statics = Statics(statics)
        self.succeeded = True
        self.written: list[str] = []  # what a person at the console sees, line by line
        self.errors: list[str] = []  # what reached the error stream
        self.tries = 0
        self.loops = 0
        newest = (5, 1, 19041, 4522) if edition == "5.1" else (7, 4, 6, -1)
        kind = "Desktop" if edition == "5.1" else "Core"
        preset: dict[str, object] = {
            "ErrorActionPreference": "Continue", "ProgressPreference": "Continue", "WhatIfPreference": False,
            "VerbosePreference": "SilentlyContinue", "WarningPreference": "Continue",
            "ConfirmPreference": "High",
            "PSVersionTable": Table({"PSVersion": Version(newest), "PSEdition": kind}),
        }  # fmt: skip
        if edition != "5.1":
            preset |= {"IsWindows": True, "IsLinux": False, "IsMacOS": False, "IsCoreCLR": True}
        self.outermost = Scope()
        for name, value in (preset | dict(variables)).items():
            self.outermost.variables[name.lower()] = Variable(to_shell(value))
        self.script_scope = Scope(self.outermost)
        self.scope = self.script_scope

    @property
    def strict(self) -> int:
        scope: Scope | None = self.scope
        while scope is not None:
            if scope.strict is not None:
                return scope.strict
            scope = scope.parent
        return 0

    def preference(self, name: str = "ErrorActionPreference") -> str:
        holder = self.scope.holder(name.lower())
        return text(holder.value).lower() if holder else ""

    def function(self, name: str) -> ScriptBlock | None:
        scope: Scope | None = self.scope
        while scope is not None:
            if name.lower() in scope.functions:
                return scope.functions[name.lower()]
            scope = scope.parent
        return None

    # --- variables -----------------------------------------------------------------------------------------

    @staticmethod
    @functools.lru_cache(maxsize=8192)
    def variable_name(node: Node) -> tuple[str, str]:
        """The scope or drive, and the name in small letters."""
        bare = node.text[1:]
        if bare.startswith("{"):
            bare = bare[1:-1]
        drive, colon, name = bare.partition(":")
        if not colon:
            return "", bare.lower()
        if drive.lower() not in ("env", "script", "global", "local"):
            raise Unsupported(f"the scope {drive}:", node)
        return drive.lower(), name if drive.lower() == "env" else name.lower()

    def read(self, node: Node) -> object:
        drive, name = self.variable_name(node)
        if drive == "env":
            return self.environment.get(name)
        if name in _CONSTANTS:
            return _CONSTANTS[name]
        if name == "?":
            return self.succeeded
        if name in _REFUSED:
            raise Unsupported(f"the variable ${name}", node)
        scopes = {"script": self.script_scope, "global": self.outermost, "local": self.scope}
        holder = scopes[drive].variables.get(name) if drive else self.scope.holder(name)
        if holder is None:
            if self.strict >= 1:
                raise failed(f"The variable '{node.text}' cannot be retrieved because it has not been set.")
            return None
        return holder.value

    def write(self, node: Node, value: object, kind: TypeName | None = None) -> object:
        """What was stored: a variable with a type turns the value into it."""
        drive, name = self.variable_name(node)
        if drive == "env":
            if coercion.is_null(value) or text(value) == "":
                self.environment.remove(name)
            else:
                self.environment.set(name, text(value, self.edition))
            return value
        if name in _CONSTANTS:
            if name == "null":
                return value
            raise failed(f"Cannot overwrite variable {name} because it is read-only or constant.")
        if name in ("?", *_REFUSED):
            raise Unsupported(f"setting the variable ${name}", node)
        scope = {"script": self.script_scope, "global": self.outermost}.get(drive, self.scope)
        return self.set_variable(name, value, scope, kind)

    def set_variable(
        self, name: str, value: object, scope: Scope | None = None, kind: TypeName | None = None
    ) -> object:
        scope = scope or self.scope
        holder = scope.variables.get(name)
        kind = kind or (holder.kind if holder else None)
        if kind is not None:
            value = coercion.cast(value, kind, self.edition)
        scope.variables[name] = Variable(value, kind)
        return value

    def get_variable(self, name: str) -> object:
        holder = self.scope.holder(name)
        return holder.value if holder else VOID

    def forget(self, name: str) -> None:
        self.scope.variables.pop(name, None)
