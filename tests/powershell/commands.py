"""Commands: arguments, pipelines, functions, and what a test gives as cmdlets and native programs."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from tests.powershell import cmdlets, strings
from tests.powershell.coercion import is_null, text, truth
from tests.powershell.expressions import INCREMENTS
from tests.powershell.known import KNOWN
from tests.powershell.parameters import Argument, Given, Positional
from tests.powershell.programs import Call, Native, Programs
from tests.powershell.state import Emit
from tests.powershell.syntax import Node, Unsupported
from tests.powershell.values import (
    ScriptBlock,
    Table,
    Void,
    one_by_one,
    spread,
)


class StopUpstream(Exception):  # noqa: N818
    """Select-Object -First has what it wants: its pipeline ends with what comes after it."""

    def __init__(self, pipeline: object, finish: Callable[[], None]) -> None:
        self.pipeline, self.finish = pipeline, finish
        super().__init__("a pipeline has what it wants")


class Commands(Programs):
    """Pipelines."""

    # --- pipelines -----------------------------------------------------------------------------------------

    def pipeline(self, node: Node, emit: Emit) -> None:
        """A pipeline as a statement."""
        first, *others = node.named
        if others:
            raise Unsupported("a pipeline chain, which Windows PowerShell 5.1 does not know", node)
        if first.kind == "assignment_expression":
            self.assign(first)
            self.succeeded = True
            return
        self._elements(first, emit)

    def pipeline_value(self, node: Node) -> object:
        """A pipeline as a value: an expression's own, or what commands wrote."""
        first, *others = node.named
        if not others:
            if first.kind == "assignment_expression":
                return self.assign(first)
            if len(first.children) == 1 and first.children[0].kind != "command":
                return self.value(first.children[0])
        return self.captured(lambda emit: self.pipeline(node, emit))

    def _elements(self, chain: Node, emit: Emit) -> None:
        elements = [one for one in chain.children if one.text != "|"]
        first = elements[0]
        if len(elements) == 1 and first.kind in INCREMENTS:
            self.value(first)
            return
        calls = [self._prepared(one) if one.kind == "command" else None for one in elements]
        if None in calls[1:]:
            raise Unsupported("an expression that is not a pipeline's first element", chain)
        process, finish = emit, _nothing
        for call in reversed(calls[1:]):
            assert call is not None
            process, finish = self._stage(call, process, finish, chain)

        def run() -> None:
            if calls[0] is not None:
                self.run_call(calls[0], [], process)
            else:
                for one in one_by_one(self.value(first)):
                    process(one)
                self.succeeded = True
            finish()

        step: Callable[[], None] | None = run
        while step is not None:
            try:
                step()
                step = None
            except StopUpstream as stop:
                if stop.pipeline is not chain:
                    raise
                step = stop.finish

    def _stage(
        self, call: Call, process: Emit, finish: Callable[[], None], pipeline: Node
    ) -> tuple[Emit, Callable[[], None]]:
        """What takes each value, and what is called after the last one."""
        name = call.target.lower() if isinstance(call.target, str) else ""
        if name in ("foreach-object", "where-object") and name not in self.commands:
            block = self._only_block(call)
            if name == "foreach-object":
                return lambda one: self.run_in_place(block, one, process), finish

            def keep(one: object) -> None:
                if truth(self.captured(lambda emit: self.run_in_place(block, one, emit))):
                    process(one)

            return keep, finish
        wanted = cmdlets.first_only(call.arguments) if name == "select-object" else None
        if wanted is not None:
            return self._first(wanted, process, StopUpstream(pipeline, finish)), finish
        held: list[object] = []

        def end() -> None:
            self.run_call(call, held, process)
            finish()

        return held.append, end

    @staticmethod
    def _first(wanted: int, process: Emit, stop: StopUpstream) -> Emit:
        seen = 0

        def take(one: object) -> None:
            nonlocal seen
            if seen < wanted:
                seen += 1
                process(one)
            if seen >= wanted:
                raise stop

        return take

    @staticmethod
    def _only_block(call: Call) -> ScriptBlock:
        match call.arguments:
            case [Positional(ScriptBlock() as block)]:
                return block
            case [Given(name), Positional(ScriptBlock() as block)] if name.lower() in (
                "process",
                "filterscript",
            ):
                return block
        raise Unsupported("ForEach-Object and Where-Object with other than one script block", call.node)

    # --- arguments -----------------------------------------------------------------------------------------

    def _prepared(self, node: Node) -> Call:
        call = Call(node, "", [])
        attached, separated = None, True
        for child in node.children:
            if child.kind == "command_invokation_operator":
                call.dot = child.text == "."
            elif child.kind in ("command_name", "command_name_expr"):
                call.target = self._target(child)
            elif child.kind == "command_elements":
                for one in child.children:
                    if one.kind == "command_argument_sep":
                        separated = True
                        if one.text == ":":
                            attached = call.arguments.pop()
                        continue
                    if not separated:
                        raise Unsupported("an argument of two parts without quotes", node)
                    separated = False
                    attached = self._element(call, one, attached)
            else:
                raise Unsupported(f"node kind '{child.kind}' in a command", child)
        return call

    def _target(self, node: Node) -> str | ScriptBlock:
        if node.kind == "command_name" and not node.named:
            return node.text
        inner = node.named[0]
        if inner.kind == "command_name":
            return inner.text
        value = self.value(inner)
        if isinstance(value, (str, ScriptBlock)):
            return value
        raise Unsupported("a call of what is neither a name nor a script block", node)

    def _element(self, call: Call, node: Node, attached: Argument | None) -> Argument | None:
        if attached is not None:
            assert isinstance(attached, Given)
            call.arguments.append(replace_given(attached, self._argument(node)))
        elif node.kind == "command_parameter":
            # A bare -- goes to programs as it stands.
            call.arguments.append(
                Positional("--", "--") if node.text == "--" else Given(node.text.lstrip("-"), node.text)
            )
        elif node.kind == "redirection" or re.fullmatch(r"[1-6*]?>>?.*", node.text):
            self._redirection(call, node)
        elif node.text.startswith("@") and node.kind == "variable":
            call.arguments += self._splatted(node)
        else:
            raw = node.text if node.kind == "generic_token" else None
            call.arguments.append(Positional(self._argument(node), raw))
        return None

    def _argument(self, node: Node) -> object:
        if node.kind != "generic_token":
            value = self.value(node)
            return None if isinstance(value, Void) else value
        if re.search(r"[$`'\"@(){};,|&<>]", node.text) or strings.is_number(node.text):
            raise Unsupported("a bare argument with signs in it; put it in quotes", node)
        return node.text

    def _splatted(self, node: Node) -> list[Argument]:
        holder = self.scope.holder(node.text[1:].lower())
        value = holder.value if holder else None
        if isinstance(value, Table):
            return [Given(text(key), f"-{text(key)}", one, attached=True) for key, one in value.items()]
        if is_null(value):
            raise Unsupported(f"splatting {node.text}, which holds nothing", node)
        return [Positional(one) for one in spread(value)]

    def _redirection(self, call: Call, node: Node) -> None:
        found = re.fullmatch(r"([1-6*]?)(>>?)\s*(.*)", node.text, re.DOTALL)
        stream, target = (found[1], found[3]) if found else ("", "")
        if target == "&1" and stream in ("2", "*"):
            call.errors = "merge"
        elif stream in ("", "1", "2", "*") and target.lower() == "$null":
            call.errors = "null" if stream in ("2", "*") else call.errors
            call.output = "null" if stream != "2" else call.output
        else:
            raise Unsupported("this redirection", node)
        call.everything = call.everything or stream == "*"

    # --- running -------------------------------------------------------------------------------------------

    def run_call(self, call: Call, given: list[object], emit: Emit) -> None:
        out = _drop if call.output == "null" else emit
        if isinstance(call.target, ScriptBlock):
            self.invoke(call.target, call.arguments, given, out, own_scope=not call.dot)
            return
        name = call.target
        if span := strings.literal_range(name):
            for one in range(
                span[0], span[1] + (1 if span[1] >= span[0] else -1), 1 if span[1] >= span[0] else -1
            ):
                out(one)
        elif strings.is_number(name) and not call.arguments:
            out(strings.literal_number(replace(call.node, text=name)))
        elif (function := self.function(name)) is not None:
            self.invoke(function, call.arguments, given, out)
        else:
            self._registered(call, name, given, out)

    def _registered(self, call: Call, name: str, given: list[object], out: Emit) -> None:
        if name.lower() in KNOWN.aliases:
            raise Unsupported(f"the alias {name}", call.node)
        command = self.registered(name)
        if isinstance(command, Native):
            self.run_native(command, call, name, given, out)
        elif command is not None:
            self.run_cmdlet(call, name, lambda args, named: command(args, named, given), out)
        elif (builtin := cmdlets.BUILT_IN.get(name.lower())) is not None:
            self.run_cmdlet(call, name, lambda args, named: builtin(self, args, named, given), out)
        else:
            raise Unsupported(f"the command {name}, which no test registered", call.node)


def replace_given(one: Given, value: object) -> Given:
    return Given(one.name, one.raw, value, attached=True)


def _drop(_: object) -> None:
    return None


def _nothing() -> None:
    return None
