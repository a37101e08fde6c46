"""What a run was predicted to take, beside what it took: one record, for every output and the journal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from provisioner.sizing.model import Budget

# A prediction that misses by more than this share is worth a report.
TOLERANCE = 0.10


@dataclass(frozen=True)
class Peaks:
    """Bytes at the peak of the smoke test; None where nothing was predicted, or nobody counts it."""

    predicted_rss_bytes: int | None
    measured_rss_bytes: int | None
    predicted_vram_bytes: int | None
    measured_vram_bytes: int | None

    @property
    def deviation(self) -> float | None:
        """By what share of the prediction it took more (less: negative); of two, the larger."""
        found = [
            round(measured / predicted - 1, 4)
            for predicted, measured in (
                (self.predicted_rss_bytes, self.measured_rss_bytes),
                (self.predicted_vram_bytes, self.measured_vram_bytes),
            )
            if predicted and measured
        ]
        return max(found, key=abs, default=None)

    @property
    def missed(self) -> bool:
        """Whether the prediction was off by more than it may be."""
        return self.deviation is not None and abs(self.deviation) > TOLERANCE

    def to_json(self) -> dict[str, Any]:
        """The field `memory` of a host."""
        return {**asdict(self), "deviation": self.deviation}


def peaks(predicted: Budget | None, smoke: Mapping[str, Any] | None) -> Peaks | None:
    """The record of one host, once its model has spoken and somebody measured that."""
    if smoke is None:
        return None
    rss, vram = _bytes(smoke, "peak_rss_bytes"), _bytes(smoke, "peak_vram_bytes")
    if rss is None and vram is None:
        return None
    on_gpu = predicted is not None and predicted.way.device == "cuda"
    return Peaks(
        predicted_rss_bytes=predicted.ram_bytes if predicted else None,
        measured_rss_bytes=rss,
        predicted_vram_bytes=predicted.vram_bytes if predicted and on_gpu else None,
        measured_vram_bytes=vram,
    )


def _bytes(smoke: Mapping[str, Any], key: str) -> int | None:
    """A count out of a receipt, which others can write."""
    value = smoke.get(key)
    return (
        int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0 else None
    )
