"""Choices, loops, errors and leaving."""

from __future__ import annotations

import pytest

from tests.powershell import Exit, Failure, Shell, Thrown, Unsupported

STATEMENTS = {
    "if (0) { 1 } elseif ('x') { 2 } else { 3 }": [2],
    "if ($false) { 1 } else { 3 }": [3],
    "foreach ($i in 1, 2, 3) { if ($i -eq 2) { continue }; $i }; $i": [1, 3, 3],
    "foreach ($i in 'one') { $i }; foreach ($i in @()) { 'never' }": ["one"],
    "for ($i = 0; $i -lt 5; $i++) { if ($i -eq 2) { break }; $i }": [0, 1],
    "$i = 0; while ($i -lt 2) { $i++; $i }; do { $i-- } while ($i -gt 0); "
    "do { $i++ } until ($i -ge 3); $i": [1, 2, 3],
    'foreach ($i in 1, 2) { foreach ($j in 1, 2) { if ($j -eq 2) { break }; "$i$j" } }': ["11", "21"],
    # switch
    "switch ('B') {\n'a' { 1 }\n'b' { 2 }\ndefault { 3 }\n}": [2],
    "switch (5) {\n1 { 1 }\ndefault { 3 }\n}": [3],
    "switch (2) {\n2 { 'a' }\n{ $_ -gt 1 } { 'b' }\n}": ["a", "b"],
    "switch (2) {\n2 { 'a'; break }\n{ $_ -gt 1 } { 'b' }\n}": ["a"],
    "switch (1, 2) {\n1 { 'one' }\n2 { 'two' }\n}": ["one", "two"],
    "foreach ($i in 1, 2) { switch ($i) {\n1 { break }\n}; $i }": [1, 2],
    "switch -Regex ('v12') {\n'^v(\\d+)' { $Matches[1] }\n}": ["12"],
    "switch -Wildcard ('abc') {\n'A*' { 1 }\n}": [1],
    "$x = switch (1) {\n1 { 'one' }\n}; $x": ["one"],
    # errors
    "try { throw 'bad' } catch { $_.Exception.Message; \"$_\" }": ["bad", "bad"],
    "try { 1 / 0 } catch { 'caught' } finally { 'end' }": ["caught", "end"],
    "try { try { throw 'a' } finally { 'inner' } } catch { 'outer' }": ["inner", "outer"],
    "try { try { throw 'a' } catch { throw } } catch { \"again $_\" }": ["again a"],
    "try { try { throw 'a' } catch { throw \"b: $($_.Exception.Message)\" } } catch { \"$_\" }": ["b: a"],
    "try { throw [InvalidOperationException]::new('m') } catch [InvalidOperationException] { \"$_\" }": ["m"],
    "function f { throw 'x'; 'never' }; try { f } catch { 'caught' }": ["caught"],
    "function f { try { return 1 } finally { $script:done = $true } }; f; $done": [1, True],
    "try { 'a'; throw 'x' } catch { 'b' }": ["a", "b"],
    "$x = try { 1 } catch { 2 }; $x": [1],
    "try { throw 'x' }\ncatch { $_.InvocationInfo.ScriptLineNumber }": [1],
    "1 | ForEach-Object { try { throw 'x' } catch { 'c' }; $_ }": ["c", 1],
}  # fmt: skip


@pytest.mark.parametrize("snippet", STATEMENTS)
def test_statement(snippet: str) -> None:
    assert Shell().evaluate(snippet) == STATEMENTS[snippet]


EXITS = {
    "exit": 0,
    "exit 3": 3,
    "function f { exit 4 }; f; exit 5": 4,
    "$LASTEXITCODE = 2; exit $LASTEXITCODE": 2,
    "1": 0,
}


@pytest.mark.parametrize("snippet", EXITS)
def test_exit(snippet: str) -> None:
    assert Shell().exit_code(snippet) == EXITS[snippet]
    if snippet != "1":
        with pytest.raises(Exit):
            Shell().run(snippet)


