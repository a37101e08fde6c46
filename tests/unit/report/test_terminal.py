"""What a person reads, compared whole."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from provisioner.compat import Plan, Settings, WhyNot, make_plan
from provisioner.compat.solver import Fact
from provisioner.drift import DriftItem, RoleDrift
from provisioner.engine.events import Event, Kind
from provisioner.report.page import write_page
from provisioner.report.result import HostResult, RunResult, Status
from provisioner.report.terminal import Terminal
from tests.unit.compat.test_plan import facts
from tests.unit.engine.test_gate import BROKEN, Box, look

SMOKE = {
    "text": "a model\nanswers",
    "tokens": 50,
    "tokens_per_second": 61.6,
    "load_seconds": 0.82,
    "device": "cpu",
}


def host(**changes: object) -> HostResult:
    """A box with two drifted roles."""
    box = facts()
    plan = make_plan(box, Settings())
    assert isinstance(plan, Plan)
    items = (DriftItem("host_base.network", "/opt/provisioner/network.json is gone", "present", "absent"),)
    drift = (RoleDrift("host_base", "drifted", items), RoleDrift("python_env", "clean"))
    return replace(HostResult("box", Status.DRIFTED, facts=box, plan=plan, drift=drift), **changes)  # type: ignore[arg-type]


def said(*calls: tuple[Any, ...]) -> str:
    """What a Terminal writes to a plain stream."""
    stream = io.StringIO()
    terminal = Terminal(stream)
    for name, *arguments in calls:
        getattr(terminal, name)(*arguments)
    return stream.getvalue()


def test_found_and_changes() -> None:
    assert said(("found", host()), ("changes", host())) == (
        "box  Debian GNU/Linux 12 · 8 cores · 33 GB of memory · no NVIDIA GPU\n"
        "  gemma3-270m: Gemma 3 270M (base), 4-bit, through llama.cpp; answers on any CPU\n"
        "  no NVIDIA GPU found: the CPU route, with gemma3-270m\n"
        "  will run host_base: /opt/provisioner/network.json is gone\n"
    )


def test_endings() -> None:
    chain = (
        Fact("gpu.none", "no NVIDIA GPU found", "box"),
        Fact("asked", "autoglm-phone-9b runs on one", "request"),
    )
    why = WhyNot((chain,), ("take another profile", "add a GPU"))
    assert said(
        ("ended", host(status=Status.DONE, changed=3, seconds=42.4, smoke=SMOKE)),
        ("ended", host(status=Status.CONVERGED, drift=())),
        ("ended", host(status=Status.ANSWERED, seconds=2.25)),
        ("ended", host(status=Status.WOULD_CHANGE)),
        ("ended", host()),
        ("ended", host(status=Status.IMPOSSIBLE, plan=None, why_not=why)),
        ("ended", host(status=Status.FAILED, error="no space left", hint="free some", role="model_weights")),
        ("ended", host(status=Status.REBOOT, restart="nouveau is loaded", hint="restart it")),
    ) == (
        "box  done in 42 s, 3 changes\n"
        "  “你好,Open-AutoGLM!” → “a model answers”\n"
        "  50 tokens at 62 tokens/s on the CPU, loaded in 0.8 s\n"
        "box  nothing to do: everything is as its receipts say\n"
        "box  answered in 2.2 s\n"
        "box  would change host_base; nothing was touched\n"
        "box  1 thing differs from the receipts\n"
        "  next: provision up mends it\n"
        "box  impossible: no NVIDIA GPU found → autoglm-phone-9b runs on one\n"
        "  next: take another profile; or add a GPU\n"
        "box  model_weights: no space left\n"
        "  next: free some\n"
        "box  needs a restart: nouveau is loaded\n"
        "  next: restart it\n"
    )


def test_progress_has_bytes_rate_and_time_left() -> None:
    data = {
        "job": "weights",
        "phase": "downloading",
        "done_bytes": 120e6,
        "total_bytes": 238e6,
        "rate": 23.4e6,
        "eta_s": 5.04,
    }
    assert said(("event", Event(Kind.PROGRESS, "box", data=data))) == (
        "box    weights: downloading, 120 MB of 238 MB (50 %), 23 MB/s, 5.0 s left\n"
    )


def test_a_job_that_stands_still_is_named_with_its_log() -> None:
    data = {"job": "env", "phase": "building", "rate": None, "still_s": 361.0, "log": "/s/jobs/env/log.txt"}
    assert said(("event", Event(Kind.PROGRESS, "box", data=data))) == (
        "box    env: building, nothing new for 6 min 1 s (its log there: /s/jobs/env/log.txt)\n"
    )


def test_without_a_terminal_progress_is_said_now_and_then() -> None:
    event = Event(Kind.PROGRESS, "box", data={"job": "env", "phase": "installing"})
    assert said(("event", event), ("event", event)) == "box    env: installing\n"


def test_a_role_is_named_once() -> None:
    start = Event(Kind.STARTED, "box", "python_env", "Build")
    failed = Event(Kind.FAILED, "box", "python_env", "Build", "no space")
    assert said(("event", start), ("event", start), ("event", failed)) == (
        "box  python_env\nbox  failed: Build\n"
    )


def test_the_worst_host_decides() -> None:
    run = RunResult(
        "up", [host(status=Status.DONE), host(status=Status.IMPOSSIBLE), host(status=Status.FAILED)]
    )
    assert int(run.exit_code) == 1
    assert int(RunResult("up", run.hosts[:2]).exit_code) == 4


def test_json_holds_no_secret_and_is_whole() -> None:
    document = RunResult("verify", [host(smoke=SMOKE)]).to_json()
    assert json.loads(json.dumps(document)) == document
    assert (document["schema"], document["exit_code"], document["hosts"][0]["status"]) == (1, 5, "drifted")
    assert document["hosts"][0]["drift"][0] == {
        "role": "host_base",
        "status": "drifted",
        "does": None,
        "items": [
            {
                "id": "host_base.network",
                "what": "/opt/provisioner/network.json is gone",
                "expected": "present",
                "observed": "absent",
            }
        ],
    }


def test_the_page_says_the_same_and_escapes(tmp_path: Path) -> None:
    smoke = SMOKE | {"text": "<script>alert(1)</script>"}
    result = RunResult("up", [host(status=Status.DONE, smoke=smoke)], run="r1", folder="/x")
    write_page(result, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>" not in page
    assert "/opt/provisioner/network.json is gone" in page
    assert "http" not in page.replace("https://ai.google.dev/gemma/terms", "")


def test_what_the_model_said_goes_with_what_it_was_asked_and_steers_no_terminal() -> None:
    plan = make_plan(facts(), Settings(variables={"smoke_test_prompt": "1 + 1 ="}))
    odd: dict[str, object] = {
        "text": "2\x1b[2J",
        "tokens": None,
        "tokens_per_second": "fast",
        "load_seconds": [],
    }
    assert said(("ended", host(status=Status.CONVERGED, plan=plan, drift=(), smoke=odd))) == (
        "box  nothing to do: everything is as its receipts say\n"
        "  “1 + 1 =” → “2 [2J”\n"
        "  0 tokens at 0 tokens/s on the CPU, loaded in 0.0 s\n"
    )


def test_how_a_machine_in_wsl_is_reached_is_said_when_it_was_made(tmp_path: Path) -> None:
    found = facts()
    in_wsl = replace(found, os=replace(found.os, wsl=True))
    way = "Windows reaches its ports as localhost, other machines by mirrored networking or a port proxy"
    made = host(status=Status.DONE, facts=in_wsl)
    assert said(("ended", made)).splitlines()[-1] == f"  {way}: docs/windows.md"
    write_page(RunResult("up", [made], run="r1", folder="/x"), tmp_path / "report.html")
    assert way in (tmp_path / "report.html").read_text(encoding="utf-8")
    for other in (host(status=Status.DONE), host(status=Status.CONVERGED, facts=in_wsl)):
        assert way not in said(("ended", other))


def test_what_was_measured_is_told() -> None:
    measured = {
        **SMOKE, "perplexity": 8.827, "max_perplexity": 9.5, "bound_is_generous": False, "dtype": "half",
        "quantization": "nf4", "first_token_seconds": 0.21, "peak_rss_bytes": 418_000_000,
        "peak_vram_bytes": 7_100_000_000,
    }  # fmt: skip
    lines = said(("ended", host(status=Status.DONE, smoke=measured))).splitlines()
    memory = "418 MB of memory at its peak and 7.1 GB of VRAM, 410 MB predicted"
    assert lines[-2:] == [
        "  perplexity 8.8 of 9.5 (its bound)",
        f"  first token after 0.2 s, {memory}, half in nf4",
    ]
    unknown = {**measured, "bound_is_generous": True, "max_perplexity": 100.0, "quantization": "none"}
    del unknown["peak_vram_bytes"]
    lines = said(("ended", host(status=Status.DONE, smoke=unknown))).splitlines()
    assert lines[-2:] == [
        "  perplexity 8.8 of 100.0 (the generous bound: nobody has measured this model)",
        "  first token after 0.2 s, 418 MB of memory at its peak, 410 MB predicted, half",
    ]
    wrong = {**unknown, "peak_rss_bytes": 518_000_000}
    assert said(("ended", host(status=Status.DONE, smoke=wrong))).splitlines()[-1] == (
        "  warning: that is 26% more memory than was predicted; please report it,"
        " with `memory` and `plan` of the run's journal.json"
    )


TOLD = """\
  blocking  /var/lib/provisioner cannot be written to: / is mounted read-only
            seen    ro
            wanted  rw
            why     An environment needs links and programs that may start, weights need files over 4
                    GB, and both need to be there after a restart.
            where   in the running system
            do      1. Look why: `sudo dmesg | grep -i remount` tells of errors on the disk.
                    2. Where it is on purpose: `sudo mount -o remount,rw /`.
            check   storage.file-system of folder:/var/lib/provisioner
            or      --ignore storage.file-system goes on all the same
box  blocked: /var/lib/provisioner cannot be written to: / is mounted read-only (storage.file-system)
  next: Look why: `sudo dmesg | grep -i remount` tells of errors on the disk.
"""


def test_what_blocks_is_told_in_full_and_a_warning_in_a_line() -> None:
    host = look(Box(BROKEN))
    stream = io.StringIO()
    terminal = Terminal(stream)
    terminal.findings(host)
    terminal.ended(host)
    assert stream.getvalue() == TOLD
