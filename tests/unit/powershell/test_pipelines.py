"""What functions and pipelines write, and what an assignment takes of it."""

from __future__ import annotations

import pytest

from tests.powershell import Native, Ran, Shell, Thrown, Unsupported

OUTPUTS = {
    # a function writes whatever no assignment took
    "function f { 1; 'a'; $x = 2; return 3; 4 }; f": [1, "a", 3],
    "function f { @(1, 2) }; @(f).Count": [2],
    "function f { , @(1, 2) }; @(f).Count; (f).Count": [1, 2],
    "function f { return , @() }; $x = f; $x.Count; $null -eq $x": [0, False],
    "function f { @() }; $x = f; $null -eq $x; @($x).Count; @(f).Count": [True, 0, 0],
    "function f { @(1) }; $x = f; $x -is [int]": [True],
    "function f { $null }; @(f).Count": [1],
    "function f { return }; @(f).Count": [0],
    "function f { if ($false) { 1 } }; $x = f; @($x).Count; foreach ($one in $x) { 'ran' }": [0],
    "$x = $null; foreach ($one in $x) { 'never' }; $x | ForEach-Object { 'once' }": ["once"],
    "$x = @(1); $x.GetType().Name; $y = if ($true) { @(1) }; $y.GetType().Name": ["Object[]", "Int32"],
    "$x = foreach ($i in 1..3) { $i * 2 }; $x": [2, 4, 6],
    "$null = 5; [void]5; 5 | Out-Null": [],
    "($x = 5); $y = $z = 6; $y + $z": [5, 12],
    "$i = 1; $i++; ($i++); $i": [2, 3],
    # pipelines
    "1, 2, 3 | ForEach-Object { $_ * 2 } | Where-Object { $_ -gt 2 }": [4, 6],
    "@(1, @(2, 3)) | ForEach-Object { @($_).Count }": [1, 2],
    "@() | ForEach-Object { 'never' }": [],
    "@{ a = 1 } | ForEach-Object { $_.a }": [1],
    "1..9 | Select-Object -First 2": [1, 2],
    "1..5 | Select-Object -Skip 1 -First 2; 1..5 | Select-Object -Last 1": [2, 3, 5],
    "1..9 | ForEach-Object { $n++; $_ } | Select-Object -First 2 | Out-Null; $n": [2],
    "function f { foreach ($i in 1..9) { $script:n++; $i } }; f | Select-Object -First 2; $n": [1, 2, 2],
    "3, 1, 2 | Sort-Object; 'b', 'A' | Sort-Object -Descending; 2, 2, 1 | Sort-Object -Unique": [
        1, 2, 3, "b", "A", 1, 2,
    ],
    "$o = @{ n = 2 }, @{ n = 1 } | Sort-Object { $_.n }; $o[0].n": [1],
    "(1, 2, 3 | Measure-Object -Sum).Sum; (1, 2 | Measure-Object).Count": [6.0, 2],
    "Write-Output 1 2; Write-Output @(3, 4); @(Write-Output -NoEnumerate @(5, 6)).Count": [1, 2, 3, 4, 1],
    "'a', 'b' | Out-String": ["a\r\nb\r\n"],
    "1..3 | ForEach-Object { if ($_ -eq 2) { return }; $_ }": [1, 3],
    "$x = 0; 1..3 | ForEach-Object { $x += $_ }; $x": [6],
    "$x = 0; & { $x = 5 }; $x; . { $x = 5 }; $x": [0, 5],
    "'x' | ForEach-Object { 'y' | ForEach-Object { $_ }; $_ }": ["y", "x"],
    # members of many
    "$o = @(@{ n = 1 }, @{ n = 2 }); ($o | ForEach-Object { [pscustomobject]$_ }).n": [1, 2],
    "('a', 'bc').Length; ('a', 'bc').ToUpper()": [2, "A", "BC"],
    "'abc'.Count; (5).Count; $null.Count; @($null).Count": [1, 1, 0, 1],
    # what is asked of JSON
    "('{\"A\": 1, \"b\": [1, {\"c\": null}]}' | ConvertFrom-Json).a": [1],
    "$j = '{\"b\": 2, \"a\": 1}' | ConvertFrom-Json; "
    'foreach ($p in $j.PSObject.Properties) { "$($p.Name)=$($p.Value)" }': [
        "b=2", "a=1",
    ],
    "$j = '{\"b\": 2}' | ConvertFrom-Json; $null -eq $j.PSObject.Properties['a']; "
    "$j.PSObject.Properties['B'].Value": [
        True, 2,
    ],
    "@('[1,', '2]') | ConvertFrom-Json | ForEach-Object { $_.Count }": [2],
    "[ordered]@{ a = 1; b = @('x') } | ConvertTo-Json -Compress": ['{"a":1,"b":["x"]}'],
    "'it''s <a>' | ConvertTo-Json": ['"it\\u0027s \\u003ca\\u003e"'],
    "@(, 1) | ConvertTo-Json -Compress; ConvertTo-Json -Compress -InputObject @(1)": ["1", "[1]"],
    # paths
    "Split-Path '\\\\s\\t\\u\\v'; Split-Path 'C:\\a'": ["\\\\s\\t\\u", "C:\\"],
    "Join-Path 'C:\\a\\' 'b/c'; Split-Path -Parent 'C:\\a\\b'; Split-Path 'C:\\a\\b' -Leaf": [
        "C:\\a\\b\\c", "C:\\a", "b",
    ],
}  # fmt: skip

