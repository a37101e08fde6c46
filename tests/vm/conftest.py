"""Each state is booted once, as many at a time as there are cores, and only those that a test asks for."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from . import host
from .audit import Audited, look
from .states import State, named

# PROVISION_VM_JOBS=1 on a machine that others use too.
JOBS = int(os.environ.get("PROVISION_VM_JOBS", "0")) or min(4, os.cpu_count() or 1)
SECONDS = 900
HERE = Path(__file__).parent

Looked = Callable[[State], Audited]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test of a state waits until the machines before it have booted."""
    for item in items:
        if HERE in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(SECONDS))


@pytest.fixture(scope="session")
def vm_ready() -> None:
    """Skips with the reason where no machine can run; where CI promised it can, that is a failure."""
    if obstacles := host.obstacles():
        reason = "; ".join(obstacles)
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def looked(
    request: pytest.FixtureRequest, vm_ready: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Looked]:
    """What the audit saw in a state. The machines of all selected tests start in the background."""
    folder = tmp_path_factory.mktemp(secrets.token_hex(3), numbered=False)
    with ThreadPoolExecutor(JOBS) as pool:
        running = {name: pool.submit(look, named(name), folder) for name in asked_for(request.session.items)}
        yield lambda state: running[state.name].result()
        pool.shutdown(wait=True, cancel_futures=True)


def asked_for(items: list[pytest.Item]) -> list[str]:
    """The states that tests are about, each after the one it is compared with."""
    names: dict[str, None] = {}
    for item in items:
        state = item.callspec.params.get("state") if hasattr(item, "callspec") else None
        if isinstance(state, State):
            names |= dict.fromkeys([*([state.base] if state.base else []), state.name])
    return list(names)
