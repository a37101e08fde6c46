"""Parameters, scopes, and -WhatIf."""

from __future__ import annotations

import pytest

from tests.powershell import Shell, Thrown, Unsupported

FUNCTION = """
function Get-Thing {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true)][string]$Name,
        [int]$Count = 3,
        [ValidateSet('one', 'two')][string]$Kind = 'one',
        [switch]$Force,
        [string[]]$More
    )
    "$Name $Count $Kind $Force $($More.Count) $($PSBoundParameters.ContainsKey('Count'))"
}
"""

CALLS = {
    "Get-Thing x": "x 3 one False 0 False",
    "get-thing -NAME x -Force": "x 3 one True 0 False",
    "Get-Thing x 5 Two": "x 5 Two False 0 True",
    "Get-Thing -Count '7' x": "x 7 one False 0 True",
    "Get-Thing x -More 'a', 'b' -Cou 1": "x 1 one False 2 True",
    "Get-Thing x -More a": "x 3 one False 1 False",
    "Get-Thing x -Force:$false": "x 3 one False 0 False",
    "$h = @{ Name = 'y'; Force = $true }; Get-Thing @h -Count 2": "y 2 one True 0 True",
    "$a = 'z', 4; Get-Thing @a": "z 4 one False 0 True",
    "Get-Thing $null.x.ToString": None,
    "Get-Thing ''": None,
    "Get-Thing x -Count many": None,
    "Get-Thing x -Kind three": None,
    "Get-Thing x -Colour red": None,
    "Get-Thing x 1 one a b": None,
    "Get-Thing @('x', 'y')": None,
}


@pytest.mark.parametrize("call", CALLS)
def test_parameters(call: str) -> None:
    """None: PowerShell refuses the call."""
    shell = Shell()
    shell.evaluate(FUNCTION)
    if (wanted := CALLS[call]) is None:
        with pytest.raises(Thrown):
            shell.evaluate(f"$ErrorActionPreference = 'Stop'; {call}")
    else:
        assert shell.evaluate(call) == [wanted]


SIMPLE = {
    'function f($a, $b = 2) { "$a $b $($args.Count)" }; f 1; f 1 3 4 5; f -b 1': ["1 2 0", "1 3 2", " 1 0"],
    "function f { $args }; f 1 -x 'y'": [1, "-x", "y"],
    "function f { param([string]$a, [int]$b, [bool]$c, $d)\n$a -eq ''; $b; $c; $null -eq $d }; f": [
        True, 0, False, True,
    ],
    "function f { param([string]$a)\n$a -eq '' }; f $null": [True],
    "function f { param([int]$a)\n$a = '5'; $a + 1 }; f 1": [6],
    "function f { param($x)\n@($x).Count }; f (Write-Output); f $null; f @()": [1, 1, 0],
    "function f { $input | ForEach-Object { $_ + 1 } }; 1, 2 | f": [2, 3],
    "& { param($a) $a * 2 } 4; $b = { param($x, $y) $x - $y }; & $b 5 3; $b.Invoke(9, 1)": [8, 2, 8],
    "function f { param([switch]$s)\n$s.IsPresent; if ($s) { 'on' }; $s -eq $true }; "
    "f -s": [True, "on", True],
    "function f { param([switch]$s)\ng -s:$s }; function g { param([switch]$s)\n[bool]$s }; f -s; "
    "f": [True, False],
    "function f { function g { 'inner' }; g }; f": ["inner"],
    "function f { param([hashtable]$h)\n$h.n = 2 }; $t = @{ n = 1 }; f $t; $t.n": [2],
    "function f { param([string[]]$a)\n$a.Count; $a -is [array] }; f 'x'": [1, True],
    "function f { param([version]$v)\n$v.Major }; f '5.1'": [5],
}  # fmt: skip

