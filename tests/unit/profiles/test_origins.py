"""What people say about where weights come from: sources, mirrors, a bandwidth, or what to say instead."""

from __future__ import annotations

from typing import Any

import pytest

from provisioner.errors import UsageError
from provisioner.profiles import origins

HEX = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("spec", "runtime", "name", "source"),
    [
        ("hf:org/name", "transformers", "name", {"type": "hf", "repo": "org/name", "revision": "main"}),
        (
            "hf:org/name", "llama", "name",
            {"type": "hf", "repo": "org/name", "revision": "main", "format": "gguf"},
        ),
        ("hf:org/name@abc", "transformers", "name", {"type": "hf", "repo": "org/name", "revision": "abc"}),
        (
            "hf:org/name-GGUF@v1:Q4_K_M", "llama", "name-GGUF-Q4_K_M",
            {"type": "hf", "repo": "org/name-GGUF", "revision": "v1", "file": "Q4_K_M"},
        ),
        (
            "hf:org/name-GGUF:deep/name-q8.gguf", "llama", "name-q8",
            {"type": "hf", "repo": "org/name-GGUF", "revision": "main", "file": "deep/name-q8.gguf"},
        ),
        (
            "modelscope:Org/name", "transformers", "name",
            {"type": "modelscope", "repo": "Org/name", "revision": "master"},
        ),
        (
            f"https://host/a/m%20x.gguf#sha256={HEX.upper()}", "llama", "m x",
            {"type": "https", "url": "https://host/a/m%20x.gguf", "sha256": HEX, "name": "m x.gguf"},
        ),
        ("path:/models/x.gguf", "llama", "x", {"type": "path", "path": "/models/x.gguf"}),
        ("path:/models/folder", "transformers", "folder", {"type": "path", "path": "/models/folder"}),
        ("path:/models/folder", "llama", "folder",
         {"type": "path", "path": "/models/folder", "format": "gguf"}),
    ],
)  # fmt: skip
def test_a_model_in_words(spec: str, runtime: str, name: str, source: dict[str, str]) -> None:
    assert origins.parse_model(spec, runtime) == (name, source)


SAY = "say hf:organisation/name, modelscope:organisation/name, https://…#sha256=… or path:/folder"


