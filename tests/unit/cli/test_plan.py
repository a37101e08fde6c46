"""`provision plan`: what is printed for a box, several, none; and every way to ask wrongly."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from provisioner.cli import boxes, options
from provisioner.compat import choose, outline
from provisioner.compat.outline import Outline
from provisioner.errors import ProvisionError
from provisioner.facts import Body, Facts, Receipt
from tests.unit.cli.test_main import ended
from tests.unit.report import plans
from tests.unit.report.test_plan_words import IMPOSSIBLE, POSSIBLE, WHY

BOX = "Ubuntu 24.04 LTS · 8 cores · 16 GB of memory · NVIDIA Imaginary 8 8.0 GB"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What the planner was asked; it answers with a plan that exists only in the tests."""
    calls: list[tuple[Any, ...]] = []

    def plan(facts: Facts, *rest: Any) -> Outline | None:
        calls.append((facts, *rest))
        changed = plans.host().outline if facts.gpus else plans.host(None, plans.CONFLICT).outline
        assert changed is not None
        return Outline(plans.FACTS, changed.box, changed.ask, changed.decided, changed.answer)

    monkeypatch.setattr(outline, "of_profile", plan)
    monkeypatch.setattr(choose, "of_profile", plan)
    monkeypatch.setattr(outline, "of_model", plan)
    return calls