SCOPES = {
    "$x = 1; function f { $x; $x = 2; $x }; f; $x": [1, 2, 1],
    "$x = 1; function f { $script:x = 2 }; f; $x": [2],
    "$x = 1; function f { $x += 1; $x }; f; $x": [2, 1],
    "function f { $y = 1; g }; function g { $y }; f": [1],
    "$global:g = 1; function f { $global:g++ }; f; $g": [2],
    "$ErrorActionPreference = 'Stop'; function f { $ErrorActionPreference = 'Continue' }; f; "
    "$ErrorActionPreference": [
        "Stop",
    ],
}  # fmt: skip


@pytest.mark.parametrize("snippet", [*SIMPLE, *SCOPES])
def test_function(snippet: str) -> None:
    assert Shell().evaluate(snippet) == (SIMPLE | SCOPES)[snippet]


def test_a_mandatory_parameter_that_is_missing_would_be_asked_for() -> None:
    shell = Shell()
    shell.evaluate(FUNCTION)
    with pytest.raises(
        Unsupported, match="Get-Thing without its mandatory Name: PowerShell would ask for it"
    ):
        shell.evaluate("Get-Thing")


EMPTY = ("@()", "@('a', '')", "''", "$null")


@pytest.mark.parametrize("given", EMPTY)
def test_a_mandatory_parameter_takes_nothing_empty(given: str) -> None:
    declared = "param([Parameter(Mandatory)]{0}[string[]]$Lines)\n$Lines.Count"
    allowed = "[AllowEmptyString()][AllowEmptyCollection()][AllowNull()]"
    stop = "$ErrorActionPreference = 'Stop'"
    with pytest.raises(Thrown, match="Cannot bind argument to parameter 'Lines' because it is"):
        Shell().evaluate(f"{stop}; function f {{ {declared.replace('{0}', '')} }}; f {given}")
    assert (
        len(Shell().evaluate(f"{stop}; function f {{ {declared.replace('{0}', allowed)} }}; f {given}")) == 1
    )


STEPS = """
[CmdletBinding(SupportsShouldProcess = $true)]
param([string]$Path = 'C:\\x')
function Set-It {
    [CmdletBinding(SupportsShouldProcess = $true)]
    param([string]$Value)
    if ($PSCmdlet.ShouldProcess('it', 'set')) { "set $Value" }
}
Set-It a
if ($PSCmdlet.ShouldProcess($Path, 'write')) { Set-Content -Path $Path -Value 'text' }
Add-Content $Path 'more'
"""


def test_what_if_reaches_functions_and_cmdlets() -> None:
    """Also the cmdlet that nobody asked about: PowerShell's own honour it too."""
    calls: list[object] = []

    def record(args: list[object], named: dict[str, object], given: list[object]) -> None:
        calls.append((args, named))

    shell = Shell({"Set-Content": record, "Add-Content": record})
    assert shell.run(STEPS, WhatIf=True) == []
    assert calls == []
    assert shell.written == [
        'What if: Performing the operation "set" on target "it".',
        'What if: Performing the operation "write" on target "C:\\x".',
        "What if: Add-Content C:\\x more",
    ]
    assert shell.run(STEPS, Path="D:\\y") == ["set a"]
    assert calls == [([], {"path": "D:\\y", "value": "text"}), (["D:\\y", "more"], {})]


def test_confirm_asks_the_test() -> None:
    shell = Shell(
        {"Set-Content": lambda args, named, given: ["wrote"], "Add-Content": lambda args, named, given: []}
    )
    asked: list[str] = []

    def no(question: str) -> bool:
        asked.append(question)
        return False

    shell.confirm = no
    assert shell.run(STEPS, Confirm=True) == ["set a"]
    assert asked == ['Performing the operation "write" on target "C:\\x".']


def test_functions_are_loaded_without_running_the_script() -> None:
    shell = Shell()
    source = "$Limit = 5\nfunction Get-Twice { param($x)\n$x * 2 }\nRemove-Item 'C:\\'\nGet-Twice 1\n"
    assert shell.load(source) == ["Get-Twice"]
    assert shell.call("get-twice", 4) == 8
    assert shell.call("Get-Twice", x=[1, 2]) == [1, 2, 1, 2]
    assert shell.evaluate("$Limit") == [None]
    shell.load(source, constants=True)
    assert shell.evaluate("$Limit") == [5]
