"""Profiles: what a user asks for by name, and what that model requires of a box.

A profile is a YAML file in this folder or one of the user's own (`--profile ./mine.yml`), which may
say `extends: NAME`. Every field can be overridden with `--set key=value`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec
import yaml

from provisioner.errors import UsageError
from provisioner.nearest import nearest_hint
from provisioner.profiles import origins
from provisioner.yamlfile import load_yaml

HERE = Path(__file__).parent
LOCKS = HERE / "locks"
# A model's name is its folder among the others on the box.
_NAME = re.compile(r"[^/.\s][^/\n]*")
_NAMING = "a model is kept under its name: it needs one that does not start with a dot"
DEFAULT_WITHOUT_GPU = "gemma3-270m"
DEFAULT_WITH_GPU = "autoglm-phone-9b"
# What a box gets that nobody asked anything of: the first of these that can be had there.
DEFAULTS = (DEFAULT_WITH_GPU, "autoglm-phone-9b-nf4", DEFAULT_WITHOUT_GPU)
# What a profile can run its model with.
ProfileRuntime = Literal["llama", "transformers"]
RUNTIMES: tuple[ProfileRuntime, ...] = get_args(ProfileRuntime)


@dataclass(frozen=True)
class License:
    """Under which terms the weights may be used, and where they are written."""

    name: str
    url: str


@dataclass(frozen=True)
class Environment:
    """The Python environment: a hashed lock file and the interpreters it may stand on."""

    lock: str
    python: str


@dataclass(frozen=True)
class WeightFile:
    """A file of the published model, with the digest it must have; size in bytes."""

    name: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Model:
    """Where the weights come from. `source` is handed to the box as it is (see the weights job).

    `mirrors` are tried in order when the source fails: whole sources, or the address of another endpoint.
    `about_bytes` is their size where no list of files gives it; 0: nobody has looked. `prepared_bytes` is the
    space that preparing them for the runtime takes beside them.
    """

    name: str
    source: dict[str, Any]
    files: tuple[WeightFile, ...] = ()
    mirrors: tuple[Any, ...] = ()
    about_bytes: int = 0
    prepared_bytes: int = 0


@dataclass(frozen=True)
class Requires:
    """The minima that block, in bytes and cores. `driver` is the oldest NVIDIA driver that will do."""

    cores: int = 1
    memory_bytes: int = 0
    disk_bytes: int = 0
    vram_bytes: int = 0
    driver: str = ""


@dataclass(frozen=True)
class Perplexity:
    """What a healthy copy of these weights made of the fixed passage, and what is still tolerated.

    `passage` is the id of that text (target/runtime/passage.py); `measured` says little without it.
    """

    measured: float
    bound: float
    passage: str
    source: str
    confidence: Literal["ran", "doc", "memory", "unconfirmed"]


@dataclass(frozen=True)
class Smoke:
    """What the closing generation asks for, and the least it must show.

    `tokenizer` is the fingerprint that the tokenizer must have; without it and without `perplexity` the
    generous bounds for models nobody has measured hold.
    """

    prompt: str = "你好,Open-AutoGLM!"
    tokens: int = 50
    min_distinct: int = 5
    auto_class: str = "AutoModelForCausalLM"
    dtype: str = "auto"
    quantization: Literal["none", "int8", "nf4"] = "none"
    perplexity: Perplexity | None = None
    tokenizer: str = ""


@dataclass(frozen=True)
class SourcedFact:
    """Something the profile relies on, where it comes from, and how sure it is."""

    what: str
    source: str
    confidence: Literal["ran", "doc", "memory", "unconfirmed"]


@dataclass(frozen=True)
class Profile:
    """One thing that `provision up --profile NAME` can bring to a box."""

    name: str
    summary: str
    license: License
    runtime: ProfileRuntime
    environment: Environment
    model: Model
    requires: Requires = field(default_factory=Requires)
    smoke: Smoke = field(default_factory=Smoke)
    facts: tuple[SourcedFact, ...] = ()

    @property
    def needs_gpu(self) -> bool:
        """Whether the profile asks for a GPU at all."""
        return self.requires.vram_bytes > 0


_SECTIONS = (("environment", Environment), ("requires", Requires), ("smoke", Smoke))


def names() -> list[str]:
    """The profiles that come with the tool."""
    return sorted(path.stem for path in HERE.glob("*.yml"))


def load(name: str, overrides: Mapping[str, Any] | None = None) -> Profile:
    """The profile NAME, or the one in a file, with dotted `overrides` (`smoke.tokens`) laid over it."""
    raw = _read(name, seen=())
    for dotted, value in (overrides or {}).items():
        _assign(raw, dotted, value)
    return _decode(raw, name)


def with_model(base: Profile, spec: str) -> Profile:
    """`base` with other weights, as `--model` names them (see origins.parse_model).

    Raises UsageError for what names none.
    """
    name, source = origins.parse_model(spec, base.runtime)
    if not _NAME.fullmatch(name):
        raise UsageError(f"--model {spec}: names no folder or file", hint=_NAMING)
    model = Model(name=name, source=source)
    unknown = License("unknown: see where the weights come from", "")
    smoke = replace(base.smoke, perplexity=None, tokenizer="")
    # What it needs is not known before it comes down: the minima of other weights say nothing of it.
    needs = Requires(driver=base.requires.driver)
    return replace(
        base,
        name=name,
        summary=f"{name}, as asked for",
        model=model,
        smoke=smoke,
        license=unknown,
        requires=needs,
        facts=(),
    )


def lock_text(name: str) -> str:
    """The requirements, with hashes, of a lock that comes with the tool, or of a file on this machine."""
    path = Path(name) if "/" in name else LOCKS / f"{name}.txt"
    if not path.is_file():
        shipped = sorted(lock.stem for lock in LOCKS.glob("*.txt"))
        raise UsageError(f"lock {name}: no such lock file", hint=nearest_hint(name, shipped))
    return path.read_text(encoding="utf-8")


def lock_requirements(name: str) -> list[str]:
    """The requirements that a shipped lock was resolved from."""
    lines = (LOCKS / f"{name}.in").read_text(encoding="utf-8").splitlines()
    return [line.partition("#")[0].strip() for line in lines if line.partition("#")[0].strip()]


def lock_digest(name: str) -> str:
    """SHA-256 of a lock file, in hexadecimal."""
    return hashlib.sha256(lock_text(name).encode()).hexdigest()


def override(dotted: str, text: str) -> Any:
    """What `--set DOTTED=TEXT` says: a text where the field is one (`requires.driver=535.1`), else YAML."""
    if dotted in _text_keys() or not text:
        return text
    try:
        return load_yaml(text)
    except yaml.YAMLError:
        return text


def _text_keys() -> list[str]:
    return [
        f"{section}.{item.name}" for section, kind in _SECTIONS for item in fields(kind) if item.type == "str"
    ]


def override_keys() -> list[str]:
    """The dotted keys that `--set` may change in a profile."""
    return ["runtime", *(f"{section}.{item.name}" for section, kind in _SECTIONS for item in fields(kind))]


def _read(name: str, seen: tuple[str, ...]) -> dict[str, Any]:
    path = Path(name) if name.endswith((".yml", ".yaml")) else HERE / f"{name}.yml"
    if name in seen:
        raise UsageError(f"profile {name} extends itself through {' → '.join(seen)}")
    if not path.is_file():
        raise UsageError(f"unknown profile {name}", hint=nearest_hint(name, names()))
    try:
        raw = load_yaml(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"profile {path}: not YAML: {str(error).splitlines()[0]}") from error
    if not isinstance(raw, dict):
        raise UsageError(f"profile {path}: not a mapping of names to values")
    parent = raw.pop("extends", None)
    return _merge(_read(str(parent), (*seen, name)), raw) if parent else raw


def _merge(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict) and key != "source"
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _assign(raw: dict[str, Any], dotted: str, value: Any) -> None:
    if dotted not in override_keys():
        raise UsageError(f"unknown key {dotted}", hint=nearest_hint(dotted, override_keys()))
    *path, last = dotted.split(".")
    for part in path:
        inner = raw.setdefault(part, {})
        if not isinstance(inner, dict):
            raise UsageError(
                f"{dotted}: {part} is no mapping in that profile", hint=f"correct {part} in the profile"
            )
        raw = inner
    raw[last] = value


def _decode(raw: dict[str, Any], name: str) -> Profile:
    for key in raw:
        if key not in Profile.__dataclass_fields__:
            raise UsageError(
                f"profile {name}: unknown field {key}",
                hint=nearest_hint(str(key), list(Profile.__dataclass_fields__)),
            )
    try:
        profile = msgspec.convert(raw, Profile)
    except msgspec.ValidationError as error:
        said, _, where = str(error).partition(" - at `$.")
        key = where.rstrip("`")
        raise UsageError(
            f"profile {name}: {key + ': ' if key else ''}{said[:1].lower()}{said[1:]}",
            hint=f"correct {key or 'it'} in the profile, or in --set {key or 'key'}=value",
        ) from error
    if not _NAME.fullmatch(profile.model.name):
        raise UsageError(f"profile {name}: model.name: {profile.model.name!r} names no folder", hint=_NAMING)
    return profile
