"""Calls of functions and script blocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.powershell import parameters
from tests.powershell.coercion import is_null, text, truth
from tests.powershell.expressions import Expressions
from tests.powershell.parameters import Argument, Positional, Signature
from tests.powershell.state import Emit, Scope
from tests.powershell.syntax import Node, Unsupported
from tests.powershell.values import VOID, BoundParameters, Object, ScriptBlock, Switch, Void, collected

if TYPE_CHECKING:
    from tests.powershell.parameters import Bound


class Return(Exception):  # noqa: N818
    """`return`: what it wrote is written already."""


class Calls(Expressions):
    """Scopes come and go here."""

    confirm: Callable[[str], bool] | None = None
    declared: dict[Node, tuple[Node | None, Signature]]

    def captured(self, run: Callable[[Emit], None]) -> object:
        outputs: list[object] = []
        run(outputs.append)
        return collected(outputs)

    def call_block(self, block: ScriptBlock, arguments: list[object]) -> object:
        return self.captured(
            lambda emit: self.invoke(block, [Positional(one) for one in arguments], [], emit)
        )

    @staticmethod
    def _parts(node: Node) -> tuple[Node, Node | None]:
        """The node that holds the parameters, and the one that holds the statements."""
        inner = node if node.kind == "program" else node.find("script_block")
        holder = node
        if inner is not None and inner.find("param_block") is not None:
            holder = inner
        body = inner.find("script_block_body") if inner is not None and inner.kind != "program" else inner
        if body is not None and (named := body.find("named_block_list")):
            raise Unsupported("begin, process and end", named)
        return holder, body.find("statement_list") if body is not None else None

    def _declared(self, node: Node) -> tuple[Node | None, Signature]:
        if node not in self.declared:
            holder, body = self._parts(node)
            self.declared[node] = (body, parameters.signature(holder, self._type_literal, self.value))
        return self.declared[node]

    def invoke(
        self, block: ScriptBlock, arguments: list[Argument], given: list[object], emit: Emit, *, own_scope:
        bool = True
    ) -> None:  # fmt: skip
        """A function, or a block by `&` or `.`; what it writes goes to `emit` as it comes."""
        body, sign = self._declared(block.node)
        bound = parameters.bind(sign, arguments, block.name or "the script block")
        previous, loops = self.scope, self.loops
        scope = Scope(previous) if own_scope else previous
        self.scope, self.loops = scope, 0
        try:
            self._fill(scope, sign, bound, block.name, given)
            self.statements(body, emit)
        except Return:
            pass
        finally:
            self.scope, self.loops = previous, loops
        self.succeeded = True

    def _fill(self, scope: Scope, sign: Signature, bound: Bound, name: str, given: list[object]) -> None:
        if not sign.advanced:
            self.set_variable("args", bound.rest, scope)
        self.set_variable("input", given, scope)
        self._preferences(scope, sign, bound)
        shown = BoundParameters(ordered=True)
        self.set_variable("psboundparameters", shown, scope)
        for parameter in sign.parameters:
            if parameter.name in bound.values:
                value = parameters.converted(
                    parameter, bound.values[parameter.name], name, self.edition, self.value
                )
                shown.set(parameter.name, value)
                self.set_variable(parameter.name.lower(), value, scope, parameter.kind)
            elif parameter.set("mandatory"):
                raise Unsupported(
                    f"{name} without its mandatory {parameter.name}: PowerShell would ask for it"
                )
        for parameter in sign.parameters:
            if parameter.name not in bound.values:
                default = (
                    parameters.unset(parameter)
                    if parameter.default is None
                    else self.value(parameter.default)
                )
                # A default is turned into the type, but not validated.
                kind = parameter.kind if parameter.default is not None or not is_null(default) else None
                self.set_variable(
                    parameter.name.lower(), None if isinstance(default, Void) else default, scope, kind
                )

    def _preferences(self, scope: Scope, sign: Signature, bound: Bound) -> None:
        names = {"erroraction": "erroractionpreference", "whatif": "whatifpreference"}
        for common, value in bound.common.items():
            if common in names:
                plain = value.present if isinstance(value, Switch) else value
                self.set_variable(names[common], plain, scope)
        if sign.should_process:
            ask = "confirm" in bound.common and truth(bound.common["confirm"])
            self.set_variable("pscmdlet", self._cmdlet(ask), scope)
        elif sign.advanced:
            self.set_variable("pscmdlet", Object({}, "management.automation.psscriptcmdlet"), scope)

    def _cmdlet(self, ask: bool) -> Object:
        def should_process(target: object, action: object = "", *more: object) -> bool:
            if more:
                raise Unsupported("ShouldProcess with three texts")
            did = f'Performing the operation "{text(action)}" on target "{text(target)}".'
            if truth(self.get_variable("whatifpreference")):
                self.written.append(f"What if: {did}")
                return False
            if ask:
                if self.confirm is None:
                    raise Unsupported(f"-Confirm without a test's answer: {did}")
                return self.confirm(did)
            return True

        return Object({}, "management.automation.psscriptcmdlet", {"ShouldProcess": should_process})

    def run_in_place(self, block: ScriptBlock, one: object, emit: Emit) -> None:
        """A block of ForEach-Object's: in the caller's own scope, with $_."""
        holder, body = self._parts(block.node)
        if holder.find("param_block") is not None:
            raise Unsupported("parameters of a block of ForEach-Object's", block.node)
        held = self.scope.variables.get("_")
        loops, self.loops = self.loops, 0
        self.scope.variables.pop("_", None)
        self.set_variable("_", None if one is VOID else one)
        try:
            self.statements(body, emit)
        except Return:
            pass
        finally:
            self.loops = loops
            self.scope.variables.pop("_", None)
            if held is not None:
                self.scope.variables["_"] = held
