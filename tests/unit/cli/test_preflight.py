"""`provision preflight`: what is printed, in which code it ends, and every way to ask wrongly."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from provisioner.cli import mending, options
from provisioner.engine.fixes import Fixed
from provisioner.errors import ProvisionError
from provisioner.preflight import judge
from provisioner.preflight.explain import explain, explain_json
from provisioner.preflight.finding import Remedy, worst_first
from provisioner.preflight.judge import Preflight
from provisioner.preflight.needs import ALONE
from provisioner.preflight.purpose import infer
from tests.recorded import unpack
from tests.unit.cli.test_main import ended
from tests.unit.report import preflights
from tests.unit.report.preflights import ABOVE, BLANK, RICH, SWAP

HOLDS = "it must hold the proc and sys of a machine"


class Fake:
    """A machine that answers the probe, or cannot be reached; it keeps what it was asked."""

    def __init__(self, name: str, answer: Any = None) -> None:
        self.target = SimpleNamespace(name=name)
        self.answer = preflights.facts().to_json() if answer is None else answer
        self.asked: list[Any] = []

    def call(self, entry: str, request: Any, **_: Any) -> Any:
        self.asked.append((entry, request))
        if isinstance(self.answer, ProvisionError):
            raise self.answer
        return self.answer


@pytest.fixture
def findings(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the judge finds on every machine, and with what it was asked last."""
    told: dict[str, Any] = {"found": RICH}

    def preflight(facts: Any, needs: Any, purpose: Any, *, ignore: Any) -> Preflight:
        told["asked"] = (needs, purpose, ignore)
        inferred, _ = infer(facts)
        return Preflight(purpose or inferred, "no sign of virtualization", worst_first(told["found"]))

    monkeypatch.setattr(judge, "preflight", preflight)
    return told


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> Fake:
    """The one machine that is asked."""
    fake = Fake("box")
    monkeypatch.setattr(options, "transports", lambda _: [fake])
    return fake


@pytest.mark.usefixtures("findings", "box")
def test_one_machine(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "90")
    assert ended(["preflight"], monkeypatch) == 3
    said = capsys.readouterr()
    assert (said.out, said.err) == ((preflights.OUTPUTS / "one.txt").read_text(encoding="utf-8"), "")
    assert ended(["preflight", "--all"], monkeypatch) == 3
    everything = (preflights.OUTPUTS / "everything.txt").read_text(encoding="utf-8")
    assert capsys.readouterr().out == everything


