"""Statements, and what a failing one does."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import replace

from tests.powershell import operators, regexes
from tests.powershell.calls import Return
from tests.powershell.coercion import integer, is_null, text, truth, type_key
from tests.powershell.commands import Commands
from tests.powershell.state import Emit
from tests.powershell.syntax import Node, Unsupported
from tests.powershell.values import (
    ErrorRecord,
    Exit,
    Object,
    ScriptBlock,
    Thrown,
    one_by_one,
    spread,
    to_shell,
)

# Whose child an exception is, as far as a script may ask.
_ANCESTORS = {
    "io.filenotfoundexception": "io.ioexception",
    "io.directorynotfoundexception": "io.ioexception",
    "management.automation.commandnotfoundexception": "management.automation.runtimeexception",
    "management.automation.parameterbindingexception": "management.automation.runtimeexception",
    "management.automation.propertynotfoundexception": "management.automation.runtimeexception",
    "management.automation.remoteexception": "management.automation.runtimeexception",
    "management.automation.psinvalidcastexception": "invalidcastexception",
}


class BreakLoop(Exception):  # noqa: N818
    """`break`."""


class ContinueLoop(Exception):  # noqa: N818
    """`continue`."""


class Statements(Commands):
    """One method a kind of statement, and a refusal for every other kind."""

    catching: list[ErrorRecord]

    def statements(self, node: Node | None, emit: Emit) -> None:
        for one in node.named if node is not None else ():
            self.statement(one, emit)

    def statement(self, node: Node, emit: Emit) -> None:
        method = self.pipeline if node.kind == "pipeline" else getattr(self, f"_do_{node.kind}", None)
        if method is None:
            raise Unsupported(f"node kind '{node.kind}'", node)
        try:
            method(node, emit)
        except Unsupported as refused:
            if refused.placed:
                raise
            raise Unsupported(str(refused), node) from refused
        except Thrown as thrown:
            if thrown.record.line == 0:
                thrown.record = replace(thrown.record, line=node.line)
            self.succeeded = False
            stops = thrown.ends_script and self.preference() not in ("silentlycontinue", "ignore")
            if self.tries == 0 and not stops and self.preference() != "stop":
                raise Unsupported(f"going on after the error {thrown.record.message!r}", node) from thrown
            raise

    def statement_value(self, node: Node) -> object:
        """What an assignment takes from a statement."""
        if node.kind == "pipeline":
            return self.pipeline_value(node)
        return self.captured(lambda emit: self.statement(node, emit))

    def _block(self, node: Node, emit: Emit) -> None:
        block = node if node.kind == "statement_block" else node.find("statement_block")
        self.statements(block.find("statement_list") if block is not None else None, emit)

    def _do_empty_statement(self, node: Node, emit: Emit) -> None:
        return None

    def _do_function_statement(self, node: Node, emit: Emit) -> None:
        name = node.find("function_name")
        if name is None or node.children[0].text.lower() != "function":
            raise Unsupported("a filter or a workflow", node)
        self.scope.functions[name.text.lower()] = ScriptBlock(node, name.text)

    # --- choices -------------------------------------------------------------------------------------------

    def _holds(self, node: Node | None) -> bool:
        return node is not None and truth(self.statement_value(node))

    def _do_if_statement(self, node: Node, emit: Emit) -> None:
        if self._holds(node.part("condition")):
            self._block(node, emit)
            return
        others = node.find("elseif_clauses")
        for clause in others.every("elseif_clause") if others else ():
            if self._holds(clause.part("condition")):
                self._block(clause, emit)
                return
        if (last := node.find("else_clause")) is not None:
            self._block(last, emit)

    def _do_switch_statement(self, node: Node, emit: Emit) -> None:
        how = node.find("switch_parameters")
        modes = {one.text.lower() for one in how.named} if how else set()
        if modes - {"-regex", "-exact", "-wildcard"}:
            raise Unsupported(f"switch with {sorted(modes)}", node)
        condition, body = node.find("switch_condition"), node.find("switch_body")
        assert condition is not None
        assert body is not None
        given = self.statement_value(condition.named[0])
        if is_null(given):
            raise Unsupported("a switch over $null", node)
        listed = body.find("switch_clauses")
        clauses = listed.every("switch_clause") if listed else []
        for one in spread(given):
            if not self._looped(functools.partial(self._switch_one, one, clauses, modes, emit)):
                return

    def _switch_one(self, item: object, clauses: list[Node], modes: set[str], emit: Emit) -> None:
        held = self.scope.variables.get("_")
        self.set_variable("_", item)
        try:
            matched = False
            for clause in clauses:
                condition = clause.find("switch_clause_condition")
                assert condition is not None
                if condition.text.lower() == "default":
                    continue
                if self._clause_holds(condition, item, modes):
                    matched = True
                    self._block(clause, emit)
            for clause in clauses:
                condition = clause.find("switch_clause_condition")
                if not matched and condition is not None and condition.text.lower() == "default":
                    self._block(clause, emit)
        finally:
            self.scope.variables.pop("_", None)
            if held is not None:
                self.scope.variables["_"] = held

    def _clause_holds(self, condition: Node, item: object, modes: set[str]) -> bool:
        if not condition.named:
            wanted: object = condition.text  # a bare word
        else:
            wanted = self.value(condition.named[0])
        if isinstance(wanted, ScriptBlock):
            return truth(self.captured(lambda emit: self.run_in_place(wanted, item, emit)))
        if "-regex" in modes:
            found = regexes.as_pattern(wanted).search(text(item, self.edition))
            if found:
                self.set_variable("matches", regexes.groups_table(found))
            return found is not None
        if "-wildcard" in modes:
            return regexes.like(text(item, self.edition), text(wanted, self.edition))
        return operators.equal(item, wanted, edition=self.edition)

    # --- loops ---------------------------------------------------------------------------------------------

    def _looped(self, run: Callable[[], None]) -> bool:
        """One round; False where it broke off."""
        self.loops += 1
        try:
            run()
        except ContinueLoop:
            return True
        except BreakLoop:
            return False
        finally:
            self.loops -= 1
        return True

    def _do_foreach_statement(self, node: Node, emit: Emit) -> None:
        if node.find("foreach_parameter") is not None:
            raise Unsupported("foreach -parallel", node)
        variable, source = node.named[0], node.named[1]
        given = self.statement_value(source)
        # Unlike a pipeline, the statement does not run for $null.
        for one in [] if is_null(given) else one_by_one(given):
            self.write(variable, one)
            if not self._looped(lambda: self._block(node, emit)):
                return

    def _do_for_statement(self, node: Node, emit: Emit) -> None:
        first, check, step = (node.find(f"for_{part}") for part in ("initializer", "condition", "iterator"))
        if first is not None:
            self.statement_value(first.named[0])
        while check is None or self._holds(check.named[0]):
            if not self._looped(lambda: self._block(node, emit)):
                return
            if step is not None:
                self.statement_value(step.named[0])

    def _do_while_statement(self, node: Node, emit: Emit) -> None:
        condition = node.find("while_condition")
        while condition is not None and self._holds(condition.named[0]):
            if not self._looped(lambda: self._block(node, emit)):
                return

    def _do_do_statement(self, node: Node, emit: Emit) -> None:
        condition = node.find("while_condition")
        assert condition is not None
        wanted = not any(one.text.lower() == "until" for one in node.children)
        while self._looped(lambda: self._block(node, emit)):
            if self._holds(condition.named[0]) != wanted:
                return

    # --- errors and leaving --------------------------------------------------------------------------------

    def _do_flow_control_statement(self, node: Node, emit: Emit) -> None:
        word = node.children[0].text.lower()
        given = node.named[0] if node.named else None
        match word:
            case "return":
                if given is not None:
                    self.statement(given, emit)
                raise Return
            case "exit":
                raise Exit(0 if given is None else integer(self.statement_value(given)))
            case "throw":
                raise self._thrown(node, given)
            case "break" | "continue":
                if given is not None or len(node.children) > 1:
                    raise Unsupported("a label", node)
                if self.loops == 0:
                    raise Unsupported(f"{word} outside of a loop, which may end the whole script", node)
                raise BreakLoop if word == "break" else ContinueLoop
        raise Unsupported(f"the word {word}", node)

    def _thrown(self, node: Node, given: Node | None) -> Thrown:
        if given is None:
            if self.catching:
                return Thrown(self.catching[-1], ends_script=True)
            return Thrown(ErrorRecord("ScriptHalted", line=node.line), ends_script=True)
        value = self.statement_value(given)
        if isinstance(value, ErrorRecord):
            return Thrown(value, ends_script=True)
        if isinstance(value, Object) and value.type_name.endswith("Exception"):
            message = text(value.properties.get("Message"))
            return Thrown(ErrorRecord(message, value.type_name, node.line), ends_script=True)
        if is_null(value) or not isinstance(value, (str, int, float)):
            raise Unsupported("throw of an object", node)
        shown = text(value, self.edition)
        return Thrown(ErrorRecord(shown, line=node.line, target=to_shell(value)), ends_script=True)

    def _do_try_statement(self, node: Node, emit: Emit) -> None:
        listed = node.find("catch_clauses")
        clauses = listed.every("catch_clause") if listed else []
        try:
            self.tries += 1 if clauses else 0
            try:
                self._block(node, emit)
            finally:
                self.tries -= 1 if clauses else 0
        except Thrown as thrown:
            clause = next((one for one in clauses if self._catches(one, thrown.record)), None)
            if clause is None:
                raise
            self._catch(clause, thrown.record, emit)
        finally:
            if (last := node.find("finally_clause")) is not None:
                self._block(last, emit)

    def _catch(self, clause: Node, record: ErrorRecord, emit: Emit) -> None:
        held = self.scope.variables.get("_")
        self.scope.variables.pop("_", None)
        self.set_variable("_", record)
        self.catching.append(record)
        try:
            self._block(clause, emit)
        finally:
            self.catching.pop()
            self.scope.variables.pop("_", None)
            if held is not None:
                self.scope.variables["_"] = held

    def _catches(self, clause: Node, record: ErrorRecord) -> bool:
        listed = clause.find("catch_type_list")
        if listed is None:
            return True
        name = type_key(record.type_name)
        line = {name, "exception"}
        while (parent := _ANCESTORS.get(name)) is not None:
            name = parent
            line.add(name)
        asked = {type_key(re.sub(r"[\[\]\s]", "", one.text)) for one in listed.every("type_literal")}
        if not asked & line and not asked <= _ANCESTORS.keys() | set(_ANCESTORS.values()):
            raise Unsupported(f"whether {record.type_name} is one of {sorted(asked)}", clause)
        return bool(asked & line)
