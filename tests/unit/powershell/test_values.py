"""Types, comparisons and arithmetic, where PowerShell surprises."""

from __future__ import annotations

import pytest

from tests.powershell import Shell, Thrown, Unsupported

COMPARISONS = {
    # names, operators and text ignore case
    "$Name = 'A'; $NAME -EQ 'a'": [True],
    "'A' -ceq 'a'": [False],
    "'abc' -CONTAINS 'ABC'": [True],
    # the left side says of what type the question is
    "'10' -lt 9": [True],
    "10 -lt '9'": [False],
    "'1' -eq 1": [True],
    "1 -eq '1.0'": [True],
    "'1.0' -eq 1": [False],
    "1 -eq 'one'": [False],
    "$true -eq 'False'": [True],
    "'False' -eq $false": [True],
    "0 -eq ''": [True],
    "'' -eq 0": [False],
    "[version]'10.0.19045' -lt '10.0.19045.0'": [True],
    "[version]'2.10.0' -gt [version]'2.9.1'": [True],
    "'2.10.0' -gt '2.9.1'": [False],
    # $null
    "$null -eq ''": [False],
    "'' -eq $null": [False],
    "0 -eq $null": [False],
    "$null -eq $nothing": [True],
    "$null -lt 0": [True],
    "$null -gt -1": [True],
    "$null -eq @()": [False],
    # an array at the left is filtered
    "@(1, 2, 1) -eq 1": [1, 1],
    "@(1, $null) -ne $null": [1],
    "@('a', 'b') -like 'B*'": ["b"],
    "@('ab', 'cd') -match 'B'": ["ab"],
    "@(@(1, $null) -eq $null).Count": [1],
    "if (@(0, 0) -eq 0) { 'two zeros' }": ["two zeros"],
    "if (@(0) -eq 0) { 'yes' } else { 'one zero is false' }": ["one zero is false"],
    # membership
    "1 -in @('1', 2)": [True],
    "'1' -in @(1, 2)": [True],
    "'x' -notin 'X', 'y'": [False],
    "@('A') -notcontains 'a'": [False],
    "@() -contains $null": [False],
    # types
    "'a' -is [string]; 1 -is [int]; 1L -is [int]; 3000000000 -is [long]; 1.0 -is [double]": [
        True, True, False, True, True,
    ],
    "$null -is [object]; @() -is [object[]]; @{} -is [hashtable]; [ordered]@{} -is [hashtable]": [
        False, True, True, False,
    ],
    "'5' -as [int]; $null -eq ('five' -as [int])": [5, True],
    "'a*c' -like 'A?C'; 'abc' -notlike 'b*'": [True, True],
}  # fmt: skip

TRUTH = {
    "$null":
        False, "''": False, "' '": True, "'0'": True, "'False'": True, "0": False, "0.0": False, "-1": True,
    "@()": False, "@(0)": False, "@('')": False, "@('False')": True, "@(0, 0)": True, "@($null)": False,
    "@{}": True, ", @()": False, ", @(0)": True, "{ 1 }": True, "[version]'0.0'": True,
}  # fmt: skip

ARITHMETIC = {
    "7 / 2; 6 / 2; 7 % 4; -7 % 4": [3.5, 3, 3, -3],
    "(6 / 2) -is [int]; (7 / 2) -is [double]": [True, True],
    "'5' + 2; 5 + '2'; '5' - 2; '5' * 3": ["52", 7, 3, "555"],
    "2147483647 + 1": [2147483648.0],
    "(2147483647 + 1) -is [double]; (2147483648 + 1) -is [long]": [True, True],
    "$null + 'a'; $null + 1; 'a' + $null; 1 + $null; 1 + $true": ["a", 1, "a", 1, 2],
    "@(1, 2) + 3": [1, 2, 3],
    "@(1) + @()": [1],
    "@(1) + $null": [1, None],
    "(@(1) + (& { $x = 1 })).Count": [1],
    "@(1, 2) * 2": [1, 2, 1, 2],
    "1 + 2 * 3 - 4; (1 + 2) * 3": [3, 9],
    "1KB; 2MB / 1MB; 1GB; 0x10; 1.5KB": [1024, 2, 1073741824, 16, 1536.0],
    "3..1; 1..2": [3, 2, 1, 1, 2],
    "6 -band 3; 6 -bor 1": [2, 7],
    "(@{ a = 1 } + @{ b = 2 }).Count": [2],
    "$a = @(); $a += 1; $a += , @(2, 3); $a.Count": [2],
    "$i = 1; $i++; $i += 5; $i--; $i": [6],
    "$h = @{}; $h.n++; $h.n": [1],
    "-not 1 -eq 0": [True],
    "1, 2 + 3": [1, 2, 3],
    "!$false -and -not $false": [True],
    "$false -and (throw 'not reached')": [False],
}

