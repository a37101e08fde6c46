"""How fast a model comes down: `python -m benchmarks.weights`.

The same repository from the same hub on loopback, the contestants in turn as whole processes, each beginning
with nothing. Ours verifies every digest; who else does stands in its name.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import random
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from benchmarks.contestants import BESIDE, Contestant
from benchmarks.converged import Expectation
from tests.hub.huggingface import COMMIT, Content, HuggingFace
from tests.hub.server import Answer, Request, serve

REPO = "org/m"
CONNECTIONS = 8
SHARDS = 4
OURS = "provision: source hf, verified"
ENGINE = "provision: engine alone, verified"
# Our job as it runs on a box, and as much of it as brings the files: the others publish and sync nothing.
_FETCH = """
import json, os, sys
from provisioner.target.runtime.process import network_env
from provisioner.target.runtime.sources import Fetch, hub
spec, into, context = json.loads(sys.argv[1]), sys.argv[2], __import__("benchmarks.weights").weights.Silent()
task = Fetch(spec, spec["sources"][0], into, into + ".cache", network_env({}, os.environ), context)
os.makedirs(into)
print("brought", len(hub.fetch(task).files))
"""
_JOB = """
import json, sys
from provisioner.target.runtime import weights
spec, context = json.loads(sys.argv[1]), __import__("benchmarks.weights").weights.Silent()
print("brought", len(weights.apply(dict(spec, path=sys.argv[2]), context)["files"]))
"""
# The engine alone, with a list made before, as aria2 gets one.
_ENGINE = """
import json, os, sys
from provisioner.target.runtime.transfer import Options, Remote, fetch
files = [Remote(name, (url,), size, sha256) for name, url, size, sha256 in json.load(open(sys.argv[1]))]
print("brought", len(fetch(files, sys.argv[2], Options(int(sys.argv[3])), {}, lambda _: None)))
"""


class Silent:
    """A job's context that nobody watches."""

    @property
    def progress(self) -> Silent:
        return self

    def add(self, count: int) -> None:
        """So many bytes more."""

    def say(self, *what: object) -> None:
        """A phase begins."""


class Run(NamedTuple):
    """One run of one contestant; `seconds` on the wall, `cpu` of all its processes."""

    seconds: float
    cpu: float


class Model(NamedTuple):
    """The repository's files and what is published of them."""

    folder: Path
    sizes: dict[str, int]
    sha256: dict[str, str]
    blobs: dict[str, str]

    @property
    def total(self) -> int:
        return sum(self.sizes.values())


@dataclass
class Prepared(HuggingFace):
    """A hub that need not read a gigabyte to say what it holds."""

    model: Model | None = None

    def route(self, request: Request) -> Answer | None:
        """Also the listing by tree, which `hf download` asks for."""
        if request.path == f"/api/models/{self.repo}/tree/{COMMIT}":
            return Answer(json.dumps([self._leaf(name) for name in self.commits[COMMIT]]).encode())
        return super().route(request)

    def _leaf(self, name: str) -> dict[str, object]:
        assert self.model is not None
        size = self.model.sizes[name]
        leaf: dict[str, object] = {"type": "file", "path": name, "size": size, "oid": self.model.blobs[name]}
        if name in self.large:
            leaf["lfs"] = {"oid": self.model.sha256[name], "size": size, "pointerSize": 130}
        return leaf

    def _sibling(self, name: str, content: Content) -> dict[str, object]:  # noqa: ARG002
        assert self.model is not None
        size = self.model.sizes[name]
        item: dict[str, object] = {"rfilename": name, "size": size, "blobId": self.model.blobs[name]}
        if name in self.large:
            item["lfs"] = {"sha256": self.model.sha256[name], "size": size, "pointerSize": 130}
        return item


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and say whether the expectations hold: 1 when not and --assert is given."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.weights")
    parser.add_argument("--runs", type=int, default=7, help="rounds; one before them is not counted")
    parser.add_argument("--megabytes", type=int, default=1000, help="size of the repository")
    parser.add_argument("--folder", type=Path, help="where to write; without it a temporary one")
    parser.add_argument("--assert", action="store_true", dest="strict", help="exit 1 when one does not hold")
    asked = parser.parse_args(argv)
    with (
        tempfile.TemporaryDirectory(dir=asked.folder) as scratch,
        hub(Path(scratch), asked.megabytes) as (
            url,
            model,
        ),
    ):
        contestants = all_of_them(url, model, Path(scratch))
        runs = measure(contestants, asked.runs)
        expectations = show(runs, model)
    for expectation in expectations:
        print(f"{'holds' if expectation.holds else 'FAILS'}  {expectation.what}")
    return int(asked.strict and not all(expectation.holds for expectation in expectations))


@contextmanager
def hub(scratch: Path, megabytes: int) -> Iterator[tuple[str, Model]]:
    """A hub in a process of its own, as far as its clients are concerned: its address, and what it holds."""
    folder = scratch / "repository"
    model = make_model(folder, megabytes * 10**6)
    reader, writer = os.pipe()
    ours_is_here, here = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        os.close(here)
        with serve() as served:
            files = {name: folder / name for name in model.sizes}
            large = {name for name in files if name.endswith(".safetensors")}
            emulated = Prepared(served, {COMMIT: files}, {"main": COMMIT}, large, REPO, model=model)
            served.routes.append(emulated.route)
            os.write(writer, served.url.encode())
            # Until this end of it is closed, whatever closed it.
            os.read(ours_is_here, 1)
        os._exit(0)
    os.close(writer)
    os.close(ours_is_here)
    try:
        yield os.read(reader, 1000).decode(), model
    finally:
        os.close(reader)
        os.close(here)
        os.waitpid(child, 0)