def test_a_box_in_words(
    asked: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["plan", "autoglm-phone-9b", "--gpu", "RTX 4090", "--os", "ubuntu24.04", "--memory", "32GB"]
    argv += ["--context", "512", "--batch", "2", "--images", "1", "--cuda", "12.8", "--upgrade", "--why"]
    assert ended(argv, monkeypatch) == 0
    assert capsys.readouterr().out == f"described  {BOX}\n{POSSIBLE}{WHY}"
    facts, profile, wish, terms = asked[-1]
    assert (facts.gpus[0].name, facts.memory.total_bytes) == ("NVIDIA GeForce RTX 4090", 32 * plans.GB)
    assert profile.name == "autoglm-phone-9b"
    assert (wish.load.context, wish.load.batch, wish.load.images) == (512, 2, 1)
    assert (terms.cuda, terms.upgrade, terms.require_gpu) == ("12.8", True, False)


@pytest.mark.usefixtures("asked")
def test_what_is_impossible_ends_in_4(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(["plan", "--gpu", "none"], monkeypatch) == 4
    assert capsys.readouterr().out == f"described  {BOX}\n{IMPOSSIBLE}"


@pytest.mark.usefixtures("asked")
def test_json_is_one_document_and_a_page_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "plan.html"
    assert ended(["plan", "--gpu", "RTX 4090", "--json", "--html", str(page)], monkeypatch) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["hosts"][0]["name"] == "described"
    assert said.err == f"page: {page}\n"
    assert "<svg" in page.read_text()


def test_without_a_model_it_is_what_up_would_choose(
    asked: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for argv, name in (
        (["--gpu", "none"], "gemma3-270m"),
        (["--gpu", "RTX 4090", "--driver", "580.65.06"], "autoglm-phone-9b"),
        (["--gpu", "RTX 4090"], "autoglm-phone-9b"),
        # Where it goes beyond `up`: what a driver would make possible.
        (["--gpu", "RTX 4090", "--driver", "none"], "autoglm-phone-9b"),
        (["--gpu", "none", "--profile", "gemma3-270m-transformers"], "gemma3-270m-transformers"),
    ):
        ended(["plan", *argv], monkeypatch)
        assert asked[-1][1].name == name


def test_without_a_model_it_is_said_why_the_gpu_is_not_used(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["plan", "--gpu", "RTX 4090", "--os", "wsl2", "--driver", "none", "--memory", "32GB"]
    assert ended(argv, monkeypatch) == 0
    told = capsys.readouterr().out
    assert "the CPU route, with gemma3-270m, not autoglm-phone-9b" in told
    assert "install the NVIDIA driver in Windows" in told


def test_a_known_model_and_settings_of_a_profile(
    asked: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    more = ["--profile", "autoglm-phone-9b", "--set", "smoke.dtype=float16"]
    ended(["plan", "qwen3-8b", "--gpu", "RTX 4090", *more], monkeypatch)
    assert (asked[-1][1], asked[-1][2].name) == ("Qwen3-8B", "Qwen3-8B")
    ended(["plan", "autoglm-phone-9b", "--gpu", "none", "--set", "smoke.dtype=float16"], monkeypatch)
    assert asked[-1][1].smoke.dtype == "float16"


class Fake:
    """A machine that answers a probe, or cannot be reached."""

    def __init__(self, name: str, answer: Any) -> None:
        self.target = SimpleNamespace(name=name)
        self._answer = answer

    def call(self, *_: Any, **__: Any) -> Any:
        if isinstance(self._answer, ProvisionError):
            raise self._answer
        return self._answer


@pytest.mark.usefixtures("asked")
def test_several_machines_and_the_worst_of_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = ProvisionError("b cannot be reached", hint="start it")
    fakes = [Fake("a", plans.FACTS.to_json()), Fake("b", gone), Fake("c", {"schema": 9})]
    monkeypatch.setattr(options, "transports", lambda _: fakes)
    assert ended(["plan", "--host", "a", "--host", "b", "--host", "c"], monkeypatch) == 1
    c = (
        "  failed: the probe answered with facts of schema 9, this version reads schema 1\n"
        "  next: use the same version of provision that the answer comes from\n"
    )
    assert capsys.readouterr().out == (
        f"a  {BOX}\n{POSSIBLE}b\n  failed: b cannot be reached\n  next: start it\nc\n{c}"
    )


def test_what_a_machine_was_asked_to_be_and_nobody_knows_ends_that_machine_only(
    asked: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    body = Body(1, "smoke_test", "", {}, (), request={"profile": "gone"}, written_at="2026")
    receipt = Receipt("system", "smoke_test", "/r.json", body=body)
    odd = replace(plans.FACTS, receipts=(receipt,))
    fakes = [Fake("a", odd.to_json()), Fake("b", plans.FACTS.to_json())]
    monkeypatch.setattr(options, "transports", lambda _: fakes)
    assert ended(["plan"], monkeypatch) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        "a", "  failed: what this machine was asked to be cannot be had here: unknown profile gone"
    ]  # fmt: skip
    assert lines[3] == f"b  {BOX}"
    assert len(asked) == 1


def test_a_recorded_machine(
    asked: list[tuple[Any, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "proc").mkdir()
    (tmp_path / "etc/os-release").write_text('ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian 12"\n')
    (tmp_path / "proc/meminfo").write_text("MemTotal: 1000 kB\nMemAvailable: 900 kB\n")
    monkeypatch.chdir(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    ended(["plan", "--root", "."], monkeypatch)
    facts = asked[-1][0]
    assert (facts.os.pretty, facts.memory.total_bytes, facts.python) == ("Debian 12", 1_024_000, None)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_model_by_its_files(
    asked: list[tuple[Any, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.unit.checkpoints import made

    made.gguf(tmp_path / "mine.gguf")
    ended(["plan", f"path:{tmp_path}/mine.gguf", "--gpu", "RTX 4090"], monkeypatch)
    assert (asked[-1][1], asked[-1][2].format) == ("mine", "gguf")


DESCRIBE = "describe a box, or name one to look at"


WHERE_TO_SAY = (
    "say it to provision up; here --set takes fields of a profile, such as requires.cores, and what is asked "
    "of driver and toolkit, such as nvidia_driver_modules"
)


@pytest.mark.parametrize(
    ("argv", "message", "hint"),
    [
        (["--gpu", "RTX 409"], "--gpu RTX 409: no such GPU is known", "did you mean RTX 4090?"),
        (["--os", "debain13"], "--os debain13: no such system is known", "did you mean debian13?"),
        (["--os", "el9", "--host", "a"], "--host or -i together with --os", DESCRIBE),
        (["-i", "hosts", "--root", "x"], "--host or -i together with --root", DESCRIBE),
        (
            ["--root", "x", "--memory", "1GB"],
            "--root together with --memory",
            "a recorded machine tells what it is; leave one of them out",
        ),
        (["--root", "/none"], "--root /none: no such folder", "name the folder that holds etc, proc and sys"),
        (
            ["--root", "{here}"],
            "--root {here}: no recorded machine",
            "it must hold etc/os-release and proc/cpuinfo of one",
        ),
        (
            ["--os", "macos", "--gpu", "RTX 4090"],
            "--os macos with --gpu RTX 4090: macOS has no driver for NVIDIA GPUs",
            "leave one of them out",
        ),
        (
            ["--os", "wsl2", "--secure-boot"],
            "--secure-boot with --os wsl2: Windows loads the driver, not the Linux below it",
            "leave --secure-boot out",
        ),
        (["--gpu", "none", "--require-gpu"], "--gpu none with --require-gpu", "leave one of them out"),
        (
            ["--memory", "0", "--gpu", "none"],
            "--memory 0: a box has some",
            "say it like --memory 32GB, or leave it out",
        ),
        (
            ["qwen3-9b", "--gpu", "none"],
            "unknown model qwen3-9b",
            "did you mean Qwen3-8B?; or say hf:organisation/name",
        ),
        (
            ["gemma3-270m", "--profile", "autoglm-phone-9b"],
            "gemma3-270m and --profile autoglm-phone-9b: two profiles",
            "say one of them",
        ),
        (["--profile", "gemma"], "unknown profile gemma", "did you mean gemma3-270m?"),
        (
            ["path:/none", "--gpu", "none"],
            "/none: no such file or folder on this machine",
            "name the weights, or their folder",
        ),
        (["hf:one", "--gpu", "none"], "--model hf:one: not a repository", None),
        (
            ["--quantization", "Q4KM", "--gpu", "none"],
            "--quantization Q4KM: no such one is known",
            "did you mean Q4_K_M?",
        ),
        (["--set", "smoke.dtype", "--gpu", "none"], "--set smoke.dtype: no value", "say --set key=value"),
        (
            ["--set", "host_base_pypi_index=http://mirror", "--gpu", "none"],
            "--set host_base_pypi_index: a variable of a role, which no plan goes by",
            WHERE_TO_SAY,
        ),
        (
            ["--gpu", "GB10", "--arch", "x86_64"],
            "--gpu GB10 with --arch x86_64: it is on boards of aarch64 only",
            "leave --arch out",
        ),
        (
            ["7B", "--set", "requires.cores=4", "--gpu", "none"],
            "--set requires.cores: 7B has no profile that it would change",
            "say whose settings it takes: --profile NAME",
        ),
        (["--branch", "55O"], "driver branch 55O: no such branch is known", "did you mean 550?"),
        (
            ["--set", "nvidia_driver_branch=55O"],
            "driver branch 55O: no such branch is known",
            "did you mean 550?",
        ),
        (
            ["--branch", "550", "--set", "nvidia_driver_branch=580"],
            "--branch 550 and --set nvidia_driver_branch=580",
            "say one of them",
        ),
        (["--cuda", "11.0"], "CUDA 11.0: no such release is known", "did you mean 11.8?"),
        (
            ["--route", "runfil", "--gpu", "T4"],
            "route runfil: no such way is known",
            "did you mean runfile?",
        ),
        (["--html", "/none/x.html"], "--html /none/x.html: no such folder", "make /none first"),
        (["--html", "{here}"], "--html {here}: a folder", "name the file to write"),
        (
            ["--context", "0"],
            "Invalid value for '--context': 0 is not in the range x>=1.",
            "provision plan --help",
        ),
        (["--runtime", "ollama"], None, "provision plan --help"),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_what_cannot_be_meant_is_named(
    argv: list[str], message: str | None, hint: str | None, as_json: bool,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    argv = [word.replace("{here}", str(tmp_path)) for word in argv]
    assert ended(["plan", *argv, *(["--json"] if as_json else [])], monkeypatch) == 2
    said = capsys.readouterr()
    first, second = said.err.splitlines()
    if message is not None:
        assert first == f"provision: {message.replace('{here}', str(tmp_path))}"
    if hint is not None:
        assert second == f"  next: {hint}"
    if as_json:
        document = json.loads(said.out)
        assert (document["exit_code"], document["error"]) == (2, first.removeprefix("provision: "))
    else:
        assert said.out == ""


def test_every_option_of_a_description_is_one_of_the_description() -> None:
    """A new one that is not in the list would be ignored with --host."""
    from provisioner.cli.plan import command

    known = {param.name: param.opts[-1] for param in command.params}
    assert {name: known[name] for name in boxes.OPTIONS} == boxes.OPTIONS
