"""Values of parameters, by the type that a module declares."""

from __future__ import annotations

from typing import Any

import pytest

from provisioner.target.system.values import assignment, worded

INT, BYTE = "a whole number from -2147483648 to 2147483647", "a whole number from 0 to 255"
USHORT, WORD = "a whole number from 0 to 65535", "a word without quotes, backslashes and line breaks"


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (True, "bool", "1"),
        (False, "bool", "0"),
        (1, "bool", "1"),
        ("N", "bool", "0"),
        ("on", "invbool", "1"),
        (3, "int", "3"),
        (-1, "int", "-1"),
        ("0x10", "uint", "0x10"),
        (True, "int", "1"),
        ("010", "ushort", "010"),
        (255, "byte", "255"),
        ((1 << 64) - 1, "ulong", str((1 << 64) - 1)),
        ("+5", "long", "+5"),
        ([1, 2], "array of int", "1,2"),
        ("1,2", "array of int", "1,2"),
        ("a", "array of charp", "a"),
        ("RMIntrLockingMode=1;x", "charp", "RMIntrLockingMode=1;x"),
        (["10de:1", "10de:2"], "string", "10de:1,10de:2"),
        (60, "", "60"),
        ("anything", "portnr", "anything"),
        ("", "charp", ""),
    ],
)
def test_what_fits(value: Any, kind: str, text: str) -> None:
    assert worded(value, kind) == text


@pytest.mark.parametrize(
    ("value", "kind", "right"),
    [
        ("sometimes", "bool", "true or false"),
        (2, "bool", "true or false"),
        ([True], "bool", "one value, not a list"),
        ("3x", "int", INT),
        (1 << 31, "int", INT),
        (-1, "byte", BYTE),
        (256, "byte", BYTE),
        ("08", "byte", BYTE),
        ("0777", "byte", BYTE),
        ("", "short", "a whole number from -32768 to 32767"),
        (1.5, "ushort", USHORT),
        ("55O", "ushort", USHORT),
        ([1, "b"], "array of byte", BYTE),
        ('a"b', "charp", WORD),
        ("a\nb", "", WORD),
        ({"a": 1}, "int", "a word or a number"),
        (None, "charp", "a word or a number"),
    ],
)
def test_what_does_not_fit(value: Any, kind: str, right: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        worded(value, kind)
    assert str(caught.value) == right


def test_a_blank_is_quoted() -> None:
    assert [assignment("a", "1"), assignment("a", "b c")] == ["a=1", 'a="b c"']
