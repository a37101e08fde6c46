"""A test's stand-in for PowerShell: a small interpreter of a part of the language, on a grammar of all of it.

It is no PowerShell. It was written from the documentation and from what is known of the language, to run a
script of ours where no PowerShell can be had; nothing it says was compared with a real one, and no script
was ever run on Windows by it. What it does not know it refuses (`Unsupported`); so it does where Windows
PowerShell 5.1 and PowerShell 7 differ in a way it does not follow, or where the answer hangs on the
machine's language.

What a value is: values, coercion, operators, regexes, formats, strings, texts, members, statics. What a
script does: state, expressions, parameters, calls, programs, commands, cmdlets, statements. `shell` is the
door; `portable` looks at a script without running it.

    shell = Shell({"Get-CimInstance": cim, "wsl.exe": Native(wsl)}, environment={"SystemRoot": "C:/Windows"})
    shell.load(source)
    assert shell.call("Get-Verdict", Build=19045) == "new enough"
"""

from tests.powershell.programs import Cmdlet, Native, Ran
from tests.powershell.shell import Shell
from tests.powershell.syntax import Unsupported, errors, parse
from tests.powershell.values import Exit, Failure, Object, Thrown, plain

__all__ = [
    "Cmdlet", "Exit", "Failure", "Native", "Object", "Ran", "Shell", "Thrown", "Unsupported", "errors",
    "parse", "plain",
]  # fmt: skip
