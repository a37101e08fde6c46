from __future__ import annotations

import ast
import json
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provisioner.errors import ProvisionError
from provisioner.hosts import bundle
from provisioner.hosts.errors import NoSudo, ProbeFailed, Refused

Entries = Callable[[dict[str, str]], Path]


def unpack(payload: bytes) -> dict[str, Any]:
    head, _, body = payload.partition(b"\n")
    mark, size = head.split()
    assert (mark, int(size)) == (b"PROVISION1", len(body))
    unpacked: dict[str, Any] = json.loads(zlib.decompress(body))
    return unpacked


def test_a_payload_holds_what_the_entry_imports_and_no_more(entries: Entries) -> None:
    sources = {
        "probe/__init__.py": "from . import osinfo\nfrom .disks import read\n",
        "probe/osinfo.py": "import os\n",
        "probe/disks.py": "def read():\n    from ..places import SYSTEM\n",
        "probe/attend.py": "from ..errors import TargetError\n",
        "places.py": "SYSTEM = 1\n",
        "runtime/__init__.py": "import sys\n",
    }
    root = entries(sources)
    probe = ["probe/__init__.py", "probe/osinfo.py", "probe/disks.py", "places.py"]
    assert unpack(bundle.payload("probe", {"root": "/"})) == {
        "modules": {
            "__init__": "",
            **{name[:-3].replace("/", "."): sources[name] for name in probe},
        },
        "entry": "probe",
        "request": {"root": "/"},
    }
    # The package that only leads to the attendant is sent empty: its code would drag the whole probe along.
    assert unpack(bundle.payload("probe.attend", {})) == {
        "modules": {
            "__init__": "",
            "probe.__init__": "",
            "probe.attend": sources["probe/attend.py"],
            "errors": (root / "errors.py").read_text(),
        },
        "entry": "probe.attend",
        "request": {},
    }


def test_a_package_whose_own_names_are_imported_is_sent_whole(entries: Entries) -> None:
    entries({"a/__init__.py": "X = 1\n", "a/b.py": "from . import X\n"})
    assert bundle.modules("a.b") == {"__init__": "", "a.__init__": "X = 1\n", "a.b": "from . import X\n"}


def test_imports_in_a_circle_end(entries: Entries) -> None:
    entries({"a.py": "from . import b\n", "b.py": "from .a import main\n"})
    assert set(bundle.modules("a")) == {"__init__", "a", "b"}


def test_no_relative_import_of_the_real_code_is_missed() -> None:
    root = Path(str(bundle._root()))
    missed = []
    for path in root.rglob("*.py"):
        text = path.read_text()
        nodes = [
            node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom) and node.level
        ]
        statements = [ast.dump(ast.parse(found).body[0]) for found in bundle._RELATIVE.findall(text)]
        if sorted(map(ast.dump, nodes)) != sorted(statements):
            missed.append(path.name)
    assert missed == []


def test_an_unknown_entry_is_a_defect_of_the_caller() -> None:
    with pytest.raises(LookupError, match=r"provisioner\.target has no module 'prob'"):
        bundle.payload("prob", {})


def test_packing_the_probe_takes_milliseconds() -> None:
    times = []
    for _ in range(5):
        for cache in (bundle._modules, bundle._is_package, bundle._exists):
            cache.cache_clear()
        start = time.perf_counter()
        bundle.payload("probe", {})
        times.append(time.perf_counter() - start)
    assert min(times) < 0.020


def test_the_loader_survives_every_kind_of_quoting() -> None:
    text = bundle.loader()
    assert text.isascii()
    assert not set(text) & set("'\n\\!$`")
    compile(text, "loader", "exec")


GOOD = b'{"ok": true, "value": {"a": 1}}'
ANSWERS = {
    "plain": b"PROVISION1 31\n" + GOOD,
    "after junk": b"Welcome!\nfortune\n\nPROVISION1 31\n" + GOOD + b"\n",
    "after something that looks like it": b"PROVISION1 what\nx PROVISION1 2\n{}\nPROVISION1 31\n" + GOOD,
    "before junk": b"PROVISION1 31\n" + GOOD + b"\nlogout\n",
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
def test_an_answer_is_found(answer: bytes) -> None:
    assert bundle.parse_answer(answer) == {"a": 1}


def frame(**answer: Any) -> bytes:
    text = json.dumps(answer).encode()
    return b"PROVISION1 %d\n" % len(text) + text


BAD = {
    "nothing": (b"", ProbeFailed("there was no answer")),
    "junk": (b"hello\n", ProbeFailed("there was no answer")),
    "cut": (b"PROVISION1 31\n" + GOOD[:9], ProbeFailed("the answer broke off after 9 of 31 bytes")),
    "list": (b"PROVISION1 2\n[]", ProbeFailed("the answer is not a JSON object")),
    "empty": (b"PROVISION1 2\n{}", ProbeFailed("the answer carries no value")),
    "scalar": (frame(ok=True, value=3), ProbeFailed("the answer carries no value")),
    "refusal": (frame(ok=False, error="no", hint="do", kind="TargetError"), Refused("no", hint="do")),
    "crash": (
        frame(ok=False, error="E: x", hint=None, kind="crash", traceback="T"),
        ProbeFailed("E: x", trace="T"),
    ),
    "sudo": (frame(ok=False, error="tty", hint=None, kind="NoSudo"), NoSudo("tty")),
}


@pytest.mark.parametrize(("answer", "error"), BAD.values(), ids=BAD.keys())
def test_a_bad_answer_is_an_error(answer: bytes, error: ProvisionError) -> None:
    with pytest.raises(ProvisionError) as caught:
        bundle.parse_answer(answer)
    assert (type(caught.value), caught.value.__dict__) == (type(error), error.__dict__)


def test_an_answer_that_is_not_json_says_where() -> None:
    with pytest.raises(ProbeFailed, match="the answer is not JSON: Expecting value: line 1 column 1"):
        bundle.parse_answer(b"PROVISION1 3\nfoo")
