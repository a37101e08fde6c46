"""The disk that weights and environments will lie on: room, file system, and how fast it is read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from provisioner.audit import Reading, Volume
from provisioner.facts import SYSTEM_PLACES, Disk, Scope
from provisioner.preflight.disk_times import MODEL_BYTES, Name, reference, seconds_to_load
from provisioner.preflight.file_systems import file_system
from provisioner.preflight.finding import Evidence, Remedy
from provisioner.preflight.remedies import by_hand
from provisioner.preflight.rule import Case, Rule, Verdict, Weight, bad, cannot, good, seen
from provisioner.preflight.rules.machine import inapplicable, unknown
from provisioner.preflight.rules.shared import asks, minimum
from provisioner.preflight.words import seconds, size

# An environment with torch has some 30,000 files.
_FILES = 50_000


@dataclass(frozen=True)
class Room:
    """A folder that something will be put into, and what is known of the volume below it."""

    what: str
    folder: str
    need: int
    volume: Reading[Volume]
    disk: Disk | None

    @property
    def subject(self) -> str:
        return f"folder:{self.folder}"

    @property
    def mount(self) -> str | None:
        return self.volume.value.mount if self.volume.value else None

    @property
    def free(self) -> tuple[int, Evidence] | None:
        """Free bytes, and where that was read."""
        volume, disk = self.volume.value, self.disk
        if volume is not None and volume.free_bytes is not None:
            return volume.free_bytes, seen(self.volume, f"{volume.free_bytes} bytes free")
        return (disk.free_bytes, Evidence("statvfs", f"{disk.free_bytes} bytes free")) if disk else None


def rooms(case: Case) -> tuple[Room, ...]:
    """The folder of the weights, and those of the environments, and of driver and toolkit, where they are
    known to be on other volumes: the plan counts half of the room for environments. What shares a volume is
    counted together.
    """
    places = case.facts.places.get(_scope(case), SYSTEM_PLACES)
    weights = _room(case, "weights", case.needs.weights or f"{places.state}/models", places.state)
    code = _room(case, "environments", places.code, places.code)
    apart = [code] if weights.mount and code.mount and code.mount != weights.mount else []
    if not case.needs.system_bytes:
        return (weights, *apart)
    system = _room(case, "driver and toolkit", "/usr", "/usr")
    shared = next((room for room in (weights, *apart) if room.mount == system.mount), None)
    if shared is None:
        return (weights, *apart, system)
    whole = replace(shared, need=shared.need + system.need, what=f"{shared.what}, driver and toolkit")
    return tuple(whole if room is shared else room for room in (weights, *apart))


def space(case: Case) -> Iterator[Verdict]:
    """Free bytes and free inodes."""
    # Whoever adds a driver or a toolkit needs the room for it, whatever is there.
    there = not case.needs.system_bytes and case.facts.receipt("model_weights", _scope(case)) is not None
    for room in rooms(case):
        if room.free is None:
            summary = f"How much room there is for {room.what}"
            why = case.facts.why_unknown("disks")
            if why:
                yield unknown(summary, why, subject=room.subject)
            else:
                yield cannot(room.volume, summary, subject=room.subject)
            continue
        free, evidence = room.free
        if free < room.need:
            already = ": weights are there already" if there else ""
            lacks = f"There is {size(free)} free for {room.what} in {room.folder}"
            yield bad(
                f"{lacks}, and {asks(case.needs, size(room.need))}{already}",
                f"{size(free)} free",
                f"at least {size(room.need)} free",
                subject=room.subject,
                weight="warn" if there else minimum(case),
                evidence=(evidence,),
                remedy=by_hand(
                    f"Find what fills the disk: `sudo du -xhd2 {room.mount or '/'} | sort -h | tail`.",
                    f"Make room, or mount a larger disk at {room.folder}.",
                ),
            )
            continue
        volume = room.volume.value
        files = volume.free_inodes if volume else None
        if files is not None and files < _FILES:
            yield bad(
                f"There is room for {files} more files in {room.folder}; an environment takes some 30,000",
                f"{files} inodes free",
                f"at least {_FILES}",
                subject=room.subject,
                evidence=(seen(room.volume, f"{files} inodes free"),),
                remedy=by_hand("Find folders with very many small files, and clear them."),
            )
            continue
        here = f"{size(free)} free"
        summary = f"There is {here} for {room.what} in {room.folder}"
        yield good(summary, here, subject=room.subject, evidence=(evidence,))


def fitness(case: Case) -> Iterator[Verdict]:
    """Whether the file system takes what will be put there: written, linked, started from, and kept."""
    for room in rooms(case):
        volume = room.volume.value
        if volume is None:
            summary = f"What file system {room.what} will lie on"
            yield cannot(room.volume, summary, subject=room.subject)
            continue
        yield from _fitness(case, room, volume)


def _fitness(case: Case, room: Room, volume: Volume) -> Iterator[Verdict]:
    known = file_system(volume.fs)
    mounted = f"{volume.mount} {volume.fs} {','.join(volume.options)}"
    rest: dict[str, Any] = {"subject": room.subject, "evidence": (seen(room.volume, mounted),)}
    blocks: Weight = "fail" if case.needs.blocks else "high"
    fine = True
    if "ro" in volume.options:
        fine = False
        yield bad(
            f"{room.folder} cannot be written to: {volume.mount} is mounted read-only",
            "ro",
            "rw",
            weight=blocks,
            remedy=by_hand(
                "Look why: `sudo dmesg | grep -i remount` tells of errors on the disk.",
                f"Where it is on purpose: `sudo mount -o remount,rw {volume.mount}`.",
            ),
            **rest,
        )
    # Programs start from the environments only, which lie on this volume too when there is no other.
    starts_here = room.what == "environments" or len(rooms(case)) == 1
    if "noexec" in volume.options and starts_here and not case.needs.weights:
        fine = False
        yield bad(
            f"No program may start from {room.folder}: {volume.mount} is mounted noexec",
            "noexec",
            "exec",
            weight=blocks,
            remedy=by_hand(
                f"Take noexec out of the line of {volume.mount} in /etc/fstab.",
                f"`sudo mount -o remount,exec {volume.mount}`.",
                risk="Somebody may have set it on purpose.",
            ),
            **rest,
        )
    if volume.transport == "windows":
        yield bad(
            f"{room.folder} lies on a disk of Windows, which is slow from WSL and keeps modes only in part",
            volume.fs or "nothing",
            "WSL's own disk",
            remedy=_out_of_windows(room.folder),
            **rest,
        )
    elif known is None:
        if fine:
            thing = f"Whether {volume.fs} will do, which {room.folder} lies on"
            yield unknown(thing, "it is not in the table of file systems", observed=volume.fs, **rest)
    elif known.fit != "fine":
        summary = f"{room.folder} lies on {volume.fs}, {known.but}"
        weight = blocks if known.fit == "unfit" else "warn"
        other = by_hand(f"Mount a disk with ext4 or xfs at {room.folder}, or choose another folder.")
        yield bad(
            summary, volume.fs or "nothing", "ext4, xfs or the like", weight=weight, remedy=other, **rest
        )
    elif fine:
        yield good(f"{room.folder} lies on {volume.fs}", volume.fs, **rest)


def medium(case: Case) -> Iterator[Verdict]:
    """How fast the disk is that weights are read from, by its kind."""
    room = rooms(case)[0]
    volume = room.volume.value
    if volume is None:
        yield cannot(room.volume, "What disk weights will lie on", subject=room.subject)
        return
    name = volume.model or volume.device or volume.fs
    shown = f"{volume.device or volume.fs} {name} {volume.transport}"
    rest: dict[str, Any] = {"subject": room.subject, "evidence": (seen(room.volume, shown),)}
    other = by_hand("Keep the weights on a solid-state disk inside the machine.", actor="owner")
    if volume.transport == "windows":
        summary = "Weights will come through Windows each time that a model is loaded, which is slow"
        yield bad(summary, "a disk of Windows", "WSL's own disk", remedy=_out_of_windows(room.folder), **rest)
    elif volume.transport == "network":
        summary = "Weights will come over the network each time that a model is loaded"
        yield bad(summary, "network", "a disk in this machine", remedy=other, **rest)
    elif volume.transport == "memory":
        yield good("Weights will lie in memory: they load at once, and take their size twice", volume.fs,
                   weight="info", **rest)  # fmt: skip
    elif case.virtual or volume.transport == "virtio":
        why = "a guest does not see the disk behind its own: measure it with --bench"
        yield replace(inapplicable("How fast the disk is", why), **rest)
    elif volume.transport in ("usb", "mmc"):
        kind = "USB disk" if volume.transport == "usb" else "memory card"
        summary = f"Weights will lie on a {kind} ({name}): loading is slow, and ends when it is pulled"
        yield bad(summary, kind, "a disk inside the machine", remedy=other, **rest)
    elif volume.rotational:
        summary = f"Weights will lie on a hard disk ({name}): {_loading('hard-disk')}"
        yield bad(summary, "hard disk", "a solid-state disk", remedy=other, **rest)
    elif volume.transport == "nvme":
        yield good(f"Weights will lie on an NVMe disk ({name}): {_loading('nvme')}", "nvme", **rest)
    elif volume.transport == "sata" and volume.rotational is False:
        summary = f"Weights will lie on a solid-state disk on SATA ({name}): {_loading('sata')}"
        yield good(summary, "sata", **rest)
    else:
        why = "nothing tells what is below it: measure it with --bench"
        yield unknown(f"How fast {name} is", why, **rest)


def _out_of_windows(folder: str) -> Remedy:
    return by_hand(
        f"Keep {folder} on WSL's own disk: take away the link or the mount that leads to Windows.",
        "Without root, HOME and XDG_DATA_HOME say where it is: let them lead below /home.",
    )


def _loading(name: Name) -> str:
    """What a kind of disk means for a model, in a clause."""
    time = seconds(seconds_to_load(reference(name).bytes_per_second))
    return f"a model of {size(MODEL_BYTES)} takes about {time} to load"


def _scope(case: Case) -> Scope:
    """Whose places are meant: those of the scope that has the folder asked for, else by this one's rights."""
    for scope in ("user", "system"):
        places = case.facts.places.get(scope)
        if places and case.needs.weights.startswith(f"{places.state}/"):
            return scope
    return "system" if case.facts.privilege == "root" else "user"


def _room(case: Case, what: str, folder: str, place: str) -> Room:
    """`place`: the standard folder that `folder` lies in, which may be what was asked about."""
    volumes = case.audit.volumes
    near = [path for path in volumes if path in (folder, place) or folder.startswith(f"{path}/")]
    volume: Reading[Volume] = volumes[max(near, key=len)] if near else Reading()
    disk = case.needs.disk_bytes
    need = {"weights": disk, "environments": disk // 2}.get(what, case.needs.system_bytes)
    within = folder == place or folder.startswith(f"{place}/")
    return Room(what, folder, need, volume, case.facts.disks.get(place) if within else None)


RULES = (
    Rule("storage.space", "storage", space),
    Rule("storage.file-system", "storage", fitness),
    Rule("storage.medium", "storage", medium),
)
