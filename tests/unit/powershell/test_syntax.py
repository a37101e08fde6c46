"""What the grammar did not understand is said with its place, and every node's text is the script's own."""

from __future__ import annotations

import pytest

from tests.powershell import Shell, Unsupported, errors, parse

ERRORS = {
    "$x = 1\n": [],
    "if ($true) {\n  1\n": ["2:4 missing }"],
    "$x = 1\n\n  $y = @(1, 2\n": ["3:3 $y = @(1, 2"],
    "Get-Item 'x\n": ["1:1 Get-Item 'x"],
}


@pytest.mark.parametrize("source", ERRORS)
def test_errors(source: str) -> None:
    assert errors(source) == ERRORS[source]


def test_a_missing_piece_is_an_error() -> None:
    assert errors("function f {\n  $x = (1\n}\n") != []


def test_what_is_not_understood_does_not_run() -> None:
    with pytest.raises(Unsupported, match="the grammar does not understand 2:4 missing"):
        Shell().evaluate("if ($true) {\n  1\n")


def test_texts_are_the_script_s_own() -> None:
    """Multipliers and bare dashes are rewritten for the grammar, in other texts too; nobody sees it."""
    source = "# 5MB -- x\n$a = '1GB -- 2KB'; $b = 2GB\nwsl.exe -- 3MB\n\"\u00e9 4TB -- $a\"\n"
    shown = {node.kind: node.text for node in parse(source).walk()}
    assert shown["verbatim_string_characters"] == "'1GB -- 2KB'"
    assert shown["decimal_integer_literal"] in ("2GB", "3MB")
    assert shown["expandable_string_literal"] == '"\u00e9 4TB -- $a"'
    assert Shell().evaluate("$a = '1GB -- 2KB'; \"4TB -- $a\"; 1KB") == ["4TB -- 1GB -- 2KB", 1024]


def test_lines_and_columns_are_those_of_an_editor() -> None:
    source = "\n\n  $first = 1\n\n\n    $second = 2\n"
    places = [(node.text, node.line, node.column) for node in parse(source).walk() if node.kind == "variable"]
    assert places == [("$first", 3, 3), ("$second", 6, 5)]
