"""Each thing that Windows PowerShell 5.1 does not know is found, and what it knows is not."""

from __future__ import annotations

import pytest

from tests.powershell.portable import findings

GOOD = """#requires -Version 5.1
[CmdletBinding(SupportsShouldProcess = $true)]
param([string]$Name = 'x', [switch]$Force)
$ErrorActionPreference = 'Stop'
$script:Count = 0
function Get-Twice {
    param([int]$Number)
    return $Number * 2
}
foreach ($one in 1..3) { $script:Count += Get-Twice -Number $one }
Get-Content -Path $env:TEMP -Raw -ErrorAction SilentlyContinue | ForEach-Object { $_.Trim() } | Out-Null
$path = 'C:\\Windows\\System32\\wsl.exe'
$list = @('--status')
& $path @list 2>&1
wsl.exe --list
"$Count ${Name} $Force ?? $($Name)"
"""

FINDINGS = {
    "Write-Output a && Write-Output b": ["line 1: && between commands, which 5.1 does not know"],
    "$x = 1\n$x || Write-Output b": ["line 2: || between commands, which 5.1 does not know"],
    "1 | ForEach-Object -Parallel { $_ }": ["line 1: ForEach-Object has no parameter -Parallel in 5.1"],
    "'' | ConvertFrom-Json -AsHashtable": ["line 1: ConvertFrom-Json has no parameter -AsHashtable in 5.1"],
    "$IsWindows": ["line 1: $IsWindows, which 5.1 does not know"],
    "'caf\u00e9' # \u2013": ["line 1: characters beyond ASCII: \u00e9 \u2013"],
    "ls": ["line 1: ls is an alias"],
    "1 | % { $_ }": ["line 1: % is an alias"],
    "Get-Nothing": [
        "line 1: the command Get-Nothing is neither the script's, nor a cmdlet that is known, nor declared"
    ],
    "dism.exe /online": [
        "line 1: the command dism.exe is neither the script's, nor a cmdlet that is known, nor declared"
    ],
    "get-content x": ["line 1: get-content is written Get-Content"],
    "function Fetch-It { 1 }": ["line 1: the function Fetch-It has no approved verb"],
    "function helper { 1 }": ["line 1: the function helper is not named Verb-Noun"],
    "function Get-It { param([int]$A)\n$A }\nGet-It -B 1": ["line 3: Get-It has no parameter -B in 5.1"],
    "$a = $b": ["line 1: $b, which nothing sets"],
    '"`u{41} $(1)"': ["line 1: the escape `u, which 5.1 does not know"],
    "'a' -replace 'a', { 'b' }": ["line 1: -replace with a script block, which 5.1 does not know"],
    "Set-Content x -Encoding utf8NoBOM": ["line 1: the encoding utf8NoBOM, which 5.1 does not know"],
}


def test_what_5_1_knows_is_let_through() -> None:
    assert findings(GOOD, programs=["wsl.exe"]) == []


@pytest.mark.parametrize("source", FINDINGS)
def test_finding(source: str) -> None:
    assert findings(source) == FINDINGS[source]


# Here the grammar stumbles too, in words of its own.
OPERATORS = {
    "$x = 1\n$y = $x ?? 2": "??",
    "$x = 1\n$x ??= 2": "??",
    "$x = 1\n$y = ${x}?.Length": "?.",
    "$x = 1\n$y = $x ? 1 : 2": "? :",
}


@pytest.mark.parametrize("source", OPERATORS)
def test_newer_operators(source: str) -> None:
    assert f"line 2: the operator {OPERATORS[source]}, which 5.1 does not know" in findings(source)
