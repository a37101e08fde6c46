"""The job `runfile`, with an emulated installer: a script with an archive behind it, as makeself makes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.runtime.files import read_json
from provisioner.target.system import runfile
from tests.hub.server import Fault, Hub, Kind, serve
from tests.unit.target.runtime.conftest import FakeContext

# It does what the real one is known to do: fills the folder, moves a link, keeps a log; never the driver.
SCRIPT = """#!/bin/sh
# An emulated installer.
for word in "$@"; do
  case $word in
    --toolkitpath=*) path=${word#*=} ;;
    --tmpdir=*) tmp=${word#*=} ;;
    --driver) echo driver >"@ROOT@/driver"; exit 9 ;;
    --silent|--toolkit|--no-man-page|--override) ;;
    *) echo "Unknown option: $word" >&2; exit 2 ;;
  esac
done
[ -d "$tmp" ] && [ "$TMPDIR" = "$tmp" ] || exit 3
echo unpacked >"$tmp/payload"
rm -f "@ROOT@/cuda"; ln -s "$path" "@ROOT@/cuda"
if [ -e "@ROOT@/fail" ]; then
  mkdir -p "$path/bin"
  cat "@ROOT@/fail" >>"@ROOT@/installer.log"; cat "@ROOT@/fail"; exit 1