def test_an_error_names_its_line() -> None:
    with pytest.raises(Thrown) as thrown:
        Shell().run("$ErrorActionPreference = 'Stop'\n\n'x'.Substring(5)\n")
    assert thrown.value.record.line == 3


def failing(args: list[object], named: dict[str, object], given: list[object]) -> list[object]:
    raise Failure("Cannot find path 'C:\\x'.", "System.Management.Automation.ItemNotFoundException")


def absent(args: list[object], named: dict[str, object], given: list[object]) -> list[object]:
    raise Failure("not recognized", "System.Management.Automation.CommandNotFoundException", terminating=True)


# What is written, and what reaches the error stream.
ACTIONS = {
    "Get-Item x; $?; 'on'": ([False, "on"], ["Cannot find path 'C:\\x'."]),
    "Get-Item x -ErrorAction SilentlyContinue; 'on'": (["on"], []),
    "$ErrorActionPreference = 'SilentlyContinue'; Get-Item x; 'on'": (["on"], []),
    "Get-Item x 2>$null; 'on'": (["on"], []),
    "try { Get-Item x; 'on' } catch { 'never' }": (["on"], ["Cannot find path 'C:\\x'."]),
    'try { Get-Item x -ErrorAction Stop } catch { "$_" }': (["Cannot find path 'C:\\x'."], []),
    "$ErrorActionPreference = 'Stop'; try { Get-Item x } catch { 'caught' }": (["caught"], []),
    "$ErrorActionPreference = 'Stop'; Get-Item x -ErrorAction SilentlyContinue; 'on'": (["on"], []),
    "try { gone.exe } catch [System.Management.Automation.CommandNotFoundException] { 'gone' }":
        (["gone"], []),
    "try { gone.exe -ErrorAction SilentlyContinue } catch { 'gone' }": (["gone"], []),
    '$x = Get-Item x 2>&1; "$x"': (["Cannot find path 'C:\\x'."], []),
    "Write-Error 'own'; 'on'": (["on"], ["own"]),
}  # fmt: skip


@pytest.mark.parametrize("snippet", ACTIONS)
def test_error_action(snippet: str) -> None:
    shell = Shell({"Get-Item": failing, "gone.exe": absent})
    assert (shell.evaluate(snippet), shell.errors) == ACTIONS[snippet]


_MISSING = "cannot be found on this object. Verify that the property exists."
STRICT = {
    "$h = @{}; $h.missing": f"The property 'missing' {_MISSING}",
    "$nothing": "The variable '$nothing' cannot be retrieved because it has not been set.",
    "@(1)[5]": "Index was outside the bounds of the array.",
    "(5).Count": f"The property 'Count' {_MISSING}",
}


@pytest.mark.parametrize("snippet", STRICT)
def test_strict_mode(snippet: str) -> None:
    shell = Shell()
    shell.evaluate(snippet)
    with pytest.raises(Thrown) as thrown:
        shell.evaluate(f"$ErrorActionPreference = 'Stop'; Set-StrictMode -Version Latest; {snippet}")
    assert str(thrown.value) == STRICT[snippet]
    assert shell.evaluate("$h = @{ a = 1 }; $h['missing']; $h.a; @(1).Count") == [None, 1, 1]


def test_words_for_a_person() -> None:
    shell = Shell()
    assert (
        shell.evaluate("Write-Host 'a' 1; Write-Host \"b`nc\" -ForegroundColor Red; Write-Warning 'w'") == []
    )
    assert shell.written == ["a 1", "b", "c", "WARNING: w"]


def test_going_on_after_an_error_is_refused() -> None:
    """PowerShell would, where nothing says 'Stop'; a script of ours must not rely on it."""
    with pytest.raises(
        Unsupported, match=r"going on after the error 'Attempted to divide by zero\.' at line 2"
    ):
        Shell().run("1\n1 / 0\n2\n")
