"""apt's configuration as apt reads it: nested names, lists, comments; all files in their order."""

from __future__ import annotations

import re
from typing import Dict, Iterator, List, Tuple

from ..box import Box
from .files import names_in, text_of
from .readings import Malformed

FOLDER = "/etc/apt/apt.conf.d"
MAIN = "/etc/apt/apt.conf"
# apt.conf(5): no extension or conf, and only these characters.
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*$")
_TOKEN = re.compile(
    r"""(?P<skip>\s+|//[^\n]*|/\*.*?\*/|\#(?!clear\b|include\b)[^\n]*)|"(?P<quoted>[^"\n]*)"|(?P<mark>[{};])"""
    r"""|(?P<word>(?:[^\s"{};/]|/(?![/*]))+)""",
    re.DOTALL,
)
# Nested deeper, or with more files, than anything that is meant.
DEPTH = 32
FILES = 200


class Settings:
    """Values by name, which counts without case; a name has several in a list."""

    def __init__(self) -> None:
        self.values: Dict[str, List[str]] = {}

    def list(self, name: str) -> List[str]:
        """All values of a list, in order."""
        return self.values.get(name.lower() + "::", [])

    def get(self, name: str, otherwise: str = "") -> str:
        """The last value of a name."""
        return (self.values.get(name.lower()) or [otherwise])[-1]

    def add(self, name: str, value: str) -> None:
        """As `name value;` does; a name that ends in "::" adds to a list."""
        if name.endswith("::"):
            self.values.setdefault(name.lower(), []).append(value)
        else:
            self.values[name.lower()] = [value]

    def clear(self, name: str) -> None:
        """As `#clear name;` does, with all below it."""
        name = name.lower().rstrip(":")
        for known in [one for one in self.values if one == name or one.startswith(name + "::")]:
            del self.values[known]


def settings(box: Box) -> Settings:
    """All files together. Raises Malformed naming the file that apt would refuse."""
    found = Settings()
    names = [name for name in names_in(box, FOLDER) if _NAME.match(name)]
    paths = ["%s/%s" % (FOLDER, name) for name in names if "." not in name or name.endswith(".conf")]
    for path in [*paths[:FILES], MAIN]:
        try:
            parse(text_of(box, path), found)
        except Malformed as wrong:
            raise Malformed("%s: %s" % (path, wrong)) from wrong
    return found


def parse(text: str, into: Settings) -> None:
    """One file's settings, over those before it. Raises Malformed."""
    scopes: List[str] = []
    pending: List[Tuple[str, bool]] = []  # (text, whether it was in quotes)
    for kind, value in tokens(text):
        if kind != "mark":
            pending.append((value, kind == "quoted"))
        elif value == "{":
            if len(pending) != 1 or len(scopes) >= DEPTH:
                raise Malformed("a block without a name, or too deep")
            scopes.append(pending[0][0].rstrip(":"))
            pending = []
        else:
            _statement(scopes, pending, into)
            pending = []
            if value == "}":
                if not scopes:
                    raise Malformed("a block is closed that was not opened")
                scopes.pop()
    if scopes or pending:
        raise Malformed("it ends in the middle of a setting")


def tokens(text: str) -> Iterator[Tuple[str, str]]:
    """(word, quoted or mark; text). Raises Malformed."""
    done = 0
    while done < len(text):
        match = _TOKEN.match(text, done)
        if match is None:
            raise Malformed("line %d makes no sense" % (text.count("\n", 0, done) + 1))
        done = match.end()
        if match.lastgroup and match.lastgroup != "skip":
            yield match.lastgroup, match.group(match.lastgroup)


def _statement(scopes: List[str], words: List[Tuple[str, bool]], into: Settings) -> None:
    if not words:
        return
    first, quoted = words[0]
    if not quoted and first in ("#clear", "#include"):
        # What an included file says is read where it lies, if it is one of apt's own.
        for name, _ in words[1:] if first == "#clear" else []:
            into.clear("::".join([*scopes, name]))
    elif len(words) == 1:
        # In a list a value stands alone, quoted or not; elsewhere a name alone has no value.
        if scopes:
            into.add("::".join([*scopes, ""]), first)
    else:
        into.add("::".join([*scopes, first]), " ".join(word for word, _ in words[1:]))
