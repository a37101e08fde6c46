"""Of what a repository or folder holds, only what one runtime reads."""

from __future__ import annotations

from typing import Any

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.runtime.choose import choose, nearest
from provisioner.target.runtime.sources import SourceFailed
from provisioner.target.runtime.transfer import Remote


def listed(*names: str) -> list[Remote]:
    return [Remote(name, (), 1) for name in names]


SMALL = ["config.json", "tokenizer.json", "tokenizer.model", "chat_template.jinja", "LICENSE"]
SHARDS = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
INDEX = "model.safetensors.index.json"
CONSOLIDATED = ["consolidated-00001-of-00002.safetensors", "consolidated-00002-of-00002.safetensors"]
QUANTS = ["m-Q4_K_M.gguf", "m-Q4_K_S.gguf", "m-Q8_0.gguf", "m-BF16.gguf", "mmproj-F16.gguf", "imatrix.gguf"]
BIG = ["UD-Q2_K_XL/m-UD-Q2_K_XL-00001-of-00002.gguf", "UD-Q2_K_XL/m-UD-Q2_K_XL-00002-of-00002.gguf"]
CHOICES: dict[str, tuple[dict[str, Any], list[str], list[str]]] = {
    "one format of three": (
        {},
        [*SMALL, "model.safetensors", "pytorch_model.bin", "tf_model.h5", "model.gguf", "README.md"],
        ["model.safetensors", *SMALL],
    ),
    "shards by their index": ({}, [*SHARDS, INDEX, "consolidated.safetensors"], [*SHARDS, INDEX]),
    "shards without an index": ({}, [*SHARDS, "config.json"], [*SHARDS, "config.json"]),
    "shards rather than the same consolidated": (
        {},
        [*CONSOLIDATED, "consolidated.safetensors.index.json", *SHARDS, INDEX],
        [*SHARDS, INDEX],
    ),
    "not consolidated": ({}, ["model.safetensors", "consolidated.safetensors"], ["model.safetensors"]),
    "consolidated when there is nothing else": (
        {}, ["consolidated.safetensors", "params.json"], ["consolidated.safetensors", "params.json"],
    ),
    "one precision of two": (
        {},
        [*SHARDS, INDEX, "model.fp16-00001-of-00001.safetensors", "model.fp16.safetensors.index.json"],
        [*SHARDS, INDEX],
    ),
    "nothing in folders": (
        {},
        ["model.safetensors", "onnx/model.onnx", "original/consolidated.00.pth", "o/a.safetensors"],
        ["model.safetensors"],
    ),
    "no program code": ({}, ["model.safetensors", "modeling_x.py", "run.sh"], ["model.safetensors"]),
    "nothing hidden": ({}, ["model.safetensors", ".cache/x.json", ".x.json"], ["model.safetensors"]),
    "the one GGUF": ({}, ["a.gguf", "mmproj-a.gguf", "config.json"], ["a.gguf"]),
    "the GGUF that the runtime wants": ({"format": "gguf"}, ["a.gguf", "model.safetensors"], ["a.gguf"]),
    "the parts of one GGUF": (
        {},
        ["a-00001-of-00002.gguf", "a-00002-of-00002.gguf"],
        ["a-00001-of-00002.gguf", "a-00002-of-00002.gguf"],
    ),
    "the GGUF that is named": ({"file": "b.gguf"}, ["a.gguf", "b.gguf", "config.json"], ["b.gguf"]),
    "all parts of the named": (
        {"file": "q/b-00001-of-00002.gguf"},
        ["q/b-00001-of-00002.gguf", "q/b-00002-of-00002.gguf", "a.gguf"],
        ["q/b-00001-of-00002.gguf", "q/b-00002-of-00002.gguf"],
    ),
    "a quantisation by its name": ({"file": "Q4_K_M"}, QUANTS, ["m-Q4_K_M.gguf"]),
    "a quantisation in small letters": ({"file": "q8_0"}, QUANTS, ["m-Q8_0.gguf"]),
    "a quantisation in its folder, in parts": ({"file": "UD-Q2_K_XL"}, [*QUANTS, *BIG], BIG),
    "the projector when asked for": (
        {"file": "Q8_0", "mmproj": True}, QUANTS, ["m-Q8_0.gguf", "mmproj-F16.gguf"],
    ),
    "the 16-bit projector of two": (
        {"mmproj": True},
        ["a.gguf", "mmproj-a-bf16.gguf", "mmproj-a-f16.gguf"],
        ["a.gguf", "mmproj-a-f16.gguf"],
    ),
    "the projector that is named": (
        {"mmproj": "mmproj-a-bf16.gguf"},
        ["a.gguf", "mmproj-a-bf16.gguf", "mmproj-a-f16.gguf"],
        ["a.gguf", "mmproj-a-bf16.gguf"],
    ),
    "a named safetensors with what is beside it": (
        {"file": "a.safetensors"},
        ["a.safetensors", "b.safetensors", "config.json"],
        ["a.safetensors", "config.json"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CHOICES)
def test_only_what_the_runtime_reads_is_chosen(case: str) -> None:
    source, names, wanted = CHOICES[case]
    assert [item.name for item in choose(listed(*names), source, "org/m")] == wanted


PICKLES = ["pytorch_model.bin", "training_args.bin", "optimizer.pt", "config.json"]


def test_pickle_by_wish_and_without_what_a_trainer_left() -> None:
    chosen = choose(listed(*PICKLES), {}, "org/m", allow_pickle=True)
    assert [item.name for item in chosen] == ["pytorch_model.bin", "config.json"]


def test_never_pickle_beside_better() -> None:
    chosen = choose(listed("pytorch_model.bin", "model.safetensors"), {}, "org/m", allow_pickle=True)
    assert [item.name for item in chosen] == ["model.safetensors"]


REFUSALS: list[tuple[dict[str, Any], list[str], str, str]] = [
    (
        {}, PICKLES,
        "org/m has only pickle files (pytorch_model.bin), which run programs when they are loaded",
        "choose safetensors or GGUF; to trust this one: --set model_weights_allow_pickle=true",
    ),
    (
        {"file": "pytorch_model.bin"}, [*PICKLES, "model.safetensors"],
        "pytorch_model.bin of org/m is a pickle file, which runs programs when it is loaded",
        "choose safetensors or GGUF; to trust this one: --set model_weights_allow_pickle=true",
    ),
    (
        {"file": "original/consolidated.00.pth"}, ["original/consolidated.00.pth"],
        "original/consolidated.00.pth of org/m is a pickle file, which runs programs when it is loaded",
        "choose safetensors or GGUF; to trust this one: --set model_weights_allow_pickle=true",
    ),
    ({}, ["README.md"], "org/m holds no weights", "name a repository with safetensors or GGUF files"),
    (
        {}, ["unet/a.safetensors", "vae/b.safetensors"], "org/m holds no weights",
        "its weights are in folders (unet, vae): name one file of them",
    ),
    (
        {"format": "gguf"}, ["model.safetensors"], "org/m holds no gguf weights",
        "it has safetensors: take a profile that runs them (provision profiles), or name its GGUF twin",
    ),
    (
        {}, QUANTS, "org/m holds 4 GGUF models: m-BF16, m-Q4_K_M, m-Q4_K_S, m-Q8_0",
        "name one: --model …:BF16, or file: in the profile's source",
    ),
    ({"file": "Q5_K_M"}, QUANTS, "org/m has no file Q5_K_M", "did you mean Q4_K_M or Q4_K_S?"),
    ({"file": "modle.gguf"}, ["model.gguf"], "org/m has no file modle.gguf", "did you mean model.gguf?"),
    (
        {"file": "q8_0"}, ["a-q8_0.gguf", "b-q8_0.gguf"], "org/m holds 2 models for q8_0: a-q8_0, b-q8_0",
        "name the whole file",
    ),
    ({"mmproj": True}, ["a.gguf"], "org/m has no mmproj file", "leave mmproj out of the source"),
    (
        {"mmproj": True}, ["a.gguf", "mmproj-a-Q8_0.gguf", "mmproj-a-bf16.gguf"],
        "org/m has 2 mmproj files: mmproj-a-Q8_0.gguf, mmproj-a-bf16.gguf", "name one with mmproj:",
    ),
    (
        {}, SHARDS[:1], "org/m has 1 of the 2 parts of model",
        "choose another revision, or a repository that is whole",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("source", "names", "message", "hint"), REFUSALS)
def test_a_choice_that_cannot_be_made(
    source: dict[str, Any], names: list[str], message: str, hint: str
) -> None:
    with pytest.raises(TargetError) as caught:
        choose(listed(*names), source, "org/m")
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_only_what_another_source_may_have_goes_to_the_next_source() -> None:
    with pytest.raises(SourceFailed):
        choose(listed("a.gguf"), {"file": "b.gguf"}, "org/m")
    with pytest.raises(TargetError) as caught:
        choose(listed(*PICKLES), {}, "org/m")
    assert not isinstance(caught.value, SourceFailed)


@pytest.mark.parametrize("name", ["../../evil.gguf", "/etc/evil.gguf", "a/../../b.gguf", ""])
def test_a_hub_that_names_files_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(TargetError, match="org/m lists a file outside of its own folder"):
        choose(listed("a.gguf", name), {}, "org/m")


@pytest.mark.parametrize(
    ("wrong", "known", "hint"),
    [
        ("mian", ["main", "dev"], "did you mean main?"),
        ("x", ["main", "dev"], "there are: dev, main"),
        ("x", [], "there are none"),
        ("x", [f"r{n}" for n in range(9)], "there are: r0, r1, r2, r3, r4, r5, r6, r7 and 1 more"),
    ],
)
def test_the_nearest_names(wrong: str, known: list[str], hint: str) -> None:
    assert nearest(wrong, known) == hint
