"""Expressions: one method a kind of node, and a refusal for every other kind."""

from __future__ import annotations

import re
from abc import abstractmethod

from tests.powershell import coercion, formats, members, operators, regexes, strings
from tests.powershell.coercion import number, text, truth
from tests.powershell.state import Emit, State
from tests.powershell.syntax import Node, Unsupported
from tests.powershell.values import (
    VOID,
    Char,
    Object,
    ScriptBlock,
    Table,
    TypeName,
    Void,
    collected,
)

INCREMENTS = (
    "post_increment_expression",
    "post_decrement_expression",
    "pre_increment_expression",
    "pre_decrement_expression",
)


class Expressions(State):
    """Values of nodes."""

    @abstractmethod
    def statements(self, node: Node | None, emit: Emit) -> None: ...

    @abstractmethod
    def statement_value(self, node: Node) -> object: ...

    @abstractmethod
    def call_block(self, block: ScriptBlock, arguments: list[object]) -> object: ...

    def value(self, node: Node) -> object:
        method = getattr(self, f"_{node.kind}", None)
        if method is None:
            raise Unsupported(f"node kind '{node.kind}'", node)
        result: object = method(node)
        return result

    # --- literals ------------------------------------------------------------------------------------------

    def _decimal_integer_literal(self, node: Node) -> object:
        return strings.literal_number(node)

    _hexadecimal_integer_literal = _decimal_integer_literal
    _real_literal = _decimal_integer_literal

    def _verbatim_string_characters(self, node: Node) -> object:
        return strings.verbatim(node)

    def _verbatim_here_string_characters(self, node: Node) -> object:
        return strings.verbatim_here(node)

    def _expandable_string_literal(self, node: Node) -> object:
        return "".join(
            piece if isinstance(piece, str) else text(self.value(piece), self.edition)
            for piece in strings.pieces(node)
        )

    _expandable_here_string_literal = _expandable_string_literal

    def _variable(self, node: Node) -> object:
        if node.text.startswith("@"):
            raise Unsupported("splatting outside of a command's arguments", node)
        return self.read(node)

    _braced_variable = _variable

    def _script_block_expression(self, node: Node) -> object:
        return ScriptBlock(node)

    def _type_literal(self, node: Node) -> TypeName:
        name = re.sub(r"\s", "", node.text)[1:-1]
        array = name.endswith("[]")
        name = name.removesuffix("[]")
        if "[" in name:
            raise Unsupported("a generic type", node)
        return TypeName(name, array)

    def _array_literal_expression(self, node: Node) -> object:
        return [None if isinstance(one, Void) else one for one in map(self.value, node.named)]

    def _array_expression(self, node: Node) -> object:
        outputs: list[object] = []
        self.statements(node.find("statement_list"), outputs.append)
        return outputs

    def _sub_expression(self, node: Node) -> object:
        outputs: list[object] = []
        self.statements(node.find("statement_list"), outputs.append)
        return collected(outputs)

    def _parenthesized_expression(self, node: Node) -> object:
        return self.statement_value(node.named[0])

    def _hash_literal_expression(self, node: Node) -> Table:
        return self.table(node, ordered=False)

    def table(self, node: Node, *, ordered: bool) -> Table:
        """A hash literal's entries."""
        made = Table(ordered=ordered)
        body = node.find("hash_literal_body")
        for entry in body.every("hash_entry") if body else ():
            key_node, value_node = entry.named
            key = key_node.text if key_node.kind == "simple_name" else self.value(key_node)
            if key in made:
                raise Unsupported(f"the key {text(key)} twice in a hash literal", node)
            made.set(key, self.statement_value(value_node))
        return made

    # --- operators -----------------------------------------------------------------------------------------

    def _logical_expression(self, node: Node) -> object:
        left, operator, right = node.children
        one = truth(self.value(left))
        match operator.text.lower():
            case "-and":
                return one and truth(self.value(right))
            case "-or":
                return one or truth(self.value(right))
            case "-xor":
                return one != truth(self.value(right))
        raise Unsupported(f"the operator {operator.text}", node)

    def _bitwise_expression(self, node: Node) -> object:
        left, operator, right = node.children
        return operators.bitwise(operator.text.lower(), self.value(left), self.value(right))

    def _comparison_expression(self, node: Node) -> object:
        left, operator, right = node.children
        name = operator.text.lower()
        one, two = self.value(left), self.value(right)
        bare = name.lstrip("-").removeprefix("not")
        if bare in ("match", "cmatch", "imatch", "cnotmatch", "inotmatch"):
            return self._matched(one, two, name)
        if bare in ("replace", "creplace", "ireplace"):
            return self._replaced(one, two, ignore_case=bare != "creplace")
        return operators.comparison(name, one, two, self.edition)

    def _matched(self, left: object, right: object, name: str) -> object:
        pattern = regexes.as_pattern(right, ignore_case=not name.startswith("-c"))
        wanted = "not" not in name
        if isinstance(left, list):
            return [one for one in left if bool(pattern.search(text(one, self.edition))) == wanted]
        found = pattern.search(text(left, self.edition))
        if found:
            self.set_variable("matches", regexes.groups_table(found))
        return bool(found) == wanted

    def _replaced(self, left: object, right: object, *, ignore_case: bool) -> object:
        asked = right if isinstance(right, list) else [right, ""]
        if not 1 <= len(asked) <= 2:
            raise Unsupported(f"-replace with {len(asked)} things at its right")
        by = asked[1] if len(asked) == 2 else ""
        if isinstance(by, ScriptBlock) and self.edition == "5.1":
            raise Unsupported("-replace with a script block, which Windows PowerShell 5.1 does not know")
        pattern = regexes.as_pattern(asked[0], ignore_case=ignore_case)
        if isinstance(left, list):
            return [members.replaced(pattern, text(one, self.edition), by, self) for one in left]
        return members.replaced(pattern, text(left, self.edition), by, self)

    def _additive_expression(self, node: Node) -> object:
        left, operator, right = node.children
        return operators.ARITHMETIC[operator.text](self.value(left), self.value(right), self.edition)

    _multiplicative_expression = _additive_expression

    def _format_expression(self, node: Node) -> object:
        left, _, right = node.children
        template, given = self.value(left), self.value(right)
        return formats.composed(text(template), given if isinstance(given, list) else [given], self.edition)

    def _range_expression(self, node: Node) -> object:
        left, _, right = node.children
        return operators.span(self.value(left), self.value(right))

    def _expression_with_unary_operator(self, node: Node) -> object:
        operator, operand = node.children
        name, value = operator.text.lower(), self.value(operand)
        match name:
            case "-not" | "!":
                return not truth(value)
            case ",":
                return [None if isinstance(value, Void) else value]
            case "-":
                return operators.subtract(0, value, self.edition)
            case "+":
                return number(value)
            case "-join":
                return "".join(
                    text(one, self.edition) for one in (value if isinstance(value, list) else [value])
                )
            case "-split":
                return [
                    word
                    for one in (value if isinstance(value, list) else [value])
                    for word in text(one).split()
                ]
        raise Unsupported(f"the operator {operator.text}", node)

    def _cast_expression(self, node: Node) -> object:
        kind_node, operand = node.children
        kind = self._type_literal(kind_node)
        name = coercion.type_key(kind.name)
        if operand.kind == "hash_literal_expression" and name in ("ordered", "pscustomobject"):
            table = self.table(operand, ordered=True)
            return table if name == "ordered" else Object({text(key): one for key, one in table.items()})
        value = self.value(operand)
        if name == "regex" and not kind.array:
            return (
                value if isinstance(value, re.Pattern) else regexes.compiled(text(value), ignore_case=False)
            )
        return coercion.cast(value, kind, self.edition)

    # --- members -------------------------------------------------------------------------------------------

    def member_name(self, node: Node) -> str:
        return node.text if node.kind == "simple_name" else text(self.value(node))

    def _member_access(self, node: Node) -> object:
        target, separator, name_node = node.children
        name, value = self.member_name(name_node), self.value(target)
        if separator.text == "::":
            return self.statics.get(self._type(value, node), name)
        return members.get(value, name, self)

    def _element_access(self, node: Node) -> object:
        target, _, key, _ = node.children
        return members.index(self.value(target), self.value(key), self)

    def _invokation_expression(self, node: Node) -> object:
        target, separator, name_node, argument_list = node.children
        name, value = self.member_name(name_node), self.value(target)
        given = argument_list.find("argument_expression_list")
        arguments = [
            None if isinstance(one, Void) else one for one in map(self.value, given.named if given else ())
        ]
        if separator.text == "::":
            return self.statics.call(self._type(value, node), name, arguments, self)
        return members.call(value, name, arguments, self)

    @staticmethod
    def _type(value: object, node: Node) -> TypeName:
        if not isinstance(value, TypeName):
            raise Unsupported("a static member of what is no type", node)
        return value

    # --- assignment ----------------------------------------------------------------------------------------

    def assign(self, node: Node) -> object:
        """`left = right` and its kind; the value that was stored."""
        left, operator, right = node.children
        value = self.statement_value(right)
        if operator.text != "=":
            arithmetic = operators.ARITHMETIC.get(operator.text[:-1])
            if arithmetic is None:
                raise Unsupported(f"the operator {operator.text}", node)
            value = arithmetic(self.value(left), value, self.edition)
        return self.store(left, value)

    _assignment_expression = assign

    def store(self, left: Node, value: object) -> object:
        match left.kind:
            case "variable" | "braced_variable":
                return self.write(left, value)
            case "cast_expression" if left.children[1].kind in ("variable", "braced_variable"):
                return self.write(left.children[1], value, self._type_literal(left.children[0]))
            case "member_access":
                target, separator, name = left.children
                if separator.text == "::":
                    self.statics.put(self._type(self.value(target), left), self.member_name(name), value)
                else:
                    members.put(self.value(target), self.member_name(name), value, self)
                return value
            case "element_access":
                members.put_index(self.value(left.children[0]), self.value(left.children[2]), value)
                return value
            case "array_literal_expression":
                return self._store_each(left.named, value)
        raise Unsupported(f"an assignment to a {left.kind}", left)

    def _store_each(self, targets: tuple[Node, ...], value: object) -> object:
        given = value if isinstance(value, list) else [value]
        for place, target in enumerate(targets[:-1]):
            self.store(target, given[place] if place < len(given) else None)
        self.store(targets[-1], collected(given[len(targets) - 1 :]) if len(given) >= len(targets) else None)
        return value

    def _increment(self, node: Node) -> object:
        target = next(child for child in node.children if child.text not in ("++", "--"))
        old = self.value(target)
        step = 1 if "increment" in node.kind else -1
        if isinstance(old, (str, Char, list)):
            raise Unsupported(f"{node.kind} of a {coercion.type_of(old)}", node)
        new = operators.add(0 if old is None or old is VOID else old, step, self.edition)
        self.store(target, new)
        return (0 if old is None else old) if node.kind.startswith("post") else new

    _post_increment_expression = _post_decrement_expression = _increment
    _pre_increment_expression = _pre_decrement_expression = _increment
