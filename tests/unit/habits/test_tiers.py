"""The runner of the tiers itself."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests import failures, tiers
from tests.lab import host
from tests.tiers import Outcome, Tier, command, main, run_tier, summary
from tests.unit import prepare
from tests.vm import host as vm_host

PASS = command("python", "-c", "pass")
FAIL = command("python", "-c", "raise SystemExit(3)")
MISSING = command("no-such-tool-anywhere")


def quiet(_text: str) -> None:
    """Nobody listens."""


def tier(*commands: tiers.Command, obstacle: str | None = None, prepare: tiers.Command | None = None) -> Tier:
    return Tier("one", "what", lambda: commands, lambda: obstacle, prepare)


@pytest.mark.parametrize(
    ("subject", "required", "state", "why"),
    [
        (tier(PASS, PASS), False, "passed", ""),
        (tier(FAIL, PASS), False, "failed", "python -c raise SystemExit(3) (exit 3)"),
        (tier(MISSING, FAIL), False, "failed",
         "no-such-tool-anywhere (exit 127); python -c raise SystemExit(3) (exit 3)"),
        (tier(PASS, prepare=PASS), False, "passed", ""),
        (tier(FAIL, prepare=MISSING), False, "skipped", "cannot run: no-such-tool-anywhere (exit 127)"),
        (tier(FAIL, prepare=MISSING), True, "failed", "cannot run: no-such-tool-anywhere (exit 127)"),
        (tier(FAIL, obstacle="no GPU"), False, "skipped", "cannot run: no GPU"),
        (tier(PASS, obstacle="no root"), True, "failed", "cannot run: no root"),
    ],
)  # fmt: skip
def test_a_tier_ends_as_its_commands_do(subject: Tier, required: bool, state: str, why: str) -> None:
    outcome = run_tier(subject, required=required, say=quiet)
    assert (outcome.tier, outcome.state, outcome.why) == ("one", state, why)


def test_every_command_is_shown_before_it_runs() -> None:
    said: list[str] = []
    run_tier(tier(PASS), required=False, say=said.append)
    assert said == ["── one: python -c pass"]


def test_the_last_line_counts_tiers() -> None:
    states = ("passed", "failed", "skipped", "passed")
    assert summary([Outcome("t", state, 1.0) for state in states]) == "2 passed, 1 failed, 1 skipped"


TIERS = (
    Tier("good", "", lambda: [PASS]),
    Tier("bad", "", lambda: [FAIL]),
    Tier("lab", "", lambda: [PASS], lambda: "no root"),
    Tier("gpu", "", lambda: [PASS], lambda: "no GPU", required_in_ci=False),
)


@pytest.mark.parametrize(
    ("arguments", "ci", "code", "last"),
    [
        (["good"], "", 0, "1 passed, 0 failed, 0 skipped"),
        (["good", "bad"], "", 1, "1 passed, 1 failed, 0 skipped"),
        ([], "", 1, "1 passed, 1 failed, 2 skipped"),
        ([], "true", 1, "1 passed, 2 failed, 1 skipped"),
        (["lab"], "", 1, "0 passed, 1 failed, 0 skipped"),
        (["gpu"], "", 1, "0 passed, 1 failed, 0 skipped"),
    ],
)
def test_the_exit_code_and_the_last_line_agree(
    arguments: list[str],
    ci: str,
    code: int,
    last: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(tiers, "TIERS", TIERS)
    monkeypatch.setenv("CI", ci)
    assert main(arguments) == code
    assert capsys.readouterr().out.splitlines()[-1] == last


def test_lanes_run_side_by_side_and_speak_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each of the two waits for the other to have begun: one after the other, both would wait in vain."""
    meet = (
        "import pathlib, sys, time\n"
        "mine, other = (pathlib.Path(sys.argv[1], name) for name in sys.argv[2:])\n"
        "mine.touch(); print(sys.argv[2], 'one'); end = time.monotonic() + 60\n"
        "while not other.exists() and time.monotonic() < end: time.sleep(0.01)\n"
        "print(sys.argv[2], 'two'); sys.exit(not other.exists())"
    )
    one, other = (command("python", "-c", meet, str(tmp_path), *names) for names in ("ab", "ba"))
    monkeypatch.setattr(
        tiers,
        "TIERS",
        (
            Tier("first", "", lambda: [PASS]),
            Tier("left", "", lambda: [one], lane="l"),
            Tier("right", "", lambda: [other], lane="r"),
            Tier("after", "", lambda: [FAIL], lane="r"),
        ),
    )
    assert main([]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[-5:-1]] == [
        ["first", "passed"], ["left", "passed"], ["right", "passed"], ["after", "failed"],
    ]  # fmt: skip
    for name in "ab":
        assert lines[lines.index(f"{name} one") + 1] == f"{name} two"


