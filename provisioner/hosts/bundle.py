"""Packs code and a request for the far end, and reads the framed answer.

The modules an entry needs are found by following its relative imports, so a probe does not carry the runtime.
"""

from __future__ import annotations

import ast
import binascii
import json
import re
import zlib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from provisioner.hosts.errors import NoSudo, ProbeFailed, Refused

MARK = b"PROVISION1 "
_STREAM = b"PROVISION1 stream\n"


@cache
def loader() -> str:
    """The argument of `python3 -c`: one line of ASCII with no quote but `"`, so every shell carries it."""
    text = binascii.b2a_base64(zlib.compress(_source("loader").encode(), 9), newline=False).decode()
    return f'import binascii,zlib;exec(zlib.decompress(binascii.a2b_base64("{text}")))'


def payload(entry: str, request: dict[str, Any]) -> bytes:
    """The bytes for the loader's standard input: `main(request)` of `provisioner_target.<entry>`."""
    body = f'{{"modules": {_modules(entry)}, "entry": {json.dumps(entry)}, "request": {json.dumps(request)}}}'
    packed = zlib.compress(body.encode(), 1)
    return MARK + b"%d\n" % len(packed) + packed


def modules(entry: str) -> dict[str, str]:
    """Name to source of everything `entry` imports; a package is named `<package>.__init__`."""
    found = {"__init__": ""}
    waiting = [entry]
    while waiting:
        name = waiting.pop()
        key = f"{name}.__init__" if _is_package(name) else name
        # A package only passed through on the way to a module is sent empty: its own code is not needed.
        for i in (i for i, letter in enumerate(name) if letter == "."):
            found.setdefault(f"{name[:i]}.__init__", "")
        if not found.get(key):
            found[key] = _source(key)
            waiting.extend(_imports(key, found[key]))
    return found


def parse_answer(answer: bytes) -> dict[str, Any]:
    """The value in a framed answer, junk around it ignored.

    Raises `Refused` for a TargetError, `NoSudo` (its message a code of stage.sh), `ProbeFailed` for the rest.
    """
    return unwrap(decode(frame(answer)))


def frame(answer: bytes) -> bytes:
    """The JSON of the first whole frame in `answer`."""
    start = 0
    while (start := answer.find(MARK, start)) >= 0:
        head, _, rest = answer[start:].partition(b"\n")
        start += len(MARK)
        size = head[len(MARK) :].strip()
        if not size.isdigit() or not (start == len(MARK) or answer[start - len(MARK) - 1] == 0x0A):
            continue
        if len(rest) < int(size):
            raise ProbeFailed(f"the answer broke off after {len(rest)} of {int(size)} bytes")
        return rest[: int(size)]
    raise ProbeFailed("there was no answer")


def unwrap(answer: dict[str, Any]) -> dict[str, Any]:
    """The value of an answer, or the error it carries."""
    if answer.get("ok") is True and isinstance(answer.get("value"), dict):
        value: dict[str, Any] = answer["value"]
        return value
    message, hint = str(answer.get("error") or "the answer carries no value"), answer.get("hint")
    match answer.get("kind"):
        case "TargetError":
            raise Refused(message, hint=hint)
        case "NoSudo":
            raise NoSudo(message, hint=hint)
        case _:
            raise ProbeFailed(message, hint=hint, trace=answer.get("traceback"))


def is_stream(line: bytes) -> bool:
    """Whether this line of output starts a stream of JSON lines."""
    return line == _STREAM


def decode(text: bytes) -> dict[str, Any]:
    """A frame's JSON object."""
    try:
        answer = json.loads(text)
    except ValueError as error:
        raise ProbeFailed(f"the answer is not JSON: {error}") from error
    if not isinstance(answer, dict):
        raise ProbeFailed("the answer is not a JSON object")
    return answer


@cache
def _modules(entry: str) -> str:
    return json.dumps(modules(entry))


def _root() -> Traversable:
    return files("provisioner.target")


def _folder(package: str) -> Traversable:
    return _root().joinpath(*package.split(".")) if package else _root()


@cache
def _is_package(name: str) -> bool:
    return _folder(name).joinpath("__init__.py").is_file()


@cache
def _exists(name: str) -> bool:
    package, _, last = name.rpartition(".")
    return _is_package(name) or _folder(package).joinpath(f"{last}.py").is_file()


def _source(key: str) -> str:
    package, _, last = key.rpartition(".")
    try:
        return _folder(package).joinpath(f"{last}.py").read_text("utf-8")
    except FileNotFoundError as error:
        raise LookupError(f"provisioner.target has no module {key!r}") from error


# Parsing whole modules would take longer than sending them: only the statements that matter are parsed.
_RELATIVE = re.compile(
    r"^[ \t]*(from[ \t]+\.[\w.]*[ \t]+import[ \t]+(?:\([^)]*\)[^\n]*|[^\n(]+))$", re.MULTILINE
)


def _imports(key: str, text: str) -> Iterator[str]:
    """The modules that relative imports anywhere in `text`, function bodies included, may name."""
    for statement in _RELATIVE.findall(text):
        (node,) = ast.parse(statement).body
        assert isinstance(node, ast.ImportFrom)
        inner = [*key.split(".")[: -node.level], *(node.module.split(".") if node.module else [])]
        named = [".".join([*inner, alias.name]) for alias in node.names]
        modules_named = [name for name in named if _exists(name)]
        yield from modules_named
        if inner and modules_named != named:
            yield ".".join(inner)
