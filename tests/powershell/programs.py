"""What a test gives as cmdlets and native programs, and how they are called."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from tests.powershell import parameters
from tests.powershell.calls import Calls
from tests.powershell.coercion import text, truth
from tests.powershell.known import KNOWN
from tests.powershell.parameters import Argument, Given, Positional
from tests.powershell.state import Emit, Variable
from tests.powershell.syntax import Node, Unsupported
from tests.powershell.values import ErrorRecord, Failure, ScriptBlock, Switch, Thrown, spread, to_shell

Cmdlet = Callable[[list[object], dict[str, object], list[object]], "Iterable[object] | None"]


class Ran(NamedTuple):
    """What a native program did."""

    code: int = 0
    lines: Sequence[str] = ()
    errors: Sequence[str] = ()


@dataclass(frozen=True)
class Native:
    """A native program of a test: takes its arguments and the lines it is fed."""

    run: Callable[[list[str], list[str]], Ran]


@dataclass
class Call:
    """A command with its arguments evaluated, not run yet."""

    node: Node
    target: str | ScriptBlock
    arguments: list[Argument]
    dot: bool = False
    errors: str | None = None  # "merge", "null", or a file
    output: str | None = None  # "null", or a file
    everything: bool = field(default=False)


class Programs(Calls):
    """Commands that no script defined."""

    commands: dict[str, Cmdlet | Native]

    def register(self, given: Mapping[str, Cmdlet | Native]) -> None:
        self.commands = {name.lower(): command for name, command in given.items()}

    def registered(self, name: str) -> Cmdlet | Native | None:
        low = name.lower()
        base = re.split(r"[\\/]", low)[-1]
        for one in (
            low,
            f"{low}.exe",
            low.removesuffix(".exe"),
            base,
            f"{base}.exe",
            base.removesuffix(".exe"),
        ):
            if one in self.commands:
                return self.commands[one]
        return None

    def run_cmdlet(
        self, call: Call, name: str, run: Callable[[list[object], dict[str, object]], Iterable[object] |
        None], out: Emit
    ) -> None:  # fmt: skip
        args, named = self._named(call, name)
        action = text(named.pop("erroraction", self.preference())).lower()
        for common in ("verbose", "debug", "warningaction", "informationaction"):
            named.pop(common, None)
        if self._only_what_if(name, args, named):
            return
        try:
            for one in run(args, named) or ():
                out(to_shell(one))
            self.succeeded = True
        except Failure as failure:
            self.succeeded = False
            record = replace(failure.record, line=call.node.line)
            if failure.terminating:
                raise Thrown(record) from failure
            if action == "stop":
                raise Thrown(record, ends_script=True) from failure
            if action not in ("continue", "silentlycontinue", "ignore"):
                raise Unsupported(f"-ErrorAction {action}", call.node) from failure
            if call.errors == "merge":
                out(record)
            elif action == "continue" and call.errors is None:
                self.errors.append(record.message)

    def _only_what_if(self, name: str, args: list[object], named: dict[str, object]) -> bool:
        """Under -WhatIf, cmdlets that change something say so and do nothing."""
        known = KNOWN.cmdlets.get(name.lower())
        if known is None or not known.changes:
            return False
        asked = named.pop("whatif", None)
        wanted = truth(asked) if asked is not None else truth(self.get_variable("whatifpreference"))
        if wanted:
            shown = " ".join(
                text(one) for one in [*args, *(one for one in named.values() if one is not True)]
            )
            self.written.append(f"What if: {name} {shown}".rstrip())
        return wanted

    def _named(self, call: Call, name: str) -> tuple[list[object], dict[str, object]]:
        known = KNOWN.cmdlets.get(name.lower())
        args: list[object] = []
        named: dict[str, object] = {}
        waiting = list(call.arguments)
        while waiting:
            one = waiting.pop(0)
            if isinstance(one, Positional):
                args.append(one.value)
                continue
            key = (
                known.parameter(one.name)
                if known
                else parameters.COMMON.get(one.name.lower(), one.name.lower())
            )
            if key is None:
                raise Unsupported(f"the parameter -{one.name} of {name}", call.node)
            switch = key in known.switches if known else not (waiting and isinstance(waiting[0], Positional))
            if one.attached:
                named[key] = one.value.present if isinstance(one.value, Switch) else one.value
            elif switch:
                named[key] = True
            elif waiting and isinstance(waiting[0], Positional):
                named[key] = waiting.pop(0).value
            else:
                raise Unsupported(f"the parameter -{one.name} of {name} without a value", call.node)
        return args, named

    def run_native(self, command: Native, call: Call, name: str, given: list[object], out: Emit) -> None:
        ran = command.run(self._words(call), [text(one, self.edition) for one in given])
        self.outermost.variables["lastexitcode"] = Variable(int(ran.code))
        if ran.errors and call.errors and self.edition == "5.1" and self.preference() == "stop":
            # Windows PowerShell makes an error of each redirected line, and stops at the first
            # (github.com/PowerShell/PowerShell, issue 4002).
            record = ErrorRecord(
                ran.errors[0], "System.Management.Automation.RemoteException", call.node.line
            )
            raise Thrown(record, ends_script=True)
        for line in ran.lines:
            out(line)
        for line in ran.errors:
            if call.errors == "merge":
                out(ErrorRecord(line, "System.Management.Automation.RemoteException", call.node.line))
            elif call.errors is None:
                self.errors.append(line)
        self.succeeded = ran.code == 0

    def _words(self, call: Call) -> list[str]:
        words: list[str] = []
        for one in call.arguments:
            if isinstance(one, Given):
                words.append(f"{one.raw}:{text(one.value)}" if one.attached else one.raw)
            elif one.raw is not None:
                words.append(one.raw)
            else:
                words += [text(each, self.edition) for each in spread(one.value) if each is not None]
        for word in words:
            if self.edition == "5.1" and ('"' in word or word == "" or re.search(r"\s.*\\$|^\\?$", word)):
                raise Unsupported(
                    f"the argument {word!r}, which Windows PowerShell 5.1 hands over broken", call.node
                )
        return words
