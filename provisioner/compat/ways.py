"""How a model is to be run: what a profile and the command line say, as the memory planner has it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from provisioner import profiles
from provisioner.compat import knowledge
from provisioner.errors import UsageError
from provisioner.nearest import nearest_hint
from provisioner.profiles import Environment, Profile, Requires, lockfiles
from provisioner.sizing import catalogue
from provisioner.sizing.data import quantizations
from provisioner.sizing.model import Answer, Load, Runtime, Shape, Way

# By the name that --runtime has, the runtime whose memory is known.
RUNTIMES: dict[str, Runtime] = {
    "transformers": "transformers", "vllm": "vllm", "llama": "llama", "sglang": "vllm",
}  # fmt: skip


@dataclass(frozen=True)
class Wish:
    """How a model is to be run, beyond its profile; None: as the profile says, or the best."""

    runtime: str | None = None
    quantization: str | None = None
    load: Load = field(default_factory=Load)


def way_of(profile: Profile, wish: Wish | None = None) -> Way:
    """How the profile runs its model, with what is wished instead."""
    wish = wish or Wish()
    runtime = RUNTIMES[wish.runtime or profile.runtime]
    cuda = on_gpu(profile)
    return Way(
        runtime=runtime,
        device="cuda" if cuda else "cpu",
        quantization=quantization(wish.quantization) if wish.quantization else quantization_of(profile),
        dtype=profile.smoke.dtype,
    )


def on_gpu(profile: Profile) -> bool:
    """Whether the profile's environment runs its model on a GPU."""
    stack = knowledge.stack_of(profile.environment.lock)
    return profile.needs_gpu or (stack is not None and stack.device == "cuda")


def quantization(text: str) -> str:
    """A quantisation as it is spelled, whatever the case of its letters. Raises UsageError."""
    known = {name.lower(): name for name in quantizations()}
    if text.lower() not in known:
        raise UsageError(
            f"--quantization {text}: no such one is known", hint=nearest_hint(text, list(known.values()))
        )
    return known[text.lower()]


def quantization_of(profile: Profile) -> str:
    """What the profile's weights are quantised to: as it says, or as the name of its GGUF does."""
    if profile.smoke.quantization != "none" or profile.runtime != "llama":
        return profile.smoke.quantization
    names = " ".join((profile.model.name, str(profile.model.source.get("file", "")))).lower()
    marked = [
        name for name in quantizations() if re.search(rf"(?<![a-z0-9]){re.escape(name.lower())}\b", names)
    ]
    return max(marked, key=len, default="none")


@dataclass(frozen=True)
class Allowed:
    """A way that was judged, and whether it fits."""

    way: Way
    fits: bool


def of_wish(found: Answer, wish: Wish) -> list[Allowed]:
    """The ways among those that were judged which a wish allows, the best first."""
    runtime = RUNTIMES[wish.runtime] if wish.runtime else None
    kind = quantization(wish.quantization) if wish.quantization else None
    allowed = [
        one
        for one in found.variants
        if runtime in (None, one.way.runtime) and kind in (None, one.way.quantization)
    ]
    # What is not known to fit comes before what is known not to.
    allowed.sort(key=lambda one: (True, None, False).index(one.verdict.fits))
    return [Allowed(one.way, bool(one.verdict.fits)) for one in allowed]


def has_stack(way: Way) -> bool:
    """Whether there is an environment, with a lock, that runs a model this way, for a runtime of profiles."""
    return any(
        stack.lock is not None
        and stack.runtime in profiles.RUNTIMES
        and (RUNTIMES[stack.runtime], stack.device) == (way.runtime, way.device)
        and way.quantization in stack.quantizations
        for stack in knowledge.stacks()
    )


def environments(profile: Profile, runtime: str, device: str) -> list[Profile]:
    """The profile with each known set of wheels of a runtime, those for the device where there are any.

    Raises UsageError where no wheels of it are known.
    """
    known = [stack for stack in knowledge.stacks() if stack.runtime == runtime]
    if not known:
        names = dict.fromkeys(stack.runtime for stack in knowledge.stacks())
        raise UsageError(f"--runtime {runtime}: no wheels of it are known", hint=f"known: {', '.join(names)}")
    return [
        replace(profile, environment=Environment(stack.environment, _python(stack, profile)))
        for stack in [one for one in known if one.device == device] or known
    ]


def siblings(profile: Profile) -> list[Profile]:
    """The profile in the other locked environments of its runtime and device, if its own is ours."""
    own = knowledge.stack_of(profile.environment.lock)
    if own is None:
        return []
    others = [
        stack.environment
        for stack in knowledge.stacks()
        if stack.lock is not None
        and stack != own
        and (stack.runtime, stack.device) == (own.runtime, own.device)
    ]
    return [one for one in environments(profile, own.runtime, own.device) if one.environment.lock in others]


def _python(stack: knowledge.Stack, profile: Profile) -> str:
    """The interpreters that a lock was resolved for; without one the wheels say, and the profile."""
    lock = lockfiles.find(stack.environment)
    return lock.interpreters if lock else profile.environment.python


def profile_of_model(name: str, shape: Shape, base: Profile) -> Profile:
    """`base` with a model that has no profile of its own: its memory is planned, so it sets no minima."""
    model = replace(
        base.model,
        name=name,
        source={},
        files=(),
        mirrors=(),
        about_bytes=sum(w.nbytes for w in shape.weights),
    )
    return replace(
        base,
        name=name,
        summary=f"{name}, as asked for",
        model=model,
        requires=Requires(),
        smoke=replace(base.smoke, perplexity=None, tokenizer=""),
        facts=(),
    )


def base_for(way: Way) -> Profile:
    """The profile whose environment a model without one is put into."""
    return profiles.load(
        profiles.DEFAULT_WITHOUT_GPU if way.runtime == "llama" else profiles.DEFAULT_WITH_GPU
    )


def shape_of(profile: Profile) -> Shape | None:
    """What is known of the shape of a profile's model, by the name of its weights; None where nothing is.

    Quantised or tuned further, a model keeps the name it began with, and its shape.
    """
    wanted = _letters(profile.model.name)
    known = [name for name in catalogue.known() if wanted.startswith(_letters(name))]
    return catalogue.shape(max(known, key=len)) if known else None


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
