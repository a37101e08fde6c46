"""Plan(Facts, Profile, Settings): pure, so that every case is a row in a test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from provisioner import profiles
from provisioner.compat import roles as role_data
from provisioner.compat.request import Settings, remembered
from provisioner.compat.smaller import MEMORY_TOLERANCE, next_smaller
from provisioner.compat.sticky import environment_digest
from provisioner.compat.systems import unserved
from provisioner.errors import ProvisionError, UsageError
from provisioner.facts import SYSTEM_PLACES, Facts, Places
from provisioner.profiles import Profile, origins

Scope = Literal["system", "user"]

# The general minima only warn; those that block are the profile's own.
GENERAL_CORES = 4
GENERAL_MEMORY = 16_000_000_000


@dataclass(frozen=True)
class WhyNot:
    """Why nothing can be planned: a chain of facts, and what would have to change."""

    because: tuple[str, ...]
    change: str

    def __str__(self) -> str:
        return " → ".join(self.because)


@dataclass(frozen=True)
class Plan:
    """What will be on the box, as resolved role variables.

    `roles` maps each role, in the order they run, to every one of its public variables, secrets included.
    `request` is what was asked for, kept in the receipts so that the next bare run asks for the same.
    `notes` are sentences for a person: what was chosen and why.
    """

    profile: Profile
    scope: Scope
    places: Places
    roles: Mapping[str, Mapping[str, Any]]
    request: Mapping[str, Any]
    notes: tuple[str, ...]

    def public_roles(self) -> dict[str, dict[str, Any]]:
        """The role variables that may be shown and written down: all but the secrets."""
        return {
            role: {name: value for name, value in values.items() if name not in role_data.secrets(role)}
            for role, values in self.roles.items()
        }


def make_plan(facts: Facts, settings: Settings) -> Plan | WhyNot:
    """The plan for one box, or why there is none.

    Raises UsageError for what the command line asks for and nobody knows, and ProvisionError when it is what
    the box remembers that cannot be had any more (a profile of another version, a file elsewhere).
    """
    whole = remembered(facts, settings)
    try:
        return _plan(facts, whole)
    except UsageError as error:
        if whole == settings:
            raise
        raise ProvisionError(
            f"what this machine was asked to be cannot be had here: {error.message}",
            hint="; ".join(filter(None, (error.hint, "or choose anew: --profile NAME"))),
        ) from error


def _plan(facts: Facts, settings: Settings) -> Plan | WhyNot:
    profile = choose_profile(facts, settings)
    scope = _scope(facts, settings)
    if isinstance(scope, WhyNot):
        return scope
    obstacle = _obstacle(facts, profile, scope, settings)
    if obstacle is not None:
        return obstacle
    places = _places(facts, scope)
    notes = list(_route_note(facts, profile))
    if scope == "user":
        notes.append(f"without root: everything goes under {places.code.rsplit('/', 1)[0]}")
    notes += _warnings(facts)
    return Plan(
        profile=profile,
        scope=scope,
        places=places,
        roles=_role_variables(facts, profile, scope, places, settings),
        request=_request(facts, profile, settings),
        notes=tuple(notes),
    )


def choose_profile(facts: Facts, settings: Settings) -> Profile:
    """The profile that is asked for, else the default one for this box. Raises UsageError."""
    if settings.profile is not None:
        name = settings.profile
    elif settings.model is not None:
        name = _profile_for_model(facts, settings.model)
    else:
        name = _default_profile(facts)
    profile = profiles.load(name, settings.profile_overrides)
    return profile if settings.model is None else profiles.with_model(profile, settings.model)


def _profile_for_model(facts: Facts, model: str) -> str:
    if origins.wants_gguf(model):
        return "gemma3-270m"
    return "autoglm-phone-9b" if _usable_gpu(facts) else "gemma3-270m-transformers"


def _default_profile(facts: Facts) -> str:
    wanted = profiles.load(profiles.DEFAULT_WITH_GPU)
    enough = _usable_gpu(facts) and _vram(facts) >= wanted.requires.vram_bytes
    return wanted.name if enough else profiles.DEFAULT_WITHOUT_GPU


def _route_note(facts: Facts, profile: Profile) -> Iterator[str]:
    """Why the GPU is not used, when it is not."""
    if facts.python is None:
        yield "no Python: it comes first, then the machine is looked at and planned for real"
    elif profile.needs_gpu:
        return
    elif not facts.gpus:
        yield f"no NVIDIA GPU found: the CPU route, with {profile.name}"
    elif facts.driver_version is None:
        yield f"an NVIDIA GPU but no driver for it: the CPU route, with {profile.name}"
    else:
        yield f"{profile.name} runs on the CPU; the largest GPU here has {_gb(_vram(facts))}"


def _scope(facts: Facts, settings: Settings) -> Scope | WhyNot:
    may_be_root = facts.privilege == "root"
    if settings.scope == "system" and not may_be_root:
        return WhyNot(
            ("--scope system", f"{facts.user.name} is not root here and sudo does not work"),
            "log in as root, let the user use sudo (with -K to give the password), or say --scope user",
        )
    system = unserved(facts.os)
    # Without root and with a Python of its own, the package manager is not asked.
    own = facts.python is not None and (settings.scope == "user" or not may_be_root)
    if system is not None and not own:
        name = facts.os.pretty or f"{facts.os.id} {facts.os.version_id}"
        return WhyNot((name, *system.because), system.change)
    if facts.python is None:
        if may_be_root and settings.scope == "user":
            return WhyNot(
                ("python3 is missing", "--scope user installs nothing on the system"),
                "leave --scope user out, or install python3",
            )
        if not may_be_root:
            return WhyNot(
                ("python3 is missing", "installing it needs root"),
                "install python3, or let the user use sudo (with -K to give the password)",
            )
        return "system"
    if settings.scope != "auto":
        return settings.scope
    return "system" if may_be_root else "user"


def _obstacle(facts: Facts, profile: Profile, scope: Scope, settings: Settings) -> WhyNot | None:
    if settings.require_gpu and not facts.gpus:
        return WhyNot(
            ("--require-gpu", "no NVIDIA GPU on the PCI bus"), "leave --require-gpu out to take the CPU route"
        )
    if settings.require_gpu and facts.driver_version is None:
        return WhyNot(
            ("--require-gpu", "no NVIDIA driver is loaded"),
            "install the driver first; installing it is not yet this tool's part",
        )
    needs = profile.requires
    cpu_way = f"take --profile {profiles.DEFAULT_WITHOUT_GPU}, which runs on the CPU"
    if profile.needs_gpu:
        if not facts.gpus:
            return WhyNot((profile.name, f"{_gb(needs.vram_bytes)} of VRAM", "no NVIDIA GPU found"), cpu_way)
        if facts.driver_version is None:
            return WhyNot(
                (profile.name, f"NVIDIA driver {needs.driver} or newer", "no driver is loaded"),
                f"install the driver, or {cpu_way}",
            )
        if _version(facts.driver_version) < _version(needs.driver):
            found = f"driver {facts.driver_version} is loaded"
            return WhyNot(
                (profile.name, f"NVIDIA driver {needs.driver} or newer", found), "upgrade the driver"
            )
        if _vram(facts) < needs.vram_bytes:
            found = f"the largest GPU has {_gb(_vram(facts))}"
            return WhyNot((profile.name, f"{_gb(needs.vram_bytes)} of VRAM", found), cpu_way)
    return _too_small(facts, profile, scope)


def _too_small(facts: Facts, profile: Profile, scope: Scope) -> WhyNot | None:
    needs = profile.requires
    smaller = "choose a smaller profile (provision profiles)"
    if facts.cpu.cores is not None and facts.cpu.cores < needs.cores:
        return WhyNot((profile.name, f"{needs.cores} cores", f"{facts.cpu.cores} found"), smaller)
    memory = _memory(facts)
    if memory is not None and memory < needs.memory_bytes * MEMORY_TOLERANCE:
        return WhyNot((profile.name, f"{_gb(needs.memory_bytes)} of memory", f"{_gb(memory)} found"), smaller)
    if facts.receipt("model_weights", scope) is None:
        places = _places(facts, scope)
        for place, need in ((places.state, needs.disk_bytes), (places.code, needs.disk_bytes // 2)):
            disk = facts.disks.get(place)
            if disk is not None and disk.free_bytes < need:
                found = f"{_gb(disk.free_bytes)} free for {place}"
                return WhyNot((profile.name, f"{_gb(need)} of disk", found), f"free some space for {place}")
    return None


def _warnings(facts: Facts) -> list[str]:
    found = []
    cores, memory = facts.cpu.cores, _memory(facts)
    if cores is not None and cores < GENERAL_CORES:
        found.append(f"{cores} cores: {GENERAL_CORES} or more are advised")
    if memory is not None and memory < GENERAL_MEMORY * MEMORY_TOLERANCE:
        found.append(f"{_gb(memory)} of memory: {_gb(GENERAL_MEMORY)} or more are advised")
    return found


def _request(facts: Facts, profile: Profile, settings: Settings) -> dict[str, Any]:
    # What was chosen for a box that nobody could look at yet must not bind the choice that follows.
    chosen = None if settings.model or facts.python is None else profile.name
    public = {name: value for name, value in settings.variables.items() if not role_data.is_secret(name)}
    return {
        "profile": settings.profile or chosen,
        "chosen": settings.chosen or (settings.profile is None and settings.model is None),
        "model": settings.model,
        "profile_overrides": dict(settings.profile_overrides),
        "variables": public,
    }


def _role_variables(
    facts: Facts, profile: Profile, scope: Scope, places: Places, settings: Settings
) -> dict[str, dict[str, Any]]:
    code, state = places.code, places.state
    measured = profile.smoke.perplexity
    lock = profile.environment.lock
    lock_name = "env" if "/" in lock else lock
    digest = environment_digest(facts, scope, profile.environment, upgrade=settings.upgrade)
    environment = f"{code}/envs/{lock_name}-{digest}"
    chosen: dict[str, dict[str, Any]] = {
        "host_base": {
            "host_base_scope": scope,
            "host_base_code_dir": code,
            "host_base_state_dir": state,
            "host_base_cache_dir": places.cache,
        },
        "python_env": {
            "python_env_name": lock_name,
            "python_env_lock": lock,
            "python_env_digest": digest,
            "python_env_python": profile.environment.python,
            "python_env_dir": f"{code}/envs",
        },
        "model_weights": {
            "model_weights_name": profile.model.name,
            "model_weights_source": profile.model.source,
            "model_weights_mirrors": list(profile.model.mirrors),
            "model_weights_reserve_bytes": profile.model.prepared_bytes,
            "model_weights_files": [
                {"name": item.name, "sha256": item.sha256, "size": item.size} for item in profile.model.files
            ],
            "model_weights_dir": f"{state}/models",
        },
        "smoke_test": {
            "smoke_test_runtime": profile.runtime,
            "smoke_test_model": f"{state}/models/{profile.model.name}",
            "smoke_test_env": environment,
            "smoke_test_prompt": profile.smoke.prompt,
            "smoke_test_tokens": profile.smoke.tokens,
            "smoke_test_min_distinct": profile.smoke.min_distinct,
            "smoke_test_auto_class": profile.smoke.auto_class,
            "smoke_test_dtype": profile.smoke.dtype,
            "smoke_test_quantization": profile.smoke.quantization,
            "smoke_test_max_perplexity": float(measured.bound) if measured else 0.0,
            "smoke_test_passage": measured.passage if measured else "",
            "smoke_test_tokenizer": profile.smoke.tokenizer,
            "smoke_test_smaller": next_smaller(facts, profile) or "",
        },
    }
    for variable, value in settings.variables.items():
        chosen[role_data.role_of(variable)][variable] = value
    source, mirrors = (chosen["model_weights"][f"model_weights_{key}"] for key in ("source", "mirrors"))
    if isinstance(source, dict) and source.get("type") != "profile":
        # Before any machine is changed: a mirror that is none raises UsageError.
        origins.in_line(source, mirrors)
    return {role: {**role_data.defaults(role), **chosen[role]} for role in role_data.ORDER}


def _places(facts: Facts, scope: Scope) -> Places:
    return facts.places.get(scope, SYSTEM_PLACES)


def _usable_gpu(facts: Facts) -> bool:
    return bool(facts.gpus) and facts.driver_version is not None


def _vram(facts: Facts) -> int:
    return max((gpu.memory_bytes or 0 for gpu in facts.gpus), default=0)


def _memory(facts: Facts) -> int | None:
    known = [count for count in (facts.memory.total_bytes, facts.memory.limit_bytes) if count is not None]
    return min(known, default=None)


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())


def _gb(count: int) -> str:
    return f"{count / 1e9:.0f} GB" if count >= 10e9 else f"{count / 1e9:.1f} GB"