@pytest.mark.parametrize(
    ("spec", "message", "hint"),
    [
        ("gemma", "no such kind of source", SAY),
        ("ftp:x", "no such kind of source", SAY),
        ("model-scope:Org/x", "no such kind of source", f"did you mean modelscope? {SAY}"),
        ("paht:/x", "no such kind of source", f"did you mean path? {SAY}"),
        ("hf:name", "not a repository", "say --model hf:organisation/name[@revision][:file or quantisation]"),
        (
            "modelscope:/x", "not a repository",
            "say --model modelscope:organisation/name[@revision][:file or quantisation]",
        ),
        ("path:relative", "not an absolute path",
         "say --model path:/absolute/folder, a path on the machine that is provisioned"),
        (
            "https://host/a.gguf", "no SHA-256 of the file is given",
            ("say --model https://host/a.gguf#sha256=…, the 64 digits that its publisher names"
            " (or `sha256sum FILE`)"),
        ),
        (
            "https://host/a.gguf#sha256=abc", "no SHA-256 of the file is given",
            ("say --model https://host/a.gguf#sha256=…, the 64 digits that its publisher names"
            " (or `sha256sum FILE`)"),
        ),
        (f"https://host/#sha256={HEX}", "names no file", "say --model https://host/file.gguf#sha256=…"),
    ],
)  # fmt: skip
def test_a_model_that_means_nothing(spec: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        origins.parse_model(spec, "transformers")
    assert (caught.value.message, caught.value.hint) == (f"--model {spec}: {message}", hint)


@pytest.mark.parametrize(
    ("model", "gguf"),
    [
        ("hf:org/name-GGUF", True),
        ("hf:org/name:Q4_K_M", True),
        ("hf:org/name@v1:ud-iq2_xxs", True),
        ("path:/a/b.gguf", True),
        ("hf:org/name", False),
        ("hf:org/name@main", False),
        ("hf:org/name:model.safetensors", False),
        (f"https://host/f16#sha256={HEX}", False),
    ],
)
def test_whether_llama_cpp_is_meant(model: str, gguf: bool) -> None:
    assert origins.wants_gguf(model) is gguf


HF = {"type": "hf", "repo": "o/m", "revision": "main"}
SCOPE = {"type": "modelscope", "repo": "O/m"}
URL = {"type": "https", "url": "https://a/x/m.gguf?b=1", "sha256": HEX}


@pytest.mark.parametrize(
    ("source", "mirrors", "line"),
    [
        (HF, [], [HF]),
        (HF, ["https://mirror"], [HF, {**HF, "endpoint": "https://mirror"}]),
        (HF, [SCOPE], [HF, {**SCOPE, "endpoint": "https://modelscope.cn"}]),
        (
            {**HF, "file": "Q4_K_M"}, [{**SCOPE, "endpoint": "x"}, {**SCOPE, "endpoint": "y", "file": "z"}],
            [
                {**HF, "file": "Q4_K_M"}, {**SCOPE, "endpoint": "x", "file": "Q4_K_M"},
                {**SCOPE, "endpoint": "y", "file": "z"},
            ],
        ),
        (HF, [{**SCOPE, "endpoint": "http://own"}], [HF, {**SCOPE, "endpoint": "http://own"}]),
        (SCOPE, ["http://own"], [{**SCOPE, "endpoint": "https://modelscope.cn"},
                                 {**SCOPE, "endpoint": "http://own"}]),
        (URL, ["https://b/y/"], [URL, {"type": "https", "files": [
            {"name": "m.gguf", "url": "https://b/y/m.gguf", "sha256": HEX}]}]),
    ],
)  # fmt: skip
def test_sources_stand_in_line(source: dict[str, Any], mirrors: list[Any], line: list[Any]) -> None:
    assert origins.in_line(source, mirrors) == line


@pytest.mark.parametrize(
    ("source", "mirror", "message"),
    [
        (HF, "hf-mirror", "model_weights_mirrors: 'hf-mirror' is no source"),
        (HF, {"repo": "o/m"}, "model_weights_mirrors: {'repo': 'o/m'} is no source"),
        (
            {"type": "path", "path": "/x"}, "https://mirror",
            "model_weights_mirrors: https://mirror: weights from path have no mirrors by address",
        ),
    ],
)  # fmt: skip
def test_a_mirror_that_is_none(source: dict[str, Any], mirror: Any, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        origins.in_line(source, [mirror])
    assert caught.value.message == message
    assert "{type: hf, repo: …}" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", 0), ("0", 0), (5, 5), ("500", 500), ("20MB", 20_000_000), ("20 MB/s", 20_000_000),
        ("1.5k", 1500),
        ("1GiB", 1 << 30), ("500kB", 500_000), ("3 Mi", 3 << 20), ("7B", 7),
    ],
)  # fmt: skip
def test_a_bandwidth(text: str | int, value: int) -> None:
    assert origins.bandwidth(text) == value


@pytest.mark.parametrize("text", ["fast", "20Mbit", "20 mb", "-1", "20MB/h", "MB", "1iB"])
def test_a_bandwidth_that_is_none(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        origins.bandwidth(text)
    assert caught.value.message == f"model_weights_bandwidth: {text!r} is no number of bytes a second"
    assert '"20MB"' in (caught.value.hint or "")


def test_addresses_of_hubs_say_where_they_are_from() -> None:
    for name, hub in origins.hubs().items():
        assert hub["endpoint"].startswith("https://"), name
        assert hub["source"], name
        assert hub["confidence"] in ("ran", "doc", "memory", "unconfirmed"), name
