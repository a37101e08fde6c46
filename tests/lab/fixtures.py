"""pytest fixtures that lend machines and take them back, whatever the test did.

A conftest.py imports what it needs:

    from tests.lab.fixtures import lab_ready, machine_factory
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Protocol

import pytest

from . import host
from .lifecycle import up
from .machine import Machine
from .users import User


class MachineFactory(Protocol):
    """Starts machines with `lab.up`'s options; a name of its own for each when none is given."""

    def __call__(
        self,
        name: str | None = None,
        *,
        release: str = "trixie",
        without: Iterable[str] = (),
        users: Iterable[str | User] = (),
        disk: str | None = None,
        memory: str | None = None,
        cache: bool = False,
        wheels: bool = False,
    ) -> Machine: ...


@pytest.fixture(scope="session")
def lab_ready() -> None:
    """Skips with the reason where the lab cannot run; where CI promised it can, that is a failure."""
    obstacles = host.obstacles()
    if not obstacles:
        return
    reason = "; ".join(obstacles)
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def machine_factory(lab_ready: None) -> Iterator[MachineFactory]:
    """Machines of one test: all are destroyed at its end."""
    with lending() as factory:
        yield factory


@pytest.fixture(scope="module")
def module_machine_factory(lab_ready: None) -> Iterator[MachineFactory]:
    """Machines that the tests of a module share."""
    with lending() as factory:
        yield factory


@contextmanager
def lending() -> Iterator[MachineFactory]:
    """A factory whose machines are destroyed on leaving, each even when destroying another failed."""
    with ExitStack() as stack:

        def make(
            name: str | None = None,
            *,
            release: str = "trixie",
            without: Iterable[str] = (),
            users: Iterable[str | User] = (),
            disk: str | None = None,
            memory: str | None = None,
            cache: bool = False,
            wheels: bool = False,
        ) -> Machine:
            machine = up(
                name or f"test-{secrets.token_hex(4)}",
                release=release,
                without=without,
                users=users,
                disk=disk,
                memory=memory,
                cache=cache,
                wheels=wheels,
            )
            return stack.enter_context(machine)

        yield make
