"""The sentences of every report, so that the terminal and the page say the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from provisioner.facts import Facts, Gpu
from provisioner.secrecy import without_logins

if TYPE_CHECKING:  # a verb that only looks at machines needs no plan, and none of what makes one
    from provisioner.drift import RoleDrift
    from provisioner.report.peaks import Peaks
    from provisioner.report.result import HostResult, RunResult

# Files that changed while their size, time and inode did not, which `up` goes by.
UNTOUCHED = "model_weights.content"


def size(bytes_: float | None) -> str:
    """Bytes for a person: 238 MB, 24 GB."""
    if bytes_ is None:
        return "unknown"
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if bytes_ >= factor:
            number = bytes_ / factor
            return f"{number:.0f} {unit}" if number >= 10 else f"{number:.1f} {unit}"
    return f"{bytes_:.0f} bytes"


def gibibytes(bytes_: float) -> str:
    """The size of a memory module, which is sold in powers of two: 16 GB is 16 GiB."""
    number = bytes_ / (1 << 30)
    return f"{number:.0f} GB" if number >= 1 else f"{bytes_ / (1 << 20):.0f} MB"


def duration(seconds: float) -> str:
    """Seconds for a person: 0.4 s, 42 s, 3 min 5 s."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"


def count(number: int, thing: str) -> str:
    """1 core, 2 cores."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def machine(facts: Facts) -> str:
    """A machine in one line."""
    parts = [facts.os.pretty or f"{facts.os.id} {facts.os.version_id}".strip() or "a system nobody named"]
    if facts.cpu.cores is not None:
        parts.append(count(facts.cpu.cores, "core"))
    if facts.memory.total_bytes is not None:
        parts.append(f"{size(facts.memory.total_bytes)} of memory")
    if facts.python is None and facts.why_unknown("python") is None:
        parts.append("no Python yet")
    elif not facts.gpus and facts.why_unknown("gpus") is None:
        parts.append("no NVIDIA GPU")
    parts += [
        f"{number} × {name}" if number > 1 else name
        for name, number in Counter(map(_gpu, facts.gpus)).items()
    ]
    if facts.driver_version:
        parts.append(f"driver {facts.driver_version}")
    # Names come from the machine: what is no letter must not reach a terminal.
    return _one_line(" · ".join(parts))


def _gpu(gpu: Gpu) -> str:
    name = gpu.name or f"NVIDIA {gpu.device}"
    # A card that is called by its size needs no second one, in other units.
    return name if "GB" in name.upper() or not gpu.memory_bytes else f"{name} {size(gpu.memory_bytes)}"


def role_change(drift: RoleDrift) -> str:
    """Why a role runs, in a clause."""
    first = drift.items[0] if drift.items else None
    if first is None:
        return "runs again after what it stands on"
    more = f", and {len(drift.items) - 1} more" if len(drift.items) > 1 else ""
    return f"{first.what}{more}"


def role_work(host: HostResult, drift: RoleDrift) -> str:
    """What a role is going to do, where that is not the same everywhere, and why it runs."""
    from provisioner.report.doing import doing

    does = doing(host.plan, drift.role) if host.plan else None
    why = role_change(drift)
    return _one_line(f"{does} ({why})" if does else why)


def restart_needed(host: HostResult) -> str | None:
    """That a machine is going to need a restart, said before anything is changed."""
    from provisioner.report.doing import restart_ahead

    why = restart_ahead(host.facts, host.plan, host.drift)
    return f"will restart the machine once: {why}" if why else None


def progress(data: Mapping[str, Any]) -> str:
    """A job's progress in one line: what, how far, how fast, how long."""
    parts = [str(data.get("phase", ""))]
    done, total = data.get("done_bytes"), data.get("total_bytes")
    if done is not None and total:
        parts.append(f"{size(done)} of {size(total)} ({100 * done / total:.0f} %)")
    elif done:
        parts.append(size(done))
    if data.get("rate"):
        parts.append(f"{size(data['rate'])}/s")
    if data.get("eta_s") is not None:
        parts.append(f"{duration(data['eta_s'])} left")
    if data.get("still_s"):
        parts.append(f"nothing new for {duration(data['still_s'])} (its log there: {data.get('log', '')})")
    return ", ".join(parts)


def smoke(host: HostResult) -> list[str]:
    """What the model said, and how fast; nothing for a host where none has spoken."""
    if host.smoke is None or host.plan is None:
        return []
    prompt = host.plan.roles["smoke_test"]["smoke_test_prompt"]
    where = str(host.smoke.get("device", "cpu"))
    device = "the CPU" if where == "cpu" else where
    rate, loaded = _number(host.smoke, "tokens_per_second"), _number(host.smoke, "load_seconds")
    tokens = _number(host.smoke, "tokens")
    return [
        f"“{_one_line(prompt)}” → “{_one_line(host.smoke.get('text', ''))}”",
        f"{tokens:.0f} tokens at {rate:.0f} tokens/s on {device}, loaded in {duration(loaded)}",
        *_measured(host.smoke, host.peaks),
    ]