def test_failed_tests_are_named_once_more_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "test_it.py"
    path.write_text("def test_good(): pass\ndef test_bad():\n    assert 1 == 2, 'not\\nthe same'\n", "utf-8")
    alone = command("pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={tmp_path}", str(path))
    monkeypatch.setattr(tiers, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(tiers, "TIERS", (Tier("one", "", lambda: [alone]), TIERS[0]))
    assert main([]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-4] == "failed in one: test_it::test_bad: AssertionError: not the same assert 1 == 2"
    assert [line.split()[1] for line in lines[-3:-1]] == ["failed", "passed"]


def test_of_a_long_message_the_complaint_and_the_last_words_stay(tmp_path: Path) -> None:
    path = tmp_path / "results.xml"
    said = f"it did not boot {'x' * 2000} Kernel panic"
    path.write_text(f'<a><testcase classname="c" name="n"><error message="{said}"/></testcase></a>', "utf-8")
    (line,) = failures.failed(path)
    assert line.startswith("c::n: it did not boot xxx")
    assert line.endswith("xxx Kernel panic")
    assert len(line) < 900


def test_what_cannot_run_is_named_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tiers, "TIERS", (TIERS[0], TIERS[3]))
    monkeypatch.setenv("CI", "true")
    assert main([]) == 0
    assert capsys.readouterr().out.splitlines()[-3:] == [
        "good      passed        0 s",
        "gpu       skipped       0 s  cannot run: no GPU",
        "1 passed, 0 failed, 1 skipped",
    ]


def test_an_unknown_tier_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["unti"])
    assert caught.value.code == 2
    assert "no tier unti; there are: lint, unit, lab, slow, vm, molecule, gpu" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("obstacles", "apt", "expected"),
    [
        ([], True, None),
        (["`docker` is not installed: python -m tests.lab prepare"], True, None),
        (["`docker` is not installed: python -m tests.lab prepare"], False,
         "`docker` is not installed: python -m tests.lab prepare"),
        (["the lab needs root: run it with sudo"], True, "the lab needs root: run it with sudo"),
    ],
)  # fmt: skip
def test_what_the_lab_can_mend_itself_is_no_obstacle(
    obstacles: list[str], apt: bool, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "obstacles", lambda: obstacles)
    monkeypatch.setattr(shutil, "which", lambda _name: "/usr/bin/apt-get" if apt else None)
    assert tiers.lab_obstacle() == expected


def test_what_virtual_machines_can_mend_themselves_is_no_obstacle(monkeypatch: pytest.MonkeyPatch) -> None:
    found = ["`ssh` is not installed: python -m tests.vm prepare"]
    monkeypatch.setattr(vm_host, "obstacles", lambda: found)
    monkeypatch.setattr(shutil, "which", lambda _name: "/usr/bin/apt-get")
    assert tiers.vm_obstacle() is None
    found.insert(0, "they run on Linux on x86_64, this is Linux on aarch64")
    assert tiers.vm_obstacle() == found[0]


@pytest.mark.parametrize(
    ("ci", "possible", "prepared"), [("true", True, True), ("", True, False), ("true", False, False)]
)
def test_only_ci_installs_what_unit_tests_would_leave_out(
    ci: str, possible: bool, prepared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(prepare, "possible", lambda: possible)
    assert (tiers.unit_tools() is not None) is prepared


def test_what_needs_machines_is_required_in_ci() -> None:
    assert {one.name for one in tiers.TIERS if not one.required_in_ci} == {"gpu"}


def test_tools_come_from_this_environment() -> None:
    assert tiers.resolve(("python", "-V")) == (sys.executable, "-V")
    assert tiers.resolve(("no-such-tool-anywhere",)) == ("no-such-tool-anywhere",)
    environment = tiers.child_environment({"PATH": "/bin"})
    assert environment["PATH"] == f"{sys.executable.rpartition('/')[0]}:/bin"
