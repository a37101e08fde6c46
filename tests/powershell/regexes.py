""".NET's regular expressions by Python's, where the two mean the same; a refusal where they do not."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable

from tests.powershell.coercion import text
from tests.powershell.syntax import Unsupported
from tests.powershell.values import Groups, Object, Table

# What Python reads otherwise than .NET, or not at all.
_DIFFERENT = (
    (r"\(\?<[A-Za-z_]\w*-", "a balancing group"),
    (r"\(\?'", "a group named in quotes"),
    (r"\(\?P", "Python's own group"),
    (r"\(\?\(", "a condition"),
    (r"\(\?[imsx]*n|\(\?[a-z]*-", "an option"),
    (r"\\[pPGXhHRQEKN]", "an escape"),
    (r"\\c", "a control character"),
    (r"\{,\d", "a count without its lower end"),
    (r"(?<!\()[*+?}]\+", "a possessive count"),
    (r"\[[^\]]*-\[", "a class less another"),
)
_PIECES = re.compile(r"\\(?:[\s\S]|$)|\(\?<(?![=!])|\((?!\?)|[\s\S]")
_TRANSLATED = {"(?<": "(?P<", "\\z": "\\Z", "\\Z": "(?=\\n?\\Z)", "\\e": "\\x1b"}
_REPLACED = re.compile(r"\$(?:(\d+)|\{(\w+)\}|([&$`'+_]))")


@functools.lru_cache(maxsize=512)
def compiled(pattern: str, *, ignore_case: bool = True, options: int = 0) -> re.Pattern[str]:
    """A .NET pattern as Python's. -match and its kind ignore case; [regex] does not."""
    bare = re.sub(r"\\[\\\[\]]", "__", pattern)  # a class may hold anything that is escaped
    for different, what in _DIFFERENT:
        if re.search(different, bare):
            raise Unsupported(f"{what} in the regular expression {pattern!r}")
    translated, kinds, in_class = "", set(), False
    for piece in _PIECES.findall(pattern):
        if in_class:
            in_class = piece != "]"
        elif piece == "[":
            in_class = True
        elif piece in ("(", "(?<"):
            kinds.add(piece)
        elif piece == "\\k":
            raise Unsupported(f"a reference by name in the regular expression {pattern!r}")
        translated += piece if in_class else _TRANSLATED.get(piece, piece)
    if len(kinds) == 2:
        raise Unsupported(f"groups with names and without, which .NET counts otherwise: {pattern!r}")
    try:
        return re.compile(translated, (re.IGNORECASE if ignore_case else 0) | options)
    except re.error as error:
        raise Unsupported(f"the regular expression {pattern!r}: {error}") from error


def as_pattern(value: object, *, ignore_case: bool = True) -> re.Pattern[str]:
    """A [regex] keeps its own options."""
    return value if isinstance(value, re.Pattern) else compiled(text(value), ignore_case=ignore_case)


def groups_table(found: re.Match[str]) -> Table:
    """$Matches: the groups that took part, by number or by name."""
    table = Table()
    names = {number: name for name, number in found.re.groupindex.items()}
    for number in range(found.re.groups + 1):
        if found.group(number) is not None:
            table.set(names.get(number, number), found.group(number))
    return table


def match_object(found: re.Match[str] | None) -> Object:
    """System.Text.RegularExpressions.Match; a failed one has one group, which failed."""
    if found is None:
        return _group("Match", None, 0, Groups([no_group()], {}))
    groups: list[object] = [
        _group("Group", found.group(number), found.start(number)) for number in range(found.re.groups + 1)
    ]
    return _group("Match", found.group(), found.start(), Groups(groups, found.re.groupindex))


def _group(kind: str, value: str | None, start: int, groups: Groups | None = None) -> Object:
    held: dict[str, object] = {
        "Success": value is not None, "Value": value or "", "Index": max(start, 0), "Length": len(value or
        ""),
    }  # fmt: skip
    if groups is not None:
        held["Groups"] = groups
    return Object(held, f"Text.RegularExpressions.{kind}")


def no_group() -> Object:
    """What a group's name that is not there gives."""
    return _group("Group", None, 0)


def expand(template: str) -> Callable[[re.Match[str]], str]:
    """A replacement's $1, ${name}, $& and $$."""

    def expanded(found: re.Match[str]) -> str:
        def one(reference: re.Match[str]) -> str:
            number, name, sign = reference.groups()
            if sign:
                if sign not in "&$":
                    raise Unsupported(f"${sign} in the replacement {template!r}")
                return found.group() if sign == "&" else "$"
            key: int | str = int(number or name) if (number or name).isdigit() else name
            known = key in found.re.groupindex if isinstance(key, str) else key <= found.re.groups
            if not known:
                raise Unsupported(f"a group that the pattern lacks in the replacement {template!r}")
            return found.group(key) or ""

        return _REPLACED.sub(one, template)

    return expanded


def split(value: str, pattern: re.Pattern[str], limit: int = 0) -> list[object]:
    """`-split`: at most `limit` pieces, groups included where they took part."""
    if limit < 0:
        raise Unsupported("-split from the end")
    if any(found.end() == found.start() for found in pattern.finditer(value)):
        raise Unsupported(f"-split by a pattern that matches nothing: {pattern.pattern!r}")
    if limit == 1:
        return [value]
    return [piece for piece in pattern.split(value, maxsplit=max(limit - 1, 0)) if piece is not None]


def like(value: str, wildcard: str, *, ignore_case: bool = True) -> bool:
    """`-like`."""
    if "`" in wildcard:
        raise Unsupported(f"an escape in the wildcard {wildcard!r}")
    translated = ""
    for piece in re.findall(r"\[[^\]]+\]|[\s\S]", wildcard):
        if piece == "*":
            translated += ".*"
        elif piece == "?":
            translated += "."
        elif len(piece) > 1:
            if piece[1] in "^!":
                raise Unsupported(f"a class in the wildcard {wildcard!r}")
            translated += piece
        else:
            translated += re.escape(piece)
    return re.fullmatch(translated, value, re.DOTALL | (re.IGNORECASE if ignore_case else 0)) is not None


def escape(value: str) -> str:
    """[regex]::Escape."""
    blanks = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\f": "\\f"}
    return "".join(blanks.get(one, "\\" + one if one in r"\*+?|{[()^$.# " else one) for one in value)
