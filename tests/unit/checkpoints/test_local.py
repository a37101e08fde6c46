"""Models that lie on this machine: what their own files say, and what is said of files that say nonsense."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from provisioner.checkpoints import checkpoint
from provisioner.errors import ProvisionError, UsageError
from tests.unit.checkpoints import made

SHAPES = made.tensors()


def folder(place: Path, config: Any = None, **more: Any) -> Path:
    """A model of one safetensors file and its configuration."""
    made.safetensors(place / "model.safetensors")
    text = config if isinstance(config, str) else json.dumps({**made.CONFIG, **more})
    (place / "config.json").write_text(text)
    return place


def test_a_folder_of_safetensors(tmp_path: Path) -> None:
    found = checkpoint(f"path:{folder(tmp_path / 'small')}")
    assert (found.name, found.format, found.received) == ("small", "safetensors", 0)
    assert found.shape.parameters == made.values_of(SHAPES)
    assert found.nbytes == (tmp_path / "small/model.safetensors").stat().st_size
    assert (found.shape.layers, found.shape.context, found.shape.tied) == (2, 8192, True)
    assert [(one.kind, one.layers, one.kv_heads) for one in found.shape.attention] == [("full", 2, 4)]
    assert found.shape.source == str(tmp_path / "small")


def test_one_file_with_its_configuration_beside_it(tmp_path: Path) -> None:
    found = checkpoint(f"path:{folder(tmp_path)}/model.safetensors")
    assert found.shape.parameters == made.values_of(SHAPES)


def test_shards_are_one_model(tmp_path: Path) -> None:
    made.safetensors(tmp_path / "model-00001-of-00002.safetensors", made.tensors(range(1)))
    made.safetensors(
        tmp_path / "model-00002-of-00002.safetensors", made.tensors(range(1, 2), embedding=False)
    )
    (tmp_path / "config.json").write_text(json.dumps(made.CONFIG))
    assert checkpoint(f"path:{tmp_path}").shape.parameters == made.values_of(SHAPES)


def test_one_shard_stands_for_all_of_them(tmp_path: Path) -> None:
    first, second = (tmp_path / f"model-0000{number}-of-00002.safetensors" for number in (1, 2))
    made.safetensors(first, made.tensors(range(1)))
    (tmp_path / "config.json").write_text(json.dumps(made.CONFIG))
    assert fails(f"path:{first}") == (
        f"{first} has 1 of the 2 parts of model",
        "choose another revision, or a repository that is whole",
    )
    made.safetensors(second, made.tensors(range(1, 2), embedding=False))
    assert checkpoint(f"path:{first}").shape.parameters == made.values_of(SHAPES)


def test_only_the_weights_need_lead_somewhere(tmp_path: Path) -> None:
    (folder(tmp_path) / "notes.md").symlink_to("nowhere")
    assert checkpoint(f"path:{tmp_path}").shape.parameters == made.values_of(SHAPES)
    weights = tmp_path / "model.safetensors"
    weights.unlink()
    weights.symlink_to("nowhere")
    assert fails(f"path:{tmp_path}") == (
        f"{weights}: No such file or directory",
        "name a folder that holds the files themselves",
    )


def test_weights_without_a_tensor(tmp_path: Path) -> None:
    made.safetensors(folder(tmp_path) / "model.safetensors", {})
    assert fails(f"path:{tmp_path}") == (f"{tmp_path}: model.safetensors holds no tensors", AGAIN)


def test_an_address_of_no_file_is_told_as_it_was_said() -> None:
    assert fails("https://") == (
        "--model https://: names no file", "say --model https://host/file.gguf#sha256=…"
    )  # fmt: skip


def test_a_path_to_nowhere() -> None:
    assert fails("path:") == ("path: names no place", "say path:FOLDER or path:FILE of this machine")


def test_a_gguf_with_a_value_for_each_layer(tmp_path: Path) -> None:
    found = checkpoint(f"path:{made.gguf(tmp_path / 'small.gguf')}")
    assert (found.name, found.format) == ("small", "gguf")
    assert [(one.layers, one.kv_heads) for one in found.shape.attention] == [(1, 4), (1, 2)]


def test_a_path_may_be_relative_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder(tmp_path / "small")
    monkeypatch.chdir(tmp_path)
    assert checkpoint("path:small").shape.name == "small"


def fails(model: str, runtime: str = "transformers") -> tuple[str, str | None]:
    """What a person is told; always a usage error."""
    with pytest.raises(UsageError) as caught:
        checkpoint(model, runtime)
    return caught.value.message, caught.value.hint


AGAIN = "take it from its publisher again"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{", "{place}: config.json is not JSON"),
        ("[1]", "{place}: config.json is not a table of names and values"),
        ("[" * 100_000, "{place}: config.json is not JSON"),
    ],
)
def test_a_configuration_that_is_none(tmp_path: Path, config: str, message: str) -> None:
    assert fails(f"path:{folder(tmp_path, config)}") == (message.format(place=tmp_path), AGAIN)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_hidden_layers", None),
        ("num_hidden_layers", 10**9),
        ("hidden_size", "many"),
        ("num_attention_heads", -1),
        ("vocab_size", True),
    ],
)
def test_a_field_that_is_missing_or_absurd_is_named(tmp_path: Path, field: str, value: Any) -> None:
    message, hint = fails(f"path:{folder(tmp_path, **{field: value})}")
    assert field in message
    assert hint


def test_a_configuration_of_many_megabytes_is_none(tmp_path: Path) -> None:
    folder(tmp_path, " " * (5 << 20))
    assert fails(f"path:{tmp_path}") == (
        f"{tmp_path}: config.json has 5242880 bytes, and is none",
        "name the model's own folder or repository",
    )


def test_safetensors_without_a_configuration(tmp_path: Path) -> None:
    made.safetensors(tmp_path / "model.safetensors")
    assert fails(f"path:{tmp_path}") == (
        f"{tmp_path} has no config.json, which says what the tensors are for",
        "name the folder or repository that holds it beside the weights, or a GGUF file",
    )


DAMAGED = "the file is damaged, or no weights: take it from its publisher again"


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (struct.pack("<Q", 1 << 20) + b"{}", "the file ends inside its header"),
        (
            struct.pack("<Q", 1 << 60) + b"{}",
            "it is no safetensors file: its first bytes give no length of a header",
        ),
        (struct.pack("<Q", 2) + b"[]", "it is no safetensors file: its header is not JSON"),
        (b"", "the file ends inside the length of its header"),
    ],
)
def test_a_header_that_lies_about_its_length(tmp_path: Path, head: bytes, message: str) -> None:
    folder(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(head)
    assert fails(f"path:{tmp_path}") == (f"{tmp_path}: model.safetensors: {message}", DAMAGED)


def test_a_file_that_is_not_whole(tmp_path: Path) -> None:
    path = made.gguf(tmp_path / "small.gguf")
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 1_500_000)
    message, hint = fails(f"path:{path}")
    assert message == f"{path}: small.gguf ends 1.5 MB before its last tensor does"
    assert hint == "the file is not whole: take it from its publisher again"


def test_what_is_no_model(tmp_path: Path) -> None:
    assert fails(f"path:{tmp_path}/none") == (
        f"{tmp_path}/none: no such file or folder on this machine",
        "name the weights, or their folder",
    )
    (tmp_path / "notes.txt").write_text("hello")
    assert fails(f"path:{tmp_path}/notes.txt") == (
        f"{tmp_path}/notes.txt: no safetensors or GGUF file in it",
        "name a model in one of these formats",
    )
    assert fails(f"path:{tmp_path}") == (
        f"{tmp_path} holds no weights",
        "name a repository with safetensors or GGUF files",
    )
    assert fails("ftp:thing")[0] == "--model ftp:thing: no such kind of source"


def test_several_models_in_one_folder(tmp_path: Path) -> None:
    made.gguf(tmp_path / "m-Q4_K_M.gguf")
    made.gguf(tmp_path / "m-Q8_0.gguf")
    assert fails(f"path:{tmp_path}", "llama")[0] == f"{tmp_path} holds 2 GGUF models: m-Q4_K_M, m-Q8_0"


def test_every_refusal_is_ours(tmp_path: Path) -> None:
    """A file that cannot be read is this machine's trouble, and no defect."""
    place = folder(tmp_path)
    (place / "model.safetensors").unlink()
    (place / "model.safetensors").symlink_to(tmp_path / "gone")
    with pytest.raises((ProvisionError, OSError)) as caught:
        checkpoint(f"path:{place}")
    assert "model.safetensors" in str(caught.value)
