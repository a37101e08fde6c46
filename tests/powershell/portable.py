"""A look at a script without running it: does Windows PowerShell 5.1 know all that is in it?"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator

from tests.powershell.known import KNOWN
from tests.powershell.parameters import COMMON
from tests.powershell.syntax import Node, errors, parse, shorten

_AUTOMATIC = frozenset({
    "true", "false", "null", "_", "?", "args", "input", "matches", "lastexitcode", "psscriptroot",
    "pscommandpath", "psboundparameters", "pscmdlet", "psversiontable", "pshome", "home", "pwd", "pid",
    "profile", "host", "error",
    "myinvocation", "executioncontext", "psculture", "psuiculture", "shellid", "erroractionpreference",
    "progresspreference", "whatifpreference", "confirmpreference", "verbosepreference", "warningpreference",
    "debugpreference", "informationpreference", "ofs", "outputencoding",
})  # fmt: skip
_NEWER_VARIABLES = frozenset({
    "iswindows", "islinux", "ismacos", "iscoreclr", "psstyle", "psnativecommanduseerroractionpreference",
    "psnativecommandargumentpassing", "enabledexperimentalfeatures",
})  # fmt: skip
_NEWER_ENCODINGS = ("utf8nobom", "utf8bom", "ansi")
# Newer operators, none of which the grammar knows.
_NEWER_TEXT = (
    (re.compile(r"\?\?=?"), "the operator ??"),
    (re.compile(r"\?[.\[]"), "the operator ?."),
    (re.compile(r"(?<=\s)\?(?=\s)[^{|]*\s:\s"), "the operator ? :"),
)


Finding = tuple[int, str]


def findings(source: str, programs: Collection[str] = ()) -> list[str]:
    """Everything that stands in the way, as `line N: what`; `programs` are native ones it may call."""
    found = [(int(one.split(":")[0]), f"the grammar does not understand {one}") for one in errors(source)]
    found += _signs(source)
    found += _newer_operators(source, {line for line, _ in found})
    tree = parse(source)
    functions = {name: node for node, name in _functions(tree)}
    for look in (_pieces, _verbs, _variables):
        found += look(tree)
    found += _commands(tree, functions, {one.lower() for one in programs})
    return [f"line {line}: {what}" for line, what in sorted(set(found))]


def _signs(source: str) -> Iterator[Finding]:
    """Without a mark at its beginning 5.1 reads a file in the machine's own code page."""
    for number, line in enumerate(source.splitlines(), 1):
        if strange := sorted({char for char in line if not char.isascii()}):
            yield number, f"characters beyond ASCII: {' '.join(strange)}"


def _newer_operators(source: str, strange: Collection[int]) -> Iterator[Finding]:
    """On the lines that the grammar does not understand."""
    for number, line in enumerate(source.splitlines(), 1):
        bare = re.sub(r"'[^']*'|\"[^\"]*\"", "", line)
        for pattern, what in _NEWER_TEXT if number in strange else ():
            if pattern.search(bare):
                yield number, f"{what}, which 5.1 does not know"
                break


def _pieces(tree: Node) -> Iterator[Finding]:
    for node in tree.walk():
        match node.kind:
            case "pipeline_chain_tail":
                yield node.line, f"{node.text} between commands, which 5.1 does not know"
            case "foreach_parameter":
                yield node.line, f"foreach {node.text}"
            case "expandable_string_literal" | "expandable_here_string_literal":
                for escape in re.findall(r"(?<!`)(?:``)*(`[eu])", node.text):
                    yield node.line, f"the escape {escape}, which 5.1 does not know"
            case "comparison_expression" if node.children[1].text.lower() in (
                "-replace",
                "-creplace",
                "-ireplace",
            ):
                if any(one.kind == "script_block_expression" for one in node.children[2].walk()):
                    yield node.line, "-replace with a script block, which 5.1 does not know"


# --- functions and commands -------------------------------------------------------------------------------


def _functions(tree: Node) -> Iterator[tuple[Node, str]]:
    for node in tree.walk():
        if node.kind == "function_statement" and (name := node.find("function_name")):
            yield node, name.text.lower()