def _measured(result: Mapping[str, Any], found: Peaks | None) -> list[str]:
    """How well it read the fixed passage, what it took, and what it was; nothing for an older receipt."""
    if "perplexity" not in result:
        return []
    bound = f"{_number(result, 'max_perplexity'):.1f}"
    whose = (
        "the generous bound: nobody has measured this model"
        if result.get("bound_is_generous")
        else "its bound"
    )
    memory = f"{size(_number(result, 'peak_rss_bytes'))} of memory at its peak"
    if result.get("peak_vram_bytes"):
        memory += f" and {size(_number(result, 'peak_vram_bytes'))} of VRAM"
    if found is not None and found.predicted_rss_bytes is not None:
        memory += f", {size(found.predicted_rss_bytes)}"
        if found.predicted_vram_bytes is not None:
            memory += f" and {size(found.predicted_vram_bytes)}"
        memory += " predicted"
    kind = str(result.get("dtype", ""))
    if result.get("quantization") not in (None, "none"):
        kind += f" in {result['quantization']}"
    first = duration(_number(result, "first_token_seconds"))
    return [
        f"perplexity {_number(result, 'perplexity'):.1f} of {bound} ({whose})",
        f"first token after {first}, {memory}, {_one_line(kind)}",
        *_missed(found),
    ]


def _missed(found: Peaks | None) -> list[str]:
    """That a prediction of memory was wrong, when it was."""
    if found is None or found.deviation is None or not found.missed:
        return []
    way = "more" if found.deviation > 0 else "less"
    off = f"{abs(found.deviation):.0%} {way} memory than was predicted"
    return [f"warning: that is {off}; please report it, with `memory` and `plan` of the run's journal.json"]


def _number(result: Mapping[str, Any], key: str) -> float:
    """A number out of a receipt, which others can write."""
    value = result.get(key)
    return float(value) if isinstance(value, (int, float)) else 0.0


def _one_line(text: object) -> str:
    """Text without line breaks, and without what would steer a terminal: a model may say anything."""
    return " ".join("".join(char if char.isprintable() else " " for char in str(text)).split())


def ending(host: HostResult) -> str:
    """How a host ended, in one line without its name."""
    from provisioner.report.result import Status

    match host.status:
        case Status.CONVERGED:
            return "nothing to do: everything is as its receipts say"
        case Status.DONE:
            return f"done in {duration(host.seconds)}, {count(host.changed, 'change')}"
        case Status.ANSWERED:
            return f"answered in {duration(host.seconds)}"
        case Status.WOULD_CHANGE:
            roles = [drift.role for drift in host.drift if drift.status != "clean"]
            return f"would change {', '.join(roles)}; nothing was touched"
        case Status.DRIFTED:
            things = sum(len(drift.items) for drift in host.drift if drift.status != "clean")
            return f"{count(things, 'thing')} {'differs' if things == 1 else 'differ'} from the receipts"
        case Status.REBOOT:
            return f"needs a restart: {_one_line(without_logins(str(host.restart)))}"
        case Status.BLOCKED:
            assert host.preflight is not None
            first, *others = host.preflight.blocking
            more = f", and {count(len(others), 'other thing')}" if others else ""
            return f"blocked: {first.summary}{more} ({first.id})"
        case Status.IMPOSSIBLE:
            return f"impossible: {host.why_not}"
        case Status.FAILED:
            # Errors name their host, and so does the line that this is part of.
            error = without_logins(str(host.error)).removeprefix(f"{host.name}: ")
            return f"{host.role}: {error}" if host.role else error


def next_step(host: HostResult) -> str | None:
    """What to do now, when there is something to do."""
    from provisioner.report.result import Status

    if host.why_not is not None:
        return host.why_not.change
    if host.status is Status.BLOCKED and host.preflight is not None:
        first = host.preflight.blocking[0]
        steps = first.remedy.steps if first.remedy else ()
        return steps[0] if steps else f"provision preflight --explain {first.id}"
    if host.status is Status.DRIFTED:
        if any(drift.items and {item.id for item in drift.items} == {UNTOUCHED} for drift in host.drift):
            return "delete the files that are wrong: provision up fetches them, and only them, again"
        return "provision up mends it"
    return host.hint


def reached(host: HostResult) -> str | None:
    """How a machine in WSL, that was just made, is reached: others do not see its own address."""
    from provisioner.report.result import Status

    if host.status is not Status.DONE or host.facts is None or not host.facts.os.wsl:
        return None
    others = "other machines by mirrored networking or a port proxy: docs/windows.md"
    return f"Windows reaches its ports as localhost, {others}"


def closing(result: RunResult) -> str:
    """The last line of a run over several hosts."""
    good = sum(host.exit_code == 0 for host in result.hosts)
    return f"{good} of {len(result.hosts)} hosts are as they should be, in {duration(result.seconds)}"
