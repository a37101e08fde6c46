"""What is asked for: the command line, on top of what a box was last asked to be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import msgspec

from provisioner.compat import roles as role_data
from provisioner.errors import ProvisionError, UsageError
from provisioner.facts import Facts, Receipt

# Variables of a role that are about the weights of one model.
OF_ONE_MODEL = ("model_weights_mirrors", "model_weights_allow_pickle", "model_weights_reserve_bytes")


@dataclass(frozen=True)
class Settings:
    """What the command line adds to a profile, the same for every host of a run."""

    profile: str | None = None
    model: str | None = None
    profile_overrides: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, Any] = field(default_factory=dict)
    scope: Literal["auto", "system", "user"] = "auto"
    require_gpu: bool = False
    # Look for what is newer than what is there and would do.
    upgrade: bool = False
    # The profile was chosen for this box by an earlier plan, and by nobody else.
    chosen: bool = False


@dataclass(frozen=True)
class _Asked:
    """The `request` in a receipt."""

    profile: str | None = None
    chosen: bool = False
    model: str | None = None
    profile_overrides: dict[str, Any] = field(default_factory=dict)
    variables: dict[str, Any] = field(default_factory=dict)


def remembered(facts: Facts, settings: Settings) -> Settings:
    """`settings` on top of what the box was last asked to be, so that a bare `provision up` changes nothing.

    Naming a profile or a model starts that choice anew, and so does an upgrade where nobody ever named one;
    the other settings (mirrors, certificates) stay, but what was said of the model before is not said of this
    one.
    Raises ProvisionError for a receipt whose request nobody can read, unless the choice is made anew.
    """
    named = settings.profile is not None or settings.model is not None
    newest = _newest(facts)
    last = _asked(newest, needed=not named)
    chosen_anew = named or (settings.upgrade and last.chosen)
    overrides = {} if named else last.profile_overrides
    # A role of another version may have known a variable that ours does not.
    variables = {name: value for name, value in last.variables.items() if role_data.is_known(name)}
    if chosen_anew:
        variables = _of_any_model(variables)
    return replace(
        settings,
        profile=settings.profile if chosen_anew else last.profile,
        chosen=last.chosen and not chosen_anew,
        model=settings.model if chosen_anew else last.model,
        profile_overrides={**overrides, **settings.profile_overrides},
        variables={**variables, **settings.variables},
        # Who once chose to do without root is not moved by being root this time. The other way round a plain
        # user sees the system's receipts, and could do nothing about them.
        scope="user" if settings.scope == "auto" and newest and newest.scope == "user" else settings.scope,
    )


@contextmanager
def blaming_the_box(said: Settings, whole: Settings) -> Iterator[None]:
    """A UsageError from what the box remembers, and nobody said now, ends that box only."""
    try:
        yield
    except UsageError as error:
        if whole == said:
            raise
        raise ProvisionError(
            f"what this machine was asked to be cannot be had here: {error.message}",
            hint="; ".join(filter(None, (error.hint, "or choose anew: --profile NAME"))),
        ) from error


def _of_any_model(variables: Mapping[str, Any]) -> dict[str, Any]:
    """All but what holds for one model only: where else it is, and that its pickles are trusted."""
    kept = {name: value for name, value in variables.items() if name not in OF_ONE_MODEL}
    mirrors = variables.get("model_weights_mirrors")
    # An address is the same hub elsewhere; a whole source is another repository.
    addresses = [mirror for mirror in mirrors if isinstance(mirror, str)] if isinstance(mirrors, list) else []
    return {**kept, "model_weights_mirrors": addresses} if addresses else kept


def _newest(facts: Facts) -> Receipt | None:
    # A run rewrites the receipts of the roles that it ran; only theirs hold what it was asked for.
    asked = [found for found in facts.receipts if found.body and found.body.request]
    return max(reversed(asked), key=lambda found: found.body.written_at if found.body else "", default=None)


def _asked(receipt: Receipt | None, *, needed: bool) -> _Asked:
    if receipt is None or receipt.body is None:
        return _Asked()
    try:
        return msgspec.convert(receipt.body.request, _Asked)
    except msgspec.ValidationError as error:
        if not needed:
            return _Asked()
        raise ProvisionError(
            f"what this machine was asked to be cannot be read from {receipt.path}: {error}",
            hint="say it again: --profile NAME, and --set for what was set",
        ) from error
