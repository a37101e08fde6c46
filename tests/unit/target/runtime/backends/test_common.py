from __future__ import annotations

from pathlib import Path

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.runtime.backends import common

LAYOUTS: list[tuple[list[str], str | None]] = [
    (["a.gguf"], "a.gguf"),
    (["a.gguf", "mmproj-a.gguf"], "a.gguf"),
    (["a-00002-of-00002.gguf", "a-00001-of-00002.gguf"], "a-00001-of-00002.gguf"),
    (["model.safetensors"], None),
]


@pytest.mark.parametrize(("names", "wanted"), LAYOUTS)
def test_the_gguf_of_a_model(tmp_path: Path, names: list[str], wanted: str | None) -> None:
    for name in names:
        (tmp_path / name).touch()
    assert common.gguf_in(str(tmp_path)) == (str(tmp_path / wanted) if wanted else None)


def test_several_models_are_a_question(tmp_path: Path) -> None:
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / name).touch()
    with pytest.raises(TargetError, match=r"several models in it \(a\.gguf, b\.gguf\)"):
        common.gguf_in(str(tmp_path))


# affinity, siblings of each, quota, wanted
CORES = [
    ({0, 1, 2, 3}, {0: "0,2", 1: "1,3", 2: "0,2", 3: "1,3"}, "max 100000", 2),
    ({0, 1, 2, 3}, {}, None, 4),
    ({0, 1, 2, 3}, {}, "150000 100000", 2),
    ({0, 1, 2, 3}, {}, "5000 100000", 1),
    ({3}, {3: "1,3"}, "max 100000", 1),
]


@pytest.mark.parametrize(("affinity", "siblings", "quota", "wanted"), CORES)
def test_cores_that_may_be_used(
    affinity: set[int],
    siblings: dict[int, str],
    quota: str | None,
    wanted: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def read(path: str) -> str | None:
        if path.endswith("cpu.max"):
            return quota
        return siblings.get(int(path.split("/cpu/cpu")[1].split("/")[0]))

    monkeypatch.setattr("os.sched_getaffinity", lambda pid: affinity)
    monkeypatch.setattr(common, "_read", read)
    assert common.usable_cores() == wanted
