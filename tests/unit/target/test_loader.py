"""The loader, as a box runs it: `python3 -c`, on every Python that can be found here."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import pytest

from provisioner.hosts import bundle

ERRORS = Path(bundle.__file__).parents[1].joinpath("target/errors.py").read_text()


def pythons() -> list[str]:
    """One interpreter a version, 3.8 and later."""
    found = {sys.version_info[:2]: sys.executable}
    homes = map(str, Path(pwd.getpwuid(os.getuid()).pw_dir).glob(".pyenv/versions/3.*/bin/python3"))
    for path in [*homes, *filter(None, (shutil.which(f"python3.{minor}") for minor in range(8, 16)))]:
        ask = subprocess.run(
            [path, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, check=False
        )
        if not ask.returncode:
            major, minor = map(int, ask.stdout.split())
            if minor >= 8:
                found.setdefault((major, minor), path)
    return [found[version] for version in sorted(found)]


PYTHONS = pythons()


def load(
    modules: dict[str, str], entry: str = "e", *, junk: bytes = b"", python: str = sys.executable
) -> subprocess.CompletedProcess[bytes]:
    body = zlib.compress(json.dumps({"modules": modules, "entry": entry, "request": {"n": 2}}).encode())
    stdin = junk + b"PROVISION1 %d\n" % len(body) + body
    return subprocess.run(
        [python, "-I", "-c", bundle.loader()], input=stdin, capture_output=True, timeout=20, check=False
    )


def answer(done: subprocess.CompletedProcess[bytes]) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(bundle.frame(done.stdout))
    return value


CASES = {
    "a value": ({"e": "def main(r): return {'n': r['n'] + 1}"}, {"ok": True, "value": {"n": 3}}),
    "a package with a module of its own": (
        {
            "__init__": "",
            "e.__init__": "from . import deep\nfrom .deep.x import Y\n"
            "def main(r): return {'y': Y, 'd': deep.__name__}",
            "e.deep.__init__": "",
            "e.deep.x": "from ...z import Z\nY = Z + 1",
            "z": "Z = 1",
        },
        {"ok": True, "value": {"y": 2, "d": "provisioner_target.e.deep"}},
    ),
    "a refusal": (
        {
            "errors": ERRORS,
            "e": "from .errors import TargetError\ndef main(r): raise TargetError('no', 'do this')",
        },
        {"ok": False, "error": "no", "hint": "do this", "kind": "TargetError"},
    ),
}


@pytest.mark.parametrize("python", PYTHONS, ids=lambda path: path.rsplit("/versions/")[-1])
def test_on_this_python(python: str) -> None:
    for modules, expected in CASES.values():
        done = load({"__init__": "", **modules}, python=python)
        assert (answer(done), done.stderr, done.returncode) == (expected, b"", 0)


def test_a_crash_shows_the_source_line_it_happened_on() -> None:
    done = answer(load({"__init__": "", "e": "def main(r):\n    return {'x': 1 / 0}  # here\n"}))
    trace = done.pop("traceback")
    assert done == {
        "ok": False,
        "error": "ZeroDivisionError: division by zero",
        "hint": None,
        "kind": "crash",
    }
    assert 'File "provisioner_target/e.py", line 2, in main' in trace
    assert "return {'x': 1 / 0}  # here" in trace


CRASHES = {
    "a missing entry": ({}, "ModuleNotFoundError: No module named 'provisioner_target.e'"),
    "no main": ({"e": ""}, "AttributeError: module 'provisioner_target.e' has no attribute 'main'"),
    "not JSON": (
        {"e": "def main(r): return {'x': {1}}"},
        "TypeError: Object of type set is not JSON serializable",
    ),
}


@pytest.mark.parametrize(("modules", "error"), CRASHES.values(), ids=CRASHES.keys())
def test_a_defect_is_a_crash(modules: dict[str, str], error: str) -> None:
    done = answer(load({"__init__": "", **modules}))
    assert (done["kind"], done["error"]) == ("crash", error)


def test_what_an_entry_prints_goes_to_stderr() -> None:
    source = "import os\ndef main(r):\n    print('a', flush=True)\n    os.system('echo b')\n    return {}"
    done = load({"__init__": "", "e": source})
    assert (done.stdout, done.stderr) == (
        b'\nPROVISION1 26\n{"ok": true, "value": {}}\n'.replace(b"26", b"25"),
        b"a\nb\n",
    )


def test_junk_before_the_payload_is_skipped() -> None:
    done = load({"__init__": "", "e": "def main(r): return {}"}, junk=b"s3cret\n\nPROVISION1\n")
    assert answer(done) == {"ok": True, "value": {}}
    assert b"s3cret" not in done.stdout + done.stderr


def test_no_payload_is_said() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-c", bundle.loader()], input=b"x\n", capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"provision: no payload came\n")


def test_a_generator_is_a_stream_that_ends_in_its_error() -> None:
    source = "def main(r):\n    yield {'a': 1}\n    yield {'b': 2}\n    raise ValueError('x')"
    lines = load({"__init__": "", "e": source}).stdout.splitlines()
    assert lines[:4] == [b"", b"PROVISION1 stream", b'{"a": 1}', b'{"b": 2}']
    last = json.loads(lines[4])
    assert (len(lines), last["ok"], last["kind"], last["error"]) == (5, False, "crash", "ValueError: x")


def test_a_detached_child_imports_from_memory_and_does_not_hold_the_answer_open(tmp_path: Path) -> None:
    source = f"""
import os, sys, time
def main(r):
    if os.fork() == 0:
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        while not os.path.exists({str(tmp_path / "go")!r}):
            time.sleep(0.01)
        from . import late
        late.write({str(tmp_path / "out")!r})
        os._exit(0)
    return {{"parent": True}}
"""
    late = (
        "def write(path):\n    with open(path + '.new', 'w') as f: f.write('late')\n"
        "    import os; os.rename(path + '.new', path)"
    )
    assert answer(load({"__init__": "", "e": source, "late": late})) == {
        "ok": True,
        "value": {"parent": True},
    }
    assert not (tmp_path / "out").exists()
    (tmp_path / "go").touch()
    deadline = time.monotonic() + 60
    while not (tmp_path / "out").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert (tmp_path / "out").read_text() == "late"