CASTS = {
    "[int]2.5; [int]3.5; [int]'2.5'; [int]-2.5; [int]''; [int]$null": [2, 4, 2, -2, 0, 0],
    "[int]$true; [long]'4294967296'; [double]'1.5'; [int]'0x10'; "
    "[int][char]'A'": [1, 4294967296, 1.5, 16, 65],
    "[string]1.0; [string]$true; [string]$null; [string]@(1, 2); "
    "[string]1.5": ["1", "True", "", "1 2", "1.5"],
    "[bool]'False'; [bool]0; [bool]@()": [True, False, False],
    "[char]65; [string][char]10": ["A", "\n"],
    "([version]'1.2').Build; ([version]'1.2.3').Revision; ([version]'1.2').ToString()": [-1, -1, "1.2"],
    "[int[]]@('1', '2')": [1, 2],
    "[string[]]'a'": ["a"],
    "([string[]]'a').Count; ([array]'a').Count": [1, 1],
    "[int]$n = '7'; $n + 1": [8],
    "[int]$n = 1; $n = '7'; $n + 1": [8],
    "$n = '7'; $n + 1": ["71"],
    "[void](1 + 1)": [],
    "[math]::Round(2.5); [Math]::Round(1.25, 1); [Math]::Floor(-1.5); [Math]::Max(1, 2)": [2.0, 1.2, -2.0, 2],
    "[string]::IsNullOrEmpty(''); [string]::IsNullOrWhiteSpace(\" `t\"); [string]::IsNullOrEmpty('x')": [
        True, True, False,
    ],
    "[string]::Join('-', @(1, 2)); [Environment]::NewLine": ["1-2", "\r\n"],
}  # fmt: skip


@pytest.mark.parametrize("snippet", [*COMPARISONS, *ARITHMETIC, *CASTS])
def test_value(snippet: str) -> None:
    assert Shell().evaluate(snippet) == (COMPARISONS | ARITHMETIC | CASTS)[snippet]


@pytest.mark.parametrize("snippet", TRUTH)
def test_truth(snippet: str) -> None:
    assert Shell().evaluate(f"if ({snippet}) {{ $true }} else {{ $false }}") == [TRUTH[snippet]]


@pytest.mark.parametrize(("edition", "shown"), [("5.1", "0.3"), ("7", "0.30000000000000004")])
def test_a_double_s_text_is_the_edition_s(edition: str, shown: str) -> None:
    assert Shell(edition=edition).evaluate('"$(0.1 + 0.2)"') == [shown]


_NO_NUMBER = 'Cannot convert value "one" to a number. Error: "Input string was not in a correct format."'
FAILURES = {
    "1 / 0": "Attempted to divide by zero.",
    "[int]'one'": _NO_NUMBER,
    "[int]3000000000": 'Cannot convert value "3000000000" to type "System.Int32". Error: "Value was either '
    'too large or too small for an Int32."',
    "1 + 'one'": _NO_NUMBER,
    "[version]'5'": 'Cannot convert value "5" to type "System.Version".',
    "[version]'1.2' -lt 'x'": 'Cannot convert value "x" to type "System.Version".',
    "$null.Trim()": "You cannot call a method on a null-valued expression.",
    "$null[0]": "Cannot index into a null array.",
    "[ordered]@{ a = 1 } | ForEach-Object { $_.ContainsKey('a') }": "Method invocation failed because "
    "[System.Collections.Specialized.OrderedDictionary] does not contain a method named 'ContainsKey'.",
    "$true = 1": "Cannot overwrite variable true because it is read-only or constant.",
    "'abc'.Substring(2, 5)": (
        "Index and length must refer to a location within the string. Parameter name: length"
    ),
}


@pytest.mark.parametrize("snippet", FAILURES)
def test_failure(snippet: str) -> None:
    with pytest.raises(Thrown) as thrown:
        Shell().evaluate(f"$ErrorActionPreference = 'Stop'; {snippet}")
    assert str(thrown.value) == FAILURES[snippet]


REFUSALS = {
    "'a-b' -lt 'ab'": "an order that hangs on the culture: 'a-b' and 'ab' at line 1: 'a-b' -lt 'ab'",
    "1.0 / 0": "a double divided by zero at line 1: 1.0 / 0",
    "1.5d": "the command 1.5d, which no test registered at line 1: 1.5d",
    "[datetime]'2026-01-01'": "a cast of string to [datetime] at line 1: [datetime]'2026-01-01'",
    "1 -shl 2": "the operator -shl at line 1: 1 -shl 2",
    "switch ($null) { 1 { 2 } }": "a switch over $null at line 1: switch ($null) { 1 { 2 } }",
    "class A { }": "node kind 'class_statement' at line 1: class A { }",
    "$x = 1\ntrap { }": "node kind 'trap_statement' at line 2: trap { }",
    "$Error": "the variable $error at line 1: $Error",
    "1 / 0": "going on after the error 'Attempted to divide by zero.' at line 1: 1 / 0",
}


@pytest.mark.parametrize("snippet", REFUSALS)
def test_refusal(snippet: str) -> None:
    with pytest.raises(Unsupported) as refused:
        Shell().evaluate(snippet)
    assert str(refused.value) == REFUSALS[snippet]