fi
mkdir -p "$path/bin" "$path/lib64"
[ -e "@ROOT@/empty" ] || echo nvcc >"$path/bin/nvcc"
exit 0
# an archive would follow here
"""
BULK = b"\0" * (3 << 20)


class Bench:
    """A machine, a mirror with the installer, and what the role would ask for."""

    def __init__(self, root: Path, hub: Hub) -> None:
        self.root, self.hub, self.context = root, hub, FakeContext()
        self.content = SCRIPT.replace("@ROOT@", str(root)).encode() + BULK
        hub.files["/cuda_12.4.1_linux.run"] = self.content
        self.folder = root / "cuda-12.4"
        self.spec: dict[str, Any] = {
            "url": f"{hub.url}/cuda_12.4.1_linux.run",
            "sha256": hashlib.sha256(self.content).hexdigest(),
            "size": len(self.content),
            "disk": 1000,
            "arguments": [
                "--silent", "--toolkit", f"--toolkitpath={self.folder}", "--no-man-page", "--override",
                "--tmpdir={tmp}",
            ],
            "provides": [f"{self.folder}/bin/nvcc"],
            "folder": str(self.folder),
            "links": [f"{root}/cuda"],
            "marker": f"{root}/state/runfiles/cuda-12.4.json",
            "cache": f"{root}/cache/runfiles",
            "logs": [f"{root}/installer.log"],
            "network": {},
        }  # fmt: skip

    def run(self) -> dict[str, Any]:
        assert runfile.inspect(self.spec) is not None
        result = runfile.apply(self.spec, self.context)
        assert runfile.inspect(self.spec) is None
        return result

    def refused(self) -> tuple[str, str | None]:
        with pytest.raises(TargetError) as refused:
            runfile.apply(self.spec, self.context)
        return refused.value.message.replace(str(self.root), "").replace(
            self.hub.url, "HUB"
        ), refused.value.hint


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with serve({}) as hub:
        yield Bench(tmp_path, hub)


def test_it_is_fetched_checked_and_run_emulated(bench: Bench) -> None:
    assert runfile.inspect(bench.spec) == f"{bench.folder}/bin/nvcc is not there"

    result = bench.run()

    assert {**result, "seconds": 0} == {
        "folder": str(bench.folder),
        "installed": True,
        "sha256": bench.spec["sha256"],
        "fetched_bytes": len(bench.content),
        "seconds": 0,
    }
    assert bench.context.phases == ["downloading 3.1 MB", "running the installer"]
    assert (bench.folder / "bin/nvcc").read_text() == "nvcc\n"
    # What it unpacked and what it came in have gone; the link that it made, too: alternatives lead there.
    assert (
        sorted(path.name for path in (bench.root / "cache/runfiles").iterdir() if path.name != ".begun") == []
    )
    assert not (bench.root / "cuda").is_symlink()
    assert not (bench.root / "driver").exists()


def test_links_are_as_they_were_emulated(bench: Bench) -> None:
    (bench.root / "cuda").symlink_to("/etc/alternatives/cuda")

    bench.run()

    assert str((bench.root / "cuda").readlink()) == "/etc/alternatives/cuda"


@pytest.mark.parametrize("broken", ["another file", "a damaged file", "no digest", "no address"])
def test_nothing_runs_whose_digest_is_another_emulated(broken: str, bench: Bench) -> None:
    if broken == "another file":
        bench.spec["sha256"] = "0" * 64
    elif broken == "a damaged file":
        bench.hub.files["/cuda_12.4.1_linux.run"] = bench.content[:-1] + b"x"
    elif broken == "no digest":
        bench.spec["sha256"] = ""
    else:
        bench.spec["url"] = "file:///cuda.run"

    message, hint = bench.refused()

    assert (message, hint) == {
        "no digest": (
            "HUB/cuda_12.4.1_linux.run: no SHA-256 is given, so nothing of it is run",
            "give the 64 digits that its publisher names",
        ),
        "no address": (
            "file:///cuda.run: no address of an installer", "give one that begins with https://",
        ),
    }.get(broken, (message, "ask who keeps that mirror; nothing of it was run"))  # fmt: skip
    if broken in ("another file", "a damaged file"):
        assert message.startswith("HUB/cuda_12.4.1_linux.run is not the installer that was meant: ")
    assert not bench.folder.exists()
    assert not (bench.root / "state").exists()


def test_one_that_is_not_there_is_named_emulated(bench: Bench) -> None:
    bench.hub.files.clear()

    assert bench.refused() == ("HUB/cuda_12.4.1_linux.run: no such file there (404)", "correct the address")


def test_without_room_not_a_byte_comes_emulated(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.spec["disk"] = 10**15

    message, hint = bench.refused()

    assert "1000 TB are needed and " in message
    assert hint is not None
    assert "on that file system" in hint
    assert not bench.hub.sent["/cuda_12.4.1_linux.run"]


def test_its_size_is_asked_for_where_nobody_knows_it_emulated(bench: Bench) -> None:
    bench.spec["size"] = 0

    assert bench.run()["fetched_bytes"] == len(bench.content)


def test_a_download_that_was_cut_goes_on_emulated(bench: Bench) -> None:
    bench.hub.faults.append(Fault(Kind.DIE, at=1 << 20))

    bench.run()

    assert bench.hub.total < len(bench.content) + (1 << 20)


def test_one_that_fails_is_told_from_its_own_log_and_leaves_nothing_emulated(bench: Bench) -> None:
    (bench.root / "fail").write_text("[INFO] fine\n[ERROR]: Install of cuda-toolkit failed, quitting\n")

    message, hint = bench.refused()

    assert message == (
        "cuda_12.4.1_linux.run ended with 1: [ERROR]: Install of cuda-toolkit failed, quitting; "
        "[ERROR]: Install of cuda-toolkit failed, quitting"
    )
    assert hint == f"see {bench.root}/installer.log, then run again"
    assert not bench.folder.exists()
    assert not (bench.root / "cuda").is_symlink()
    # What came is kept for the next attempt, which asks for none of it again.
    (bench.root / "fail").unlink()
    bench.hub.forget()
    assert bench.run()["fetched_bytes"] == 0
    assert bench.hub.total == 0


def test_a_full_disk_is_named_emulated(bench: Bench) -> None:
    (bench.root / "fail").write_text("tar: cublas: Cannot write: No space left on device\n")

    assert bench.refused() == (
        "cuda_12.4.1_linux.run ended with 1: the disk is full",
        "free some space, then run again",
    )


def test_one_that_brings_nothing_has_failed_emulated(bench: Bench) -> None:
    (bench.root / "empty").write_text("")

    message, _ = bench.refused()

    assert message == "cuda_12.4.1_linux.run did not bring /cuda-12.4/bin/nvcc: it said nothing"
    assert not bench.folder.exists()


def test_an_interrupted_installation_begins_anew_emulated(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*_: Any) -> Any:
        (bench.folder / "bin").mkdir(parents=True)
        (bench.folder / "bin/nvcc").write_text("half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(runfile, "_ran", cut)
        with pytest.raises(KeyboardInterrupt):
            runfile.apply(bench.spec, bench.context)

    assert runfile.inspect(bench.spec) == "its installation was interrupted"
    bench.run()
    assert (bench.folder / "bin/nvcc").read_text() == "nvcc\n"


def test_somebody_elses_toolkit_is_kept_emulated(bench: Bench) -> None:
    (bench.folder / "bin").mkdir(parents=True)
    (bench.folder / "bin/nvcc").write_text("theirs")

    assert runfile.inspect(bench.spec) is None
    assert runfile.describe(bench.spec)["installed"] is False


def test_somebody_elses_folder_is_kept_emulated(bench: Bench) -> None:
    bench.folder.mkdir()
    (bench.folder / "mine").write_text("theirs")

    message, hint = bench.refused()

    assert message == "/cuda-12.4 has files that are not from here, and not all of a toolkit"
    assert hint == f"move it away (mv {bench.folder} {bench.folder}.old), then run again"
    assert (bench.folder / "mine").read_text() == "theirs"


def test_a_folder_that_took_its_place_is_kept_emulated(bench: Bench) -> None:
    bench.run()
    bench.folder.rename(bench.root / "old")
    bench.folder.mkdir()
    (bench.folder / "mine").write_text("theirs")

    assert bench.refused()[0] == "/cuda-12.4 has files that are not from here, and not all of a toolkit"


def test_another_installer_takes_the_place_of_ours_emulated(bench: Bench) -> None:
    bench.run()
    bench.content += b"newer"
    bench.hub.files["/cuda_12.4.1_linux.run"] = bench.content
    bench.spec.update(sha256=hashlib.sha256(bench.content).hexdigest(), size=len(bench.content))
    (bench.folder / "stale").write_text("")

    assert runfile.inspect(bench.spec) == "another installer was asked for"
    bench.run()

    assert sorted(path.name for path in bench.folder.iterdir()) == ["bin", "lib64"]


def test_one_without_a_folder_of_its_own_says_by_its_note_what_is_there_emulated(bench: Bench) -> None:
    bench.spec["folder"] = ""

    bench.run()

    note = read_json(bench.spec["marker"])
    assert note == {"schema": 1, "wanted": runfile.wanted(bench.spec), "whole": True, "inode": None}
