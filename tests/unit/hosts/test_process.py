from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from provisioner.hosts.process import Finished, RealRunner, TimedOut


def python(code: str) -> list[str]:
    return [sys.executable, "-I", "-c", code]


def gone(pid: int) -> bool:
    """Whether a process has ended, waiting a moment for the kernel."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.01)
    return False


def test_output_errors_and_code_come_back() -> None:
    code = "import sys; d = sys.stdin.read(); print(d.upper()); print('e', file=sys.stderr); sys.exit(3)"
    assert RealRunner().run(python(code), stdin=b"in") == Finished(3, b"IN\n", b"e\n")


def test_more_than_a_pipe_holds_goes_both_ways() -> None:
    code = "import sys, shutil; shutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer, 1000)"
    data = os.urandom(3_000_000)
    assert RealRunner().run(python(code), stdin=data) == Finished(0, data, b"")


def test_a_program_that_does_not_read_its_input() -> None:
    done = RealRunner().run(python("import sys; sys.exit(4)"), stdin=b"x" * 1_000_000)
    assert done == Finished(4, b"", b"")


def test_the_environment_is_added_to() -> None:
    code = "import os; print(os.environ['ADDED'], 'PATH' in os.environ)"
    assert RealRunner().run(python(code), env={"ADDED": "x"}).stdout == b"x True\n"


def test_a_missing_program_is_the_caller_s_to_explain() -> None:
    with pytest.raises(FileNotFoundError):
        RealRunner().run(["/nonexistent/program"])


def test_a_timeout_ends_the_whole_group_and_keeps_what_was_said() -> None:
    code = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""
    start = time.monotonic()
    with pytest.raises(TimedOut) as caught:
        RealRunner().run(python(code), timeout=0.5)
    assert time.monotonic() - start < 5
    assert gone(int(caught.value.stdout))


def test_the_end_of_the_process_is_the_end_even_if_a_child_keeps_its_errors_open() -> None:
    # As an ssh client does that has become the shared connection.
    code = """
import os, sys, time
if os.fork() == 0:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    time.sleep(60)
print(os.getpgrp(), flush=True)
"""
    start = time.monotonic()
    done = RealRunner().run(python(code), timeout=30)
    assert time.monotonic() - start < 5
    os.killpg(int(done.stdout), 9)


def test_a_child_is_spoken_to_and_closed() -> None:
    code = (
        "import sys\nfor l in sys.stdin: print(l.upper(), end='', flush=True)\nprint('end', file=sys.stderr)"
    )
    child = RealRunner().start(python(code), stdin=b"a\nb\n")
    lines = child.lines()
    assert [next(lines), next(lines)] == [b"A\n", b"B\n"]
    assert child.close(10) == child.close(10) == Finished(0, b"", b"end\n")
    assert list(lines) == []


def test_a_child_that_does_not_end_is_ended() -> None:
    child = RealRunner().start(python("print('up', flush=True)\nimport time; time.sleep(60)"))
    assert next(child.lines()) == b"up\n"
    assert child.close(0.1).code == -15


def test_a_child_that_is_gone_before_it_is_told_anything() -> None:
    child = RealRunner().start(python("import sys; sys.exit('no')"), stdin=b"x" * 1_000_000)
    assert list(child.lines()) == []
    assert child.close(10) == Finished(1, b"", b"no\n")


def test_only_this_package_starts_subprocesses() -> None:
    package = Path(__file__).parents[3] / "provisioner"
    found = subprocess.run(
        ["grep", "-rlE", r"^\s*(import subprocess|from subprocess)", package, "--include=*.py"],
        capture_output=True,
        text=True,
        check=False,
    )
    files = {str(Path(line).relative_to(package)) for line in found.stdout.splitlines()}
    assert {name for name in files if not name.startswith("target/")} == {"hosts/process.py"}