TABLES = {
    "$h = @{ A = 1 }; $h['a']; $h.A; $h.ContainsKey('a'); $h.Contains('b'); $h.b": [1, 1, True, False, None],
    "$h = @{ 1 = 'n'; '1' = 's' }; $h[1]; $h['1']": ["n", "s"],
    "$h = [ordered]@{ z = 1; a = 2 }; $h.Keys; $h[0]; $h.Count": ["z", "a", 1, 2],
    "$h = @{ count = 7 }; $h.Count; $h.Keys": [7, "count"],
    "$h = @{ a = 1 }; $g = $h; $g.a = 2; $h.a; $h.Remove('A'); $h.Count": [2, 0],
    '$o = [pscustomobject]@{ b = 1; a = 2 }; "$o"; $o.B': ["@{b=1; a=2}", 1],
    '"$(@{})"': ["System.Collections.Hashtable"],
    "$a = @(1, 2, 3); $a[-1]; $a[9]; $a[0, 2]; $a[1] = 5; $a[1]": [3, None, 1, 3, 5],
    "$a = 1, 2; $b = $a; $b += 3; $a.Count": [2],
    "$a, $b = 1, 2, 3; $a; $b": [1, 2, 3],
    'foreach ($p in ([ordered]@{ x = 1 }).GetEnumerator()) { "$($p.Key)=$($p.Value)" }': ["x=1"],
}


@pytest.mark.parametrize("snippet", [*OUTPUTS, *TABLES])
def test_output(snippet: str) -> None:
    assert Shell().evaluate(snippet) == (OUTPUTS | TABLES)[snippet]


def test_a_table_does_not_change_under_a_loop() -> None:
    changing = "foreach ($k in {}) {{ $h[$k] = 0 }}"
    shell = Shell()
    shell.evaluate("$ErrorActionPreference = 'Stop'; $h = @{ a = 1; b = 2 }")
    with pytest.raises(Thrown, match="Collection was modified"):
        shell.evaluate(changing.format("$h.Keys"))
    assert shell.evaluate(changing.format("@($h.Keys)") + "; $h.a; $h.b") == [0, 0]


def test_a_hashtable_promises_no_order() -> None:
    assert Shell().evaluate("@{ a = 1; b = 2 }.Keys") == ["b", "a"]


@pytest.mark.parametrize(("edition", "counts"), [("5.1", [2]), ("7", [1, 1])])
def test_an_array_from_json_comes_in_one_piece_in_5_1(edition: str, counts: list[int]) -> None:
    snippet = "'[1, 2]' | ConvertFrom-Json | ForEach-Object { @($_).Count }"
    assert Shell(edition=edition).evaluate(snippet) == counts


@pytest.mark.parametrize(("edition", "count"), [("5.1", None), ("7", 1)])
def test_one_object_has_no_count_in_5_1(edition: str, count: int | None) -> None:
    assert Shell(edition=edition).evaluate("([pscustomobject]@{ a = 1 }).Count") == [count]


# --- commands of a test -----------------------------------------------------------------------------------