def _verbs(tree: Node) -> Iterator[Finding]:
    verbs = {verb.lower() for verb in KNOWN.verbs}
    for node, name in _functions(tree):
        shown = node.find("function_name")
        assert shown is not None
        verb, dash, noun = name.partition("-")
        if not (dash and noun):
            yield node.line, f"the function {shown.text} is not named Verb-Noun"
        elif verb not in verbs:
            yield node.line, f"the function {shown.text} has no approved verb"


def _commands(tree: Node, functions: dict[str, Node], programs: set[str]) -> Iterator[Finding]:
    for node in tree.walk():
        if node.kind != "command":
            continue
        name_node = next((one for one in node.walk() if one.kind == "command_name"), None)
        target = node.find("command_name") or node.find("command_name_expr")
        if name_node is None or target is None or name_node.start != target.start:
            continue  # a variable or a script block
        name = name_node.text
        if re.fullmatch(r"-?\d+\.\.-?\d+", name):
            continue
        if name.lower() in KNOWN.aliases:
            yield node.line, f"{name} is an alias"
        elif name.lower() in functions:
            yield from _parameters(node, name, _of_function(functions[name.lower()]))
        elif name.lower() in KNOWN.cmdlets:
            known = KNOWN.cmdlets[name.lower()]
            yield from _parameters(node, name, known.parameter)
            if known.name != name:
                yield node.line, f"{name} is written {known.name}"
        elif name.lower() not in programs:
            yield (
                node.line,
                f"the command {name} is neither the script's, nor a cmdlet that is known, nor declared",
            )


def _of_function(node: Node) -> Callable[[str], str | None]:
    names = [
        one.text[1:].lower()
        for parameter in _own(node, "script_parameter")
        for one in parameter.children
        if one.kind == "variable"
    ]
    advanced = "cmdletbinding" in node.text.lower()
    extra = [*COMMON, "whatif", "confirm"] if advanced else []

    def known(given: str) -> str | None:
        starts = [one for one in [*names, *extra] if one == given.lower()]
        return starts[0] if starts else None

    return known


def _own(node: Node, kind: str) -> Iterator[Node]:
    """Nodes below this one, other than in functions and blocks in it."""
    for child in node.children:
        if child.kind == kind:
            yield child
        elif child.kind not in ("function_statement", "script_block_expression"):
            yield from _own(child, kind)


def _parameters(node: Node, name: str, known: Callable[[str], str | None]) -> Iterator[Finding]:
    elements = node.find("command_elements")
    given = elements.every("command_parameter") if elements else []
    for one in given:
        if known(one.text.lstrip("-")) is None:
            yield one.line, f"{name} has no parameter {one.text} in 5.1"
    for one in elements.children if elements else ():
        if one.text.lower().strip("'\"") in _NEWER_ENCODINGS:
            yield one.line, f"the encoding {one.text}, which 5.1 does not know"


# --- variables --------------------------------------------------------------------------------------------


def _name(node: Node) -> str | None:
    bare = node.text[1:].strip("{}")
    drive, colon, name = bare.partition(":")
    if not colon:
        return bare.lower()
    return name.lower() if drive.lower() in ("script", "global", "local") else None


def _variables(tree: Node) -> Iterator[Finding]:
    assigned = {_name(node) for node in _assigned(tree)}
    for node in tree.walk():
        if node.kind not in ("variable", "braced_variable"):
            continue
        name = _name(node)
        if name is None or name in assigned or name in _AUTOMATIC:
            continue
        why = "which 5.1 does not know" if name in _NEWER_VARIABLES else "which nothing sets"
        yield node.line, f"{shorten(node.text)}, {why}"


def _assigned(tree: Node) -> Iterator[Node]:
    for node in tree.walk():
        if node.kind == "assignment_expression":
            left = node.children[0]
            yield from (one for one in (left, *left.children) if one.kind in ("variable", "braced_variable"))
        elif node.kind == "foreach_statement":
            yield node.named[0]
        elif node.kind == "script_parameter":
            yield from (one for one in node.children if one.kind in ("variable", "braced_variable"))
