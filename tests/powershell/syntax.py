"""Source text to a tree that is easy to walk, and what the grammar did not understand.

The grammar knows what follows a number in small letters only, and no bare `--`. Both are put into a form it
knows before it parses, letter for letter, so that each position and each text still comes from the script
as written. It wants a new line after param() in a function, and quotes around what a comma joins.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import tree_sitter
import tree_sitter_powershell

# Nodes that say nothing once they hold a single thing: the ladder of precedences, and what wraps literals.
_LADDER = frozenset({
    "logical_expression", "bitwise_expression", "comparison_expression", "additive_expression",
    "multiplicative_expression", "format_expression", "range_expression", "array_literal_expression",
    "unary_expression", "expression_with_unary_operator", "string_literal", "integer_literal",
    "argument_expression", "path_command_name", "key_expression", "member_name", "left_assignment_expression",
})  # fmt: skip
_MULTIPLIER = re.compile(rb"(?<=\d)(KB|Kb|kB|MB|Mb|mB|GB|Gb|gB|TB|Tb|tB|PB|Pb|pB)\b")
_LONG = re.compile(rb"(?<=\d)L\b")
_DASHES = re.compile(rb"(?<=[ \t])--(?=[ \t])")


class Unsupported(Exception):  # noqa: N818 - a refusal, not a failure of the script
    """What this interpreter does not know, or would have to guess."""

    def __init__(self, message: str, node: Node | None = None) -> None:
        self.placed = node is not None
        super().__init__(f"{message} at line {node.line}: {shorten(node.text)}" if node else message)


def shorten(text: str) -> str:
    line = text.strip().splitlines()[0] if text.strip() else ""
    return line if len(line) <= 80 else line[:77] + "..."


@dataclass(frozen=True, eq=False)
class Node:
    """One node: its text is the script's own."""

    kind: str
    text: str
    line: int
    column: int
    children: tuple[Node, ...] = field(repr=False)
    role: str | None = None
    start: int = 0
    end: int = 0

    @functools.cached_property
    def named(self) -> tuple[Node, ...]:
        """Children that are no punctuation or keyword."""
        return tuple(child for child in self.children if child.kind[0].isalpha() and child.kind not in _WORDS)

    def find(self, kind: str) -> Node | None:
        return next((child for child in self.children if child.kind == kind), None)

    def every(self, kind: str) -> list[Node]:
        return [child for child in self.children if child.kind == kind]

    def part(self, role: str) -> Node | None:
        return next((child for child in self.children if child.role == role), None)

    def walk(self) -> Iterator[Node]:
        yield self
        for child in self.children:
            yield from child.walk()


_WORDS = frozenset({
    "if", "elseif", "else", "foreach", "for", "while", "do", "until", "in", "switch", "try", "catch",
    "finally", "function", "filter", "param", "return", "break", "continue", "throw", "exit", "comment",
    "begin", "process", "end",
})  # fmt: skip


def parse(source: str) -> Node:
    """The tree of a script, errors and all."""
    return _convert(_parsed(source), source.encode(), None)


def errors(source: str) -> list[str]:
    """Every place the grammar did not understand: `line:column text`."""
    found = []
    for node in _strangers(_parsed(source)):
        text = node.text.decode() if node.text else ""
        line, column = _place(node.start_point.row, node.start_point.column, text)
        found.append(f"{line}:{column} {f'missing {node.type}' if node.is_missing else shorten(text)}")
    return found


@functools.lru_cache(maxsize=64)
def understood(source: str) -> Node:
    """The tree of a script that the grammar understands; a refusal otherwise."""
    if found := errors(source):
        raise Unsupported(f"the grammar does not understand {'; '.join(found[:5])}")
    return parse(source)


def _parsed(source: str) -> tree_sitter.Node:
    known = _DASHES.sub(b"xx", _LONG.sub(b"l", source.encode()))
    known = _MULTIPLIER.sub(lambda found: found.group().lower(), known)
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))
    return parser.parse(known).root_node


def _strangers(node: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    if node.is_error or node.is_missing:
        yield node
    elif node.has_error:
        for child in node.children:
            yield from _strangers(child)


def _place(row: int, column: int, text: str) -> tuple[int, int]:
    """Nodes may begin with the blanks before them."""
    blanks = text[: len(text) - len(text.lstrip())]
    if "\n" in blanks:
        return row + 1 + blanks.count("\n"), len(blanks) - blanks.rindex("\n")
    return row + 1, column + len(blanks) + 1


def _convert(node: tree_sitter.Node, source: bytes, role: str | None) -> Node:
    kind = node.type.replace("_argument_expression", "_expression")
    # The list is read once: each access makes all of it anew.
    children = node.children
    if kind in _LADDER and len(children) == 1:
        return _convert(children[0], source, role)
    text = source[node.start_byte : node.end_byte].decode()
    line, column = _place(node.start_point.row, node.start_point.column, text)
    bare = text.strip()
    start = node.start_byte + len(text[: len(text) - len(text.lstrip())].encode())
    return Node(
        kind, bare, line, column,
        tuple(
            _convert(child, source, node.field_name_for_child(index))
            for index, child in enumerate(children)
            if child.type != "comment"
        ),
        role, start, start + len(bare.encode()),
    )  # fmt: skip
