"""Every lock that comes with the tool, on every platform it serves, against the package index."""

from __future__ import annotations

import os

import pytest

from provisioner.profiles.lockfiles import Lock, locks
from scripts import locks as script

# Read before the unit tests' own fixtures hide the account's settings.
LINKS = os.environ.get("PROVISION_FIND_LINKS") or os.environ.get("PIP_FIND_LINKS", "")
INDEX = {name: os.environ[name] for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL") if name in os.environ}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def verdicts() -> dict[str, list[str]]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in INDEX.items():
            patch.setenv(name, value)
        found = script.check_all(script.own_uv(LINKS), locks())
    return {verdict.lock: verdict.wrong for verdict in found}


@pytest.mark.parametrize("lock", locks(), ids=lambda lock: lock.name)
def test_the_lock_still_resolves_and_every_pin_is_there(lock: Lock, verdicts: dict[str, list[str]]) -> None:
    if lock.elsewhere and not LINKS:
        pytest.skip(
            f"no public index has {lock.elsewhere[0]} as it is pinned, and no folder here (PIP_FIND_LINKS)"
        )
    assert verdicts[lock.name] == []
