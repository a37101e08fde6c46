"""What a plan comes to: the value of every public variable of every role."""

from __future__ import annotations

from typing import Any

from provisioner.compat import roles as role_data
from provisioner.compat.box import Box
from provisioner.compat.decide import Decision
from provisioner.compat.request import Settings
from provisioner.compat.smaller import next_smaller
from provisioner.compat.sticky import environment_digest
from provisioner.compat.system_variables import system_variables
from provisioner.facts import Places
from provisioner.profiles import Profile, origins


def role_variables(
    box: Box, decided: Decision, profile: Profile, places: Places, settings: Settings
) -> dict[str, dict[str, Any]]:
    """The roles of the plan in the order they run, with all their public variables, secrets included.

    Raises UsageError for a mirror that is none, and ProvisionError for what cannot be installed for want of
    data.
    """
    facts, scope = box.facts, decided.scope
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
    said: dict[str, dict[str, Any]] = {}
    for variable, value in settings.variables.items():
        said.setdefault(role_data.role_of(variable), {})[variable] = value
    chosen = {role: {**values, **said.get(role, {})} for role, values in chosen.items()}
    source, mirrors = (chosen["model_weights"][f"model_weights_{key}"] for key in ("source", "mirrors"))
    if isinstance(source, dict) and source.get("type") != "profile":
        # Before any machine is changed: a mirror that is none raises UsageError.
        origins.in_line(source, mirrors)
    chosen |= system_variables(box, decided, said, uses_gpu=profile.needs_gpu)
    return {role: {**role_data.defaults(role), **chosen[role]} for role in role_data.ORDER if role in chosen}
