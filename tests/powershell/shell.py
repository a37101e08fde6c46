"""The shell: what a test makes, fills with commands, and runs a script in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence

from tests.powershell.parameters import Argument, Given, Positional
from tests.powershell.programs import Cmdlet, Native
from tests.powershell.state import Scope
from tests.powershell.statements import Statements
from tests.powershell.syntax import Node, Unsupported, understood
from tests.powershell.values import ErrorRecord, Exit, ScriptBlock, Thrown, collected, plain, to_shell

EDITIONS = ("5.1", "7")


class Shell(Statements):
    """One session.

    `commands` by name: a cmdlet is a callable of its positional arguments, its named ones (names in small
    letters, switches as True) and its input; a program is a `Native`. `statics` by `Type::Member`.
    """

    def __init__(
        self,
        commands: Mapping[str, Cmdlet | Native] | None = None,
        variables: Mapping[str, object] | None = None,
        environment: Mapping[str, str] | None = None,
        *,
        statics: Mapping[str, object] | None = None,
        edition: str = "5.1",
    ) -> None:
        if edition not in EDITIONS:
            raise ValueError(f"the edition {edition!r} is none of {EDITIONS}")
        super().__init__(variables or {}, environment or {}, statics or {}, edition)
        self.register(commands or {})
        self.declared = {}
        self.catching: list[ErrorRecord] = []

    def run(self, source: str, *arguments: object, **named: object) -> list[object]:
        """A whole script with its parameters; what it wrote. `exit` raises Exit, an error Thrown."""
        program = understood(source)
        outputs: list[object] = []
        self.scope = self.script_scope = Scope(self.outermost)
        block = ScriptBlock(program, "the script")
        with _short():
            self.invoke(block, _arguments(arguments, named), [], outputs.append, own_scope=False)
        return [plain(one) for one in outputs]

    def load(self, source: str, *, constants: bool = False) -> list[str]:
        """The functions of a script, by name, without running it; with `constants` its assignments too, as
        far as they call no command but ConvertFrom-Json and those that make paths."""
        names = []
        for node in _top(understood(source)):
            if node.kind == "function_statement":
                self.statement(node, _refuse)
                names.append(list(self.scope.functions.values())[-1].name)
            elif constants and _is_constant(node):
                self.statement(node, _refuse)
        return names

    def call(self, name: str, *arguments: object, **named: object) -> object:
        """One function; what an assignment would take from it."""
        function = self.function(name)
        if function is None:
            raise Unsupported(f"the function {name}, which no script defined")
        outputs: list[object] = []
        with _short():
            self.invoke(function, _arguments(arguments, named), [], outputs.append)
        return plain(collected(outputs))

    def evaluate(self, source: str) -> list[object]:
        """What some statements write, in the script's own scope."""
        outputs: list[object] = []
        program = understood(source)
        if program.find("param_block") is not None:
            raise Unsupported("param() in what is evaluated; run() takes it")
        with _short():
            for node in program.every("statement_list"):
                self.statements(node, outputs.append)
        return [plain(one) for one in outputs]

    def exit_code(self, source: str, *arguments: object, **named: object) -> int:
        """A script's exit code: 0 where it ends by itself."""
        try:
            self.run(source, *arguments, **named)
        except Exit as left:
            return left.code
        return 0


@contextlib.contextmanager
def _short() -> Iterator[None]:
    """The interpreter's own calls say nothing to whoever reads of a script's error."""
    try:
        yield
    except (Thrown, Unsupported) as error:
        raise error.with_traceback(None) from None


def _arguments(positional: Sequence[object], named: Mapping[str, object]) -> list[Argument]:
    given: list[Argument] = [
        Given(name, f"-{name}", to_shell(value), attached=True) for name, value in named.items()
    ]
    return [*given, *(Positional(to_shell(value)) for value in positional)]


def _top(program: Node) -> list[Node]:
    return [node for listed in program.every("statement_list") for node in listed.named]


def _is_constant(node: Node) -> bool:
    if node.kind != "pipeline" or node.named[0].kind != "assignment_expression":
        return False
    called = [one.text.lower() for one in node.walk() if one.kind == "command_name"]
    return all(name in ("convertfrom-json", "join-path", "split-path") for name in called)


def _refuse(value: object) -> None:
    raise Unsupported(f"output where a definition was expected: {value!r}")
