"""A model named as `--model` names it → its Shape."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from provisioner.checkpoints.local import Folder
from provisioner.checkpoints.remote import Published
from provisioner.errors import UsageError
from provisioner.profiles import origins
from provisioner.sizing.model import Shape
from provisioner.sizing.shapes import from_config, from_gguf
from provisioner.target.runtime.formats import BadHeader, Header, is_weights, read_header
from provisioner.target.runtime.formats.gguf import values
from provisioner.target.runtime.formats.header import Array

CONFIG = "config.json"
# Bytes; the longest known has some hundred kilobytes.
LONGEST_CONFIG = 4 << 20
# Entries; those of one value a layer are needed, a tokenizer's are not.
LONGEST_ARRAY = 4096
CONNECTIONS = 8


class Files(Protocol):
    """The files of one model, wherever they are: those that a runtime needs, chosen."""

    place: str

    def names(self) -> list[str]:
        """The chosen files, by name."""
        ...

    def size(self, name: str) -> int:
        """Of a file, in bytes."""
        ...

    def open(self, name: str) -> BinaryIO:
        """A file that can `seek` and `read`."""
        ...

    def close(self) -> None:
        """Nothing more is read; `received` is complete."""
        ...

    @property
    def received(self) -> int:
        """Bytes that came over the network."""
        ...


@dataclass(frozen=True)
class Checkpoint:
    """A model as its files describe it. `nbytes` of weights in all, `received` bytes came over the network to
    learn that; `format` is gguf or safetensors.
    """

    name: str
    shape: Shape
    format: str
    nbytes: int
    received: int


def checkpoint(model: str, runtime: str = "transformers", env: Mapping[str, str] | None = None) -> Checkpoint:
    """The model that `hf:`, `modelscope:`, `https:` or `path:` (of this machine) names.

    `env` is where proxies, certificates, endpoints (HF_ENDPOINT, MODELSCOPE_ENDPOINT) and tokens (HF_TOKEN,
    MODELSCOPE_API_TOKEN) are looked for; default: this process's. Raises UsageError for what names no model,
    for a model that is not there, and for files that say what cannot be; ProvisionError where a server
    cannot be reached or refuses.
    """
    env = os.environ if env is None else env
    runtime = "llama" if origins.wants_gguf(model) else runtime
    files: Files
    if model.startswith("path:"):
        said = model.removeprefix("path:")
        if not said:
            raise UsageError("path: names no place", hint="say path:FOLDER or path:FILE of this machine")
        place = Path(said).expanduser().absolute()
        name, source = origins.parse_model(f"path:{place}", runtime)
        files = Folder(place, source)
    else:
        name, source = _parsed(model, runtime)
        files = Published(model, source, env)
    try:
        return _read(name, files)
    finally:
        files.close()


def _parsed(model: str, runtime: str) -> tuple[str, dict[str, Any]]:
    """As `parse_model`, but a plan needs no digest of a file: nothing of it is kept."""
    digest = f"#sha256={'0' * 64}" if model.startswith("http") and "#" not in model else ""
    try:
        return origins.parse_model(model + digest, runtime)
    except UsageError as error:
        # Nobody said it, so nobody is told of it.
        raise UsageError(error.message.replace(digest, ""), hint=error.hint) from error


def _read(name: str, files: Files) -> Checkpoint:
    # Of a split GGUF the first part has the metadata.
    weights = sorted(one for one in files.names() if is_weights(one))
    if not weights:
        raise UsageError(
            f"{files.place}: no safetensors or GGUF file in it", hint="name a model in one of these formats"
        )
    with ThreadPoolExecutor(max_workers=min(CONNECTIONS, len(weights))) as pool:
        headers = list(pool.map(lambda one: _header(files, one), weights))
    tensors = [tensor for header in headers for tensor in header.tensors]
    if not tensors:
        raise UsageError(
            f"{files.place}: {weights[0]} holds no tensors", hint="take it from its publisher again"
        )
    kind = headers[0].format
    if kind == "gguf":
        metadata = _with_lists(files, weights[0], headers[0])
        shape = from_gguf(name, metadata, tensors, files.place)
    else:
        shape = from_config(name, _config(files), tensors, files.place)
    return Checkpoint(name, shape, kind, sum(map(files.size, weights)), files.received)


def _header(files: Files, name: str) -> Header:
    size = files.size(name)
    with files.open(name) as file:
        try:
            header = read_header(file, size)
        except BadHeader as error:
            raise UsageError(
                f"{files.place}: {name}: {error}",
                hint="the file is damaged, or no weights: take it from its publisher again",
            ) from error
    if header.truncation:
        raise UsageError(
            f"{files.place}: {name} {header.truncation}",
            hint="the file is not whole: take it from its publisher again",
        )
    return header


def _with_lists(files: Files, name: str, header: Header) -> dict[str, Any]:
    """A GGUF's metadata, with its short arrays read: some have a value for each layer."""
    metadata = dict(header.metadata)
    with files.open(name) as file:
        for key, value in header.metadata.items():
            if isinstance(value, Array) and value.length <= LONGEST_ARRAY and value.type != "text":
                metadata[key] = values(file, header, value)
    return metadata


def _config(files: Files) -> Mapping[str, Any]:
    if CONFIG not in files.names():
        raise UsageError(
            f"{files.place} has no {CONFIG}, which says what the tensors are for",
            hint="name the folder or repository that holds it beside the weights, or a GGUF file",
        )
    if files.size(CONFIG) > LONGEST_CONFIG:
        raise UsageError(
            f"{files.place}: {CONFIG} has {files.size(CONFIG)} bytes, and is none",
            hint="name the model's own folder or repository",
        )
    with files.open(CONFIG) as file:
        text = file.read(LONGEST_CONFIG)
    try:
        config = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"{files.place}: {CONFIG} is not JSON", hint="take it from its publisher again"
        ) from error
    if not isinstance(config, dict):
        raise UsageError(
            f"{files.place}: {CONFIG} is not a table of names and values",
            hint="take it from its publisher again",
        )
    return config
