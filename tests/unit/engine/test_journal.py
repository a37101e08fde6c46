"""The run journal: events as they come, the whole run at its end."""

from __future__ import annotations

import json
import stat
from pathlib import Path

from provisioner.engine.events import Event, Kind
from provisioner.engine.journal import Journal, new_run_id


def test_a_run_is_kept(tmp_path: Path) -> None:
    journal = Journal("r1", tmp_path / "r1")
    journal.event(Event(Kind.STARTED, "box", "python_env", "Build", at=1.5))
    journal.event(Event(Kind.PROGRESS, "box", data={"done_bytes": 1}))
    path = journal.close({"argv": ["up"], "plans": {}})
    lines = (tmp_path / "r1" / "events.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [
        {
            "kind": "started",
            "host": "box",
            "role": "python_env",
            "task": "Build",
            "message": "",
            "at": 1.5,
            "data": {},
        }
        | {key: value for key, value in json.loads(lines[0]).items() if key == "hint"}
    ]
    whole = json.loads(path.read_text(encoding="utf-8"))
    assert (whole["run"], whole["argv"], whole["schema"]) == ("r1", ["up"], 1)


def test_bytes_that_are_no_utf_8_are_kept_escaped(tmp_path: Path) -> None:
    journal = Journal("r1", tmp_path / "r1")
    journal.event(Event(Kind.FAILED, "box", message="caf\udce9"))
    path = journal.close({"argv": ["caf\udce9"]})
    (line,) = (tmp_path / "r1" / "events.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["message"] == "caf\udce9"
    assert json.loads(path.read_text(encoding="utf-8"))["argv"] == ["caf\udce9"]


def test_nobody_else_reads_it(tmp_path: Path) -> None:
    Journal("r1", tmp_path / "r1").close({})
    assert stat.S_IMODE((tmp_path / "r1").stat().st_mode) == 0o700


def test_run_ids_sort_by_time() -> None:
    assert new_run_id(0.0) < new_run_id(1.0) < new_run_id(86400.0)