def test_a_cmdlet_gets_its_arguments() -> None:
    calls: list[object] = []

    def record(args: list[object], named: dict[str, object], given: list[object]) -> list[object]:
        calls.append((args, named, given))
        return ["one", {"Two": [2]}]

    shell = Shell({"Get-Item": record})
    assert shell.evaluate(
        "(1, 2 | get-item 'C:\\x' -Force -Filter:'*' -ErrorAction SilentlyContinue)[1].two"
    ) == [2]
    assert calls == [(["C:\\x"], {"force": True, "filter": "*"}, [1, 2])]


def test_splatting() -> None:
    calls: list[object] = []

    def record(args: list[object], named: dict[str, object], given: list[object]) -> None:
        calls.append((args, named))

    Shell({"Get-Item": record}).evaluate(
        "$h = @{ Path = 'x'; Force = $true }; Get-Item @h; $a = 'y', 'z'; Get-Item @a"
    )
    assert calls == [([], {"path": "x", "force": True}), (["y", "z"], {})]


def wsl(arguments: list[str], given: list[str]) -> Ran:
    return Ran(len(arguments) - 1, [*arguments, *given], ["from stderr"] if "loud" in arguments else [])


NATIVE = {
    "wsl.exe --status; $LASTEXITCODE; $?": ["--status", 0, True],
    "$null = wsl -d Ubuntu -- x; $LASTEXITCODE; if (-not $?) { 'unreached' }": [3],
    "$a = '-d', 'My Ubuntu'; & wsl.exe @a; & wsl.exe $a 5": ["-d", "My Ubuntu", "-d", "My Ubuntu", "5"],
    "$exe = 'C:\\Windows\\System32\\wsl.exe'; 'in' | & $exe --exec sh": ["--exec", "sh", "in"],
    "(wsl loud 2>&1 | ForEach-Object { \"$_\" }) -join '+'": ["loud+from stderr"],
    "@(wsl loud 2>$null).Count; @(wsl loud *> $null).Count": [1, 0],
    "wsl one:two --set-version 2": ["one:two", "--set-version", "2"],
}


@pytest.mark.parametrize("snippet", NATIVE)
def test_a_native_program(snippet: str) -> None:
    assert Shell({"wsl.exe": Native(wsl)}).evaluate(snippet) == NATIVE[snippet]


def test_what_5_1_makes_of_redirected_stderr() -> None:
    """An error that ends the script, under 'Stop'; 7 makes nothing of it."""
    snippet = "$ErrorActionPreference = 'Stop'; try { wsl loud 2>$null } catch { \"caught $_\" }"
    assert Shell({"wsl.exe": Native(wsl)}).evaluate(snippet) == ["caught from stderr"]
    assert Shell({"wsl.exe": Native(wsl)}, edition="7").evaluate(snippet) == ["loud"]


BROKEN = ("''", "'say \"hi\"'", "'C:\\My folder\\'")


@pytest.mark.parametrize("argument", BROKEN)
def test_5_1_hands_these_arguments_over_broken(argument: str) -> None:
    with pytest.raises(Unsupported, match=r"which Windows PowerShell 5\.1 hands over broken"):
        Shell({"wsl.exe": Native(wsl)}).evaluate(f"wsl.exe {argument}")
    assert len(Shell({"wsl.exe": Native(wsl)}, edition="7").evaluate(f"wsl.exe {argument}")) == 1


# What is said before the place.
REFUSALS = {
    "Get-Nothing": "the command Get-Nothing, which no test registered",
    "ls": "the alias ls",
    "Get-Content x -AsByteStream": "the parameter -AsByteStream of Get-Content",
    "1 && 2": "a pipeline chain, which Windows PowerShell 5.1 does not know",
    "1 | ForEach-Object { break }": "break outside of a loop, which may end the whole script",
    "Write-Output a$b": "a bare argument with signs in it; put it in quotes",
    "Write-Output $b\\c": "the grammar does not understand 1:1 Write-Output $b\\c",
    "Join-Path a b c": "Join-Path with more than two parts, which Windows PowerShell 5.1 does not know",
    "@{ a = @{ b = @{ c = @{ d = 1 } } } } | ConvertTo-Json": (
        "JSON deeper than -Depth, of which PowerShell writes the type's name"
    ),
}


@pytest.mark.parametrize("snippet", REFUSALS)
def test_refusal(snippet: str) -> None:
    with pytest.raises(Unsupported) as refused:
        Shell({"Get-Content": lambda args, named, given: []}).evaluate(snippet)
    assert str(refused.value).partition(" at line ")[0] == REFUSALS[snippet]
