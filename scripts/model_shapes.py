"""Writes provisioner/sizing/data/models/: what transformers builds of configurations, on the meta device.

No weights are made or fetched. Run it in an environment with torch and transformers; `--check` compares the
tensors that provisioner derives from the same configuration instead, and writes nothing.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml

from provisioner.sizing.derived import as_published
from provisioner.sizing.fields import Fields
from provisioner.sizing.model import Weights
from provisioner.sizing.shapes import from_config
from provisioner.sizing.tensors import grouped

MODELS = Path(__file__).parent.parent / "provisioner" / "sizing" / "data" / "models"
PUBLISHED = "numbers of the published config.json, from memory"

CONFIGS: dict[str, dict[str, Any]] = yaml.safe_load(
    Path(__file__).with_name("model_shapes.yml").read_text(encoding="utf-8")
)


def main() -> int:
    """Exit code 1 when --check finds a difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with what provisioner derives")
    parser.add_argument("names", nargs="*", help="only these models")
    options = parser.parse_args()
    wrong = 0
    for name, entry in CONFIGS.items():
        if options.names and name not in options.names:
            continue
        built, source = build(entry["class"], entry["config"])
        derived = from_config(name, entry["config"], None, source)
        real, ours = sums(built), sums(derived.weights)
        same = real == ours
        wrong += not same
        print(
            f"{name}: {sum(item.elements for item in built) / 1e9:.4f} billion values,",
            "as derived" if same else "DIFFERS",
        )
        for group in sorted({*real, *ours}) if not same else ():
            print(f"  {group}: {real.get(group, 0)} built, {ours.get(group, 0)} derived")
        if not options.check:
            write(name, entry, built, source)
    return 1 if wrong else 0


def build(auto_class: str, config: dict[str, Any]) -> tuple[tuple[Weights, ...], str]:
    """The tensors that transformers makes of a configuration, counted together, and who said so."""
    import torch
    import transformers

    plain = {name: value for name, value in config.items() if name != "quantization_config"}
    made = transformers.CONFIG_MAPPING[config["model_type"]].from_dict(plain)
    with torch.device("meta"):
        model = getattr(transformers, auto_class).from_config(made, dtype=torch.bfloat16)
    seen: set[int] = set()
    tensors = []
    for name, value in model.named_parameters():
        if id(value) not in seen:
            seen.add(id(value))
            tensors.extend(_apart(name, value))
    who = f"transformers {transformers.__version__}, {type(made).__name__} on the meta device"
    # transformers builds 16-bit numbers; a checkpoint that is published quantised has blocks instead.
    return as_published(Fields("", config), grouped(tensors)), who


def _apart(name: str, value: Any) -> list[Any]:
    """transformers 5 stacks the matrices of all experts, and gate and up: checkpoints have them apart."""
    shape = tuple(value.shape)
    if ".experts." not in name or len(shape) < 2:
        return [one_of(name, shape)]
    if len(shape) == 2:  # biases, a row for each expert
        return [one_of(name, shape[1:])] * shape[0]
    if "gate_up" in name:
        return [one_of(name, (shape[1] // 2, shape[2]))] * (2 * shape[0])
    return [one_of(name, shape[1:])] * shape[0]


def one_of(name: str, shape: tuple[int, ...]) -> Any:
    """A tensor of a 16-bit checkpoint."""
    return SimpleNamespace(name=name, dtype="BF16", shape=shape, nbytes=2 * math.prod(shape))


def sums(weights: tuple[Weights, ...]) -> dict[str, int]:
    """Elements by group: what must agree."""
    found: dict[str, int] = {}
    for item in weights:
        found[item.group] = found.get(item.group, 0) + item.elements
    return found


def write(name: str, entry: dict[str, Any], built: tuple[Weights, ...], source: str) -> None:
    """One file of the catalogue."""
    lines = [
        "# Written by scripts/model_shapes.py: a configuration, and the tensors that transformers makes.",
        f"name: {name}",
        f"source: {source}, from {entry.get('numbers', PUBLISHED)}",
        f"confidence: {entry.get('confidence', 'memory')}",
    ]
    if entry.get("doubt"):
        lines.append(f"doubt: {entry['doubt']}")
    text = yaml.safe_dump({"config": entry["config"]}, sort_keys=False, default_flow_style=None, width=110)
    lines += [text.rstrip(), "tensors:"]
    for item in built:
        lines.append(
            f"  - {{group: {item.group}, part: '{item.part}', dtype: {item.dtype}, "
            f"elements: {item.elements}, nbytes: {item.nbytes}, matrices: {str(item.matrices).lower()}, "
            f"largest: {item.largest}, "
            f"count: {item.count}, row: {item.row}}}"
        )
    MODELS.mkdir(parents=True, exist_ok=True)
    (MODELS / f"{name}.yml").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
