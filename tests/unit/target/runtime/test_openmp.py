"""The OpenMP library of a wheel gets its own name back, and nothing else about it changes."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.runtime.backends import openmp


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"a\0libgomp-870cb1d0.so.1.0.0\0z", b"a\0libgomp.so.1\0\0\0\0\0\0\0\0\0\0\0\0\0\0z"),
        (b"a\0libgomp-a34b3233.so\0z", b"a\0libgomp.so.1\0\0\0\0\0\0\0\0z"),
        (b"a\0libgomp.so.1\0z", b"a\0libgomp.so.1\0z"),
    ],
)
def test_its_own_name_is_as_long_as_the_other(before: bytes, after: bytes) -> None:
    assert openmp.own_name(before) == after
    assert len(before) == len(after)


def test_the_system_s_library_is_taken_first(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(ctypes, "CDLL", lambda name, **_: asked.append(name))
    openmp.make_sure(["/nowhere"])
    assert asked == ["libgomp.so.1"]


def test_the_wheel_s_is_loaded_where_the_system_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other.libs").mkdir()
    (tmp_path / "other.libs" / "libgomp-870cb1d0.so.1.0.0").write_bytes(b"\0libgomp-870cb1d0.so.1.0.0\0")
    loaded: list[bytes] = []

    def load(name: str, mode: int = 0) -> None:
        if name == "libgomp.so.1":
            raise OSError("libgomp.so.1: cannot open shared object file")
        assert mode == ctypes.RTLD_GLOBAL
        loaded.append(Path(name).read_bytes())

    monkeypatch.setattr(ctypes, "CDLL", load)
    openmp.make_sure([str(tmp_path)])
    assert loaded == [b"\0libgomp.so.1" + b"\0" * 14]
    with pytest.raises(TargetError, match="needs the OpenMP library") as refused:
        openmp.make_sure(["/nowhere"])
    assert refused.value.hint == "install it (apt-get install libgomp1)"
