"""The same call on many hosts at once; none waits for another, none stops another."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from provisioner.errors import ProvisionError
from provisioner.hosts.transport import CALL_SECONDS, Privilege, Transport

WORKERS = 32
Item = TypeVar("Item")
Answer = TypeVar("Answer")


def probe_all(
    transports: Mapping[str, Transport],
    request: dict[str, Any],
    *,
    entry: str = "probe",
    privilege: Privilege | Mapping[str, Privilege] = "auto",
    timeout: float | None = CALL_SECONDS,
) -> dict[str, dict[str, Any] | ProvisionError]:
    """Each host's raw answer or its error, in the order of `transports`; `privilege` for all or by name."""

    def one(name: str) -> dict[str, Any] | ProvisionError:
        wanted: Privilege = privilege if isinstance(privilege, str) else privilege[name]
        try:
            return transports[name].call(entry, request, privilege=wanted, timeout=timeout)
        except ProvisionError as error:
            return error

    return dict(zip(transports, at_once(one, list(transports)), strict=True))


def at_once(function: Callable[[Item], Answer], items: Sequence[Item]) -> list[Answer]:
    """What `function` gives for each item, in their order; at most 32 at a time.

    An exception is raised here. An interrupt waits for nobody: the threads are daemons, unlike an executor's.
    """
    if len(items) < 2:
        return [function(item) for item in items]
    futures: list[Future[Answer]] = [Future() for _ in items]
    waiting = iter(list(zip(items, futures, strict=True)))
    taking = threading.Lock()

    def work() -> None:
        while True:
            with taking:
                taken = next(waiting, None)
            if taken is None:
                return
            item, future = taken
            try:
                future.set_result(function(item))
            except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
                future.set_exception(error)

    for _ in range(min(WORKERS, len(items))):
        threading.Thread(target=work, daemon=True).start()
    return [future.result() for future in futures]


def beside(function: Callable[[], Answer]) -> Callable[[], Answer]:
    """Start `function` beside what the caller goes on with; what is given back waits for its answer.

    Its exception is raised there. An interrupt waits for nobody.
    """
    future: Future[Answer] = Future()

    def work() -> None:
        try:
            future.set_result(function())
        except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
            future.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return future.result