def test_what_a_machine_is_asked(
    findings: dict[str, Any], box: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    findings["found"] = (BLANK,)
    assert ended(["preflight", "--no-network", "--purpose", "vfio-host"], monkeypatch) == 0
    entry, request = box.asked[-1]
    assert (entry, request["receipts"], request["audit"]["network"]) == ("probe.audit", [], None)
    assert all(path.startswith("/") for path in request["audit"]["certificates"])
    assert findings["asked"] == (ALONE, "vfio-host", ())
    assert ended(["preflight"], monkeypatch) == 0
    mirrors = box.asked[-1][1]["audit"]["network"]["mirrors"]
    assert mirrors
    assert all(set(mirror) == {"what", "address"} for mirror in mirrors)
    assert findings["asked"] == (ALONE, None, ())


@pytest.mark.parametrize(
    ("argv", "found", "code"),
    [
        ([], (BLANK, SWAP), 0),
        (["--strict"], (BLANK, SWAP), 3),
        (["--strict"], (BLANK,), 0),
        (["--strict", "--ignore", "memory.swap"], (BLANK, SWAP), 0),
        ([], (ABOVE, SWAP), 3),
    ],
)
@pytest.mark.usefixtures("box")
def test_endings(
    argv: list[str], found: Any, code: int, findings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    findings["found"] = found
    assert ended(["preflight", *argv], monkeypatch) == code


@pytest.mark.usefixtures("findings")
def test_many_machines_and_one_that_is_gone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = ProvisionError("c: no answer on port 22", hint="start it")
    bare = {"schema": 1, "python": None, "uid": 0, "root": "yes"}
    fakes = [Fake("a"), Fake("b", {"schema": 9}), Fake("c", gone), Fake("d", bare)]
    monkeypatch.setattr(options, "transports", lambda _: fakes)
    assert ended(["preflight", "--host", "a"], monkeypatch) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("a  blocked: 1 thing to put right first; 2 warnings")
    assert lines[1:8] == [
        "b  failed: the probe answered with facts of schema 9, this version reads schema 1",
        "  next: use the same version of provision that the answer comes from",
        "c  failed: no answer on port 22",
        "  next: start it",
        "d  failed: there is no Python 3.8 or later, without which nothing can be read there",
        "  next: install python3 there first; provision up does that by itself",
        "",
    ]
    assert lines[-1] == "0 of 4 machines are ready"
    assert ended(["preflight", "--json"], monkeypatch) == 1
    document = json.loads(capsys.readouterr().out)
    assert [(host["name"], host["status"], host["exit_code"]) for host in document["hosts"]] == [
        ("a", "blocked", 3), ("b", "failed", 1), ("c", "failed", 1), ("d", "failed", 1),
    ]  # fmt: skip


@pytest.mark.usefixtures("findings", "box")
def test_one_document_and_files_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {name: tmp_path / f"out.{name}" for name in ("junit", "sarif", "html")}
    argv = [word for name, path in files.items() for word in (f"--{name}", str(path))]
    assert ended(["preflight", "--json", *argv], monkeypatch) == 3
    said = capsys.readouterr()
    document = json.loads(said.out)
    assert (document["schema"], document["verb"], document["exit_code"]) == (1, "preflight", 3)
    (host,) = document["hosts"]
    assert host["counts"] == {"fail": 1, "warn": 2, "error": 1, "unknown": 3, "pass": 3}
    assert "receipts" not in host["facts"]
    assert host["facts"]["audit"]["firmware"]["board"]["value"]["board_name"] == "Board 1"
    assert said.err == "".join(f"{name}: {path}\n" for name, path in files.items())
    assert ET.parse(files["junit"]).getroot().get("tests") == "10"
    assert json.loads(files["sarif"].read_text())["version"] == "2.1.0"
    assert files["html"].read_text().startswith("<!doctype html>")


@pytest.mark.usefixtures("findings", "box")
def test_colours_are_for_terminals_that_want_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("provisioner.cli.output.sys.stdout.isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    ended(["preflight"], monkeypatch)
    coloured = capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    ended(["preflight"], monkeypatch)
    assert "\x1b" not in capsys.readouterr().out
    assert "\x1b[31m\x1b[1mblocking" in coloured


def test_a_recorded_machine_is_judged_by_the_same_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    unpack("intel-off", tmp_path)
    assert ended(["preflight", "--root", str(tmp_path), "--json"], monkeypatch) in (0, 3)
    (host,) = json.loads(capsys.readouterr().out)["hosts"]
    assert host["facts"]["audit"]["network"] is None
    assert host["facts"]["audit"]["iommu"]["tables"]["value"] == ["DMAR"]


@pytest.mark.parametrize(
    ("argv", "message", "hint"),
    [
        (["--purpose", "gust"], "--purpose gust: no such purpose", "did you mean guest?"),
        (["--ignore", "memory.swp"], "memory.swp: no such check", "did you mean memory.swap?"),
        (["--root", "{here}/none"], "--root {here}/none: no such folder", HOLDS),
        (["--root", "{here}/file"], "--root {here}/file: a file", f"name a folder; {HOLDS}"),
        (["--root", "{here}"], "--root {here}: no recorded machine: there is no proc in it", HOLDS),
        (["--root", "{here}/half"], "--root {here}/half: no recorded machine: there is no sys in it", HOLDS),
        (["--root", "{here}/empty"], "--root {here}/empty: no recorded machine: its sys is empty", HOLDS),
        (["--root", "{here}", "--host", "a"], "--root together with --host or -i", "leave one of them out"),
        (["--explain", "boot.mod"], "boot.mod: no such check", "did you mean boot.mode?"),
        (["--check"], "--check without --fix", "preflight changes nothing but with --fix"),
        (["--fix", "--root", "{here}"], "--fix together with --root", "a recorded machine cannot be mended"),
        (
            ["--bench", "--root", "{here}"],
            "--bench together with --root",
            "a recorded machine cannot be measured",
        ),
        (
            ["--junit", "{here}/x", "--sarif", "{here}/half/../x"],
            "--junit and --sarif name the same file: {here}/half/../x",
            "name one for each",
        ),
        (["--html", "{here}/none/x"], "--html {here}/none/x: no such folder", "make {here}/none first"),
        (["--sarif", "{here}"], "--sarif {here}: a folder", "name the file to write"),
        (["--junit", "{here}"], "--junit {here}: a folder", "name the file to write"),
    ],
)
def test_asked_wrongly(
    argv: list[str], message: str, hint: str,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    (tmp_path / "file").touch()
    for made in ("half/proc/1", "empty/proc/1", "empty/sys"):
        (tmp_path / made).mkdir(parents=True)
    here = str(tmp_path)
    assert ended(["preflight", *(word.replace("{here}", here) for word in argv)], monkeypatch) == 2
    message, hint = (text.replace("{here}", here) for text in (message, hint))
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"provision: {message}\n  next: {hint}\n")


def test_a_recorded_machine_that_may_not_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def forbidden(_: Path) -> Any:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "proc").mkdir()
    monkeypatch.setattr(Path, "iterdir", forbidden)
    assert ended(["preflight", "--root", str(tmp_path)], monkeypatch) == 2
    assert capsys.readouterr().err == (
        f"provision: --root {tmp_path}: its proc may not be read\n  next: let this user read it\n"
    )


@pytest.mark.parametrize("option", ["--junit", "--sarif", "--html"])
@pytest.mark.usefixtures("findings", "box")
def test_a_file_without_room_is_named(
    option: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(["preflight", option, "/dev/full"], monkeypatch) == 1
    assert capsys.readouterr().err == (
        f"provision: {option} /dev/full: No space left on device\n"
        "  next: name a file that can be written, with room for it\n"
    )


@pytest.mark.usefixtures("findings", "box")
def test_several_files_may_go_to_one_device(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ended(["preflight", "--junit", "/dev/null", "--html", "/dev/null"], monkeypatch) == 3


@pytest.mark.usefixtures("findings", "box")
def test_warnings_that_may_not_be_are_not_called_ready(
    findings: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    findings["found"] = (BLANK, SWAP)
    ended(["preflight", "--strict"], monkeypatch)
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "not clean, as --strict wants it: 1 warning",
        "  next: put right what is warned of, or name a check with --ignore",
    ]
    ended(["preflight", "--strict", "--ignore", "memory.swap"], monkeypatch)
    assert "ready: nothing that was seen stands in the way; 1 warning" in capsys.readouterr().out
    monkeypatch.setattr(options, "transports", lambda _: [Fake("a"), Fake("b")])
    ended(["preflight", "--strict"], monkeypatch)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "a  not clean, as --strict wants it: 1 warning  (bare-metal)"
    assert lines[-1] == "0 of 2 machines are ready"


# --explain and --fix


def test_a_check_is_explained_and_no_machine_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def asked(_: object) -> None:
        raise AssertionError("a machine was asked")

    monkeypatch.setattr(options, "transports", asked)
    monkeypatch.setenv("COLUMNS", "80")
    assert ended(["preflight", "--explain", "iommu.mode"], monkeypatch) == 0
    assert capsys.readouterr().out == explain("iommu.mode", width=80) + "\n"
    assert ended(["preflight", "--explain", "iommu.mode", "--json"], monkeypatch) == 0
    assert json.loads(capsys.readouterr().out) == explain_json("iommu.mode")


CLOCK = replace(
    SWAP,
    id="clock.synchronized",
    summary="The clock is nobody's.",
    remedy=Remedy("system", ("x",), fix="time-sync"),
)
WORDS = (
    "time-sync: the installed time service, or else systemd-timesyncd, starts now and with the system;"
    " to undo: `systemctl disable --now systemd-timesyncd`"
)


@pytest.fixture
def applied(findings: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Any]:
    """What was to be fixed; after that nothing is found any more."""
    calls: list[Any] = []

    def apply(hosts: Any, sink: Any, **rest: Any) -> list[Fixed]:
        calls.append({host.name: host.fixes for host in hosts})
        findings["found"] = (BLANK,)
        error = findings.get("error")
        return [Fixed(host.name, host.fixes, 1, error) for host in hosts if host.fixes]

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(mending, "apply_fixes", apply)
    return calls


def test_what_would_be_fixed_is_said_and_not_done(
    findings: dict[str, Any], applied: list[Any], box: Fake,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    findings["found"] = (CLOCK,)
    assert ended(["preflight", "--fix", "--check"], monkeypatch) == 5
    assert f"would fix {WORDS}" in " ".join(capsys.readouterr().out.split())
    assert (applied, len(box.asked)) == ([], 1)
    findings["found"] = (CLOCK, ABOVE)
    assert ended(["preflight", "--fix", "--check", "--json"], monkeypatch) == 3
    (host,) = json.loads(capsys.readouterr().out)["hosts"]
    assert [(one["name"], one["state"]) for one in host["fixes"]] == [("time-sync", "would")]


def test_what_is_fixed_is_said_first_and_looked_at_again(
    findings: dict[str, Any], applied: list[Any], box: Fake, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    findings["found"] = (CLOCK,)
    assert ended(["preflight", "--fix"], monkeypatch) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"box  will fix {WORDS.partition(';')[0]}"
    assert " ".join(line.strip() for line in lines).count(f"fixed     {WORDS}") == 1
    assert lines[-2] == "ready: nothing that was seen stands in the way"
    assert (applied, len(box.asked)) == ([{"box": ("time-sync",)}], 2)
    (journal,) = tmp_path.rglob("journal.json")
    assert json.loads(journal.read_text())["result"]["hosts"] == [
        {"name": "box", "fixes": ["time-sync"], "error": None}
    ]


def test_what_could_not_be_fixed_fails(
    findings: dict[str, Any], applied: list[Any], box: Fake,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    findings.update(found=(CLOCK,), error=ProvisionError("box: not root", hint="log in as root"))
    assert ended(["preflight", "--fix"], monkeypatch) == 1
    assert "not fixed not root; next: log in as root" in capsys.readouterr().out
    findings["found"] = (CLOCK,)
    assert ended(["preflight", "--fix", "--json"], monkeypatch) == 1
    said = capsys.readouterr()
    (host,) = json.loads(said.out)["hosts"]
    assert (host["fixes"][0]["state"], host["fix_error"], host["fix_hint"]) == (
        "failed", "box: not root", "log in as root",
    )  # fmt: skip
    assert said.err.startswith("box  will fix time-sync")


def test_where_nothing_can_be_fixed_nothing_is_done(
    findings: dict[str, Any], applied: list[Any], box: Fake,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    findings["found"] = (BLANK, SWAP)
    assert ended(["preflight", "--fix"], monkeypatch) == 0
    assert capsys.readouterr().out.endswith("there is nothing that --fix could mend\n")
    assert (applied, len(box.asked)) == ([], 1)
