from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provisioner.target.runtime.sources import Fetch

from ..conftest import FakeContext  # noqa: TID252

Make = Callable[..., Fetch]


@pytest.fixture
def make(tmp_path: Path, context: FakeContext) -> Make:
    def task(source: dict[str, Any], files: list[dict[str, Any]] | None = None, **more: Any) -> Fetch:
        into = tmp_path / "into"
        into.mkdir(exist_ok=True)
        spec = {"path": str(tmp_path / "models/m"), "sources": [source], "files": files or [], **more}
        return Fetch(spec, source, str(into), str(tmp_path / "cache"), dict(more.get("env", {})), context)

    return task