def make_model(folder: Path, size: int) -> Model:
    """Shards of noise, their index, and the small files that a model has; the same ones each time."""
    folder.mkdir()
    noise = random.Random(0)
    names = [f"model-{number:05d}-of-{SHARDS:05d}.safetensors" for number in range(1, SHARDS + 1)]
    sizes = dict.fromkeys(names, size // SHARDS)
    sizes |= {"tokenizer.json": 2_000_000, "merges.txt": 500_000, "config.json": 700}
    sizes |= {"model.safetensors.index.json": 30_000, "generation_config.json": 200, "README.md": 5_000}
    sha256, blobs = {}, {}
    for name, length in sizes.items():
        digest, blob = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % length)
        with (folder / name).open("wb") as out:
            for start in range(0, length, 1 << 20):
                block = noise.randbytes(min(1 << 20, length - start))
                out.write(block)
                digest.update(block)
                blob.update(block)
        sha256[name], blobs[name] = digest.hexdigest(), blob.hexdigest()
    return Model(folder, sizes, sha256, blobs)


def all_of_them(url: str, model: Model, scratch: Path) -> list[Contestant]:
    """Everybody who takes part."""
    place = scratch / "place"

    def clear() -> None:
        for path in scratch.glob("place*"):
            shutil.rmtree(path)

    # The README is not what a runtime reads: ours leaves it out, the others are told to.
    wanted = [name for name in model.sizes if name != "README.md"]
    spec = {
        "sources": [{"type": "hf", "repo": REPO, "endpoint": url}], "files": [], "secrets": {},
        "options": {"connections": CONNECTIONS},
    }  # fmt: skip
    home = {"HOME": str(place), "HF_HOME": str(place / "hf"), "HF_ENDPOINT": url, "HF_HUB_OFFLINE": "0"}
    ours = [sys.executable, "-c"]

    def contestant(name: str, argv: Sequence[str], said: str = "", env: dict[str, str] = home) -> Contestant:
        return Contestant(name, argv, lambda text: said in text, env, clear)

    brought, text = f"brought {len(wanted)}", json.dumps(spec)
    listed = scratch / "files.json"
    address = f"{url}/{REPO}/resolve/{COMMIT}"
    files = [(name, f"{address}/{name}", model.sizes[name], model.sha256[name]) for name in wanted]
    listed.write_text(json.dumps(files))
    found = [
        contestant(ENGINE, [*ours, _ENGINE, str(listed), str(place), str(CONNECTIONS)], brought),
        contestant(OURS, [*ours, _FETCH, text, str(place)], brought),
        contestant("provision: the job, published, synced", [*ours, _JOB, text, str(place)], brought),
        contestant(
            "hf download, not verified",
            [str(BESIDE / "hf"), "download", REPO, "--exclude", "README.md"],
            env={**home, "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"},
        ),
    ]
    if shutil.which("aria2c"):
        for verified in (True, False):
            listed = scratch / f"aria2-{verified}.txt"
            listed.write_text(
                "".join(
                    f"{address}/{name}\n  out={name}\n"
                    + (f"  checksum=sha-256={model.sha256[name]}\n" if verified else "")
                    for name in wanted
                )
            )
            how = f"-q -x{CONNECTIONS} -s{CONNECTIONS} -j{SHARDS} --file-allocation=falloc".split()
            argv = ["aria2c", "--no-conf", *how, "-d", str(place), "-i", str(listed)]
            found.append(contestant(f"aria2c, {'verified' if verified else 'not verified'}", argv))
    else:
        print("aria2c is not installed here: it takes no part (Debian: apt-get install aria2)")
    return found


def measure(contestants: Sequence[Contestant], rounds: int) -> dict[str, list[Run]]:
    """Each contestant once a round, in a turn that shifts; a first round fills caches and is not counted."""
    runs: dict[str, list[Run]] = {contestant.name: [] for contestant in contestants}
    for index in range(-1, rounds):
        shift = max(0, index) % len(contestants)
        for contestant in (*contestants[shift:], *contestants[:shift]):
            contestant.before()
            before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            contestant.run()
            seconds = time.perf_counter() - started
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            if index >= 0:
                runs[contestant.name].append(Run(seconds, cpu))
    for contestant in contestants[:1]:
        contestant.before()
    return runs


def show(runs: dict[str, list[Run]], model: Model) -> list[Expectation]:
    """Print the figures; what is expected of them."""
    rates = {name: [model.total / run.seconds / 1e6 for run in each] for name, each in runs.items()}
    median = {name: statistics.median(each) for name, each in rates.items()}
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}; ", end="")
    print(f"load {os.getloadavg()[0]:.1f}; {model.total / 1e6:.0f} MB in {len(model.sizes)} files; loopback")
    print(f"{'':40} {'median':>10} {'range':>18} {'CPU':>8} {'runs':>5} {'engine is':>10}")
    for name, each in rates.items():
        spread = f"{min(each):.0f} to {max(each):.0f} MB/s"
        cpu = statistics.median(run.cpu for run in runs[name])
        ratio = f"{median[ENGINE] / median[name]:.2f} x"
        print(f"{name:40} {median[name]:>5.0f} MB/s {spread:>18} {cpu:>6.2f} s {len(each):>5} {ratio:>10}")
    others = [name for name in rates if not name.startswith("provision")]
    # Like with like: aria2 is given its list, the hub's client asks for it.
    pairs = [(ENGINE if name.startswith("aria2") else OURS, name) for name in others]
    return [
        Expectation(
            f"{one}: {median[one] / median[name]:.2f} times as fast as {name}, 1 expected",
            median[one] >= median[name],
        )
        for one, name in pairs
    ]


if __name__ == "__main__":
    sys.exit(main())
