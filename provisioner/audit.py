"""What the audit read on one machine: firmware, slots, processor, memory, storage, software. A part of the
Facts.

Every value is a `Reading`: the value with the place it came from, or why there is none. Nothing here judges.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

T = TypeVar("T")

State = Literal["read", "absent", "hidden", "not_applicable", "error"]
"""read: `value` is there. absent: looked for, with the right to see it, and not there. hidden: the kernel or
missing rights keep it from this process. not_applicable: a machine of this kind (container, WSL, guest) has
none to show; `why` says where to look instead. error: it is there and makes no sense. Only `read` has a
value."""


@dataclass(frozen=True, slots=True)
class Reading(Generic[T]):
    """`source` is a path or a call ("CPUID 1.ECX"), `offset` the byte in it where that is meant."""

    state: State = "hidden"
    value: T | None = None
    why: str = "not looked at"
    source: str = ""
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class Sight:
    """What this process can see at all. `virtualization`: "none", or whose guest this is ("kvm", "qemu",
    "firecracker", "microsoft", "vmware", …; "other" where only that it is one is known). `capabilities` is
    CapEff of /proc/self/status; bit 21 (CAP_SYS_ADMIN) reads PCI configuration space.
    """

    virtualization: Reading[str] = Reading()
    capabilities: Reading[int] = Reading()


@dataclass(frozen=True, slots=True)
class Board:
    """Names from DMI; "" where the vendor left none."""

    sys_vendor: str = ""
    product_name: str = ""
    board_vendor: str = ""
    board_name: str = ""
    bios_vendor: str = ""
    bios_version: str = ""
    bios_date: str = ""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate that signs kernel modules here: where it lies, its SHA-256 over DER, and whether the
    firmware's list of the owner's keys (MOK) has it; None when that list could not be read.
    """

    path: str
    sha256: str
    enrolled: bool | None = None


@dataclass(frozen=True, slots=True)
class Firmware:
    """How the machine was started and what its firmware enforces.

    `secure_boot` and `setup_mode`: the EFI variables' byte. `shim_validates`: False when shim was told to
    check nothing (MokSBState) although the variable still says 1. `kernel_secure_boot`: boot_params 0x1ec, 2
    off, 3 on. `settings`: what the firmware itself says of its settings, where the machine offers that
    (/sys/class/firmware-attributes), by name. `lockdown`: the bracketed word. `tpm`: the major version.
    `uefi_capable`: DMI type 0 says the firmware can boot by UEFI (byte 0x13, bit 3). `enters_setup`: whether
    `systemctl reboot --firmware-setup` works. `loader`: grub, systemd-boot, …; "hypervisor" where that starts
    a guest's kernel itself; absent when nothing tells. `settings` are named with their driver
    ("thinklmi/VTdFeature"), and only those that a rule may ask for.
    """

    boot_mode: Reading[Literal["uefi", "legacy"]] = Reading()
    uefi_capable: Reading[bool] = Reading()
    secure_boot: Reading[int] = Reading()
    setup_mode: Reading[int] = Reading()
    shim_validates: Reading[bool] = Reading()
    kernel_secure_boot: Reading[int] = Reading()
    mok_count: Reading[int] = Reading()
    certificates: Reading[tuple[Certificate, ...]] = Reading()
    lockdown: Reading[str] = Reading()
    enters_setup: Reading[bool] = Reading()
    loader: Reading[str] = Reading()
    board: Reading[Board] = Reading()
    settings: Reading[dict[str, str]] = Reading()
    tpm: Reading[str] = Reading()


@dataclass(frozen=True, slots=True)
class Processor:
    """Raw CPUID beside what the kernel shows of it: a kernel drops `vmx` and `svm` where firmware switched
    them off.

    `extension`: "vmx" or "svm" in silicon, "" neither. `kernel_extension`: whether the kernel shows it.
    `locked_off`: the MSR says that firmware switched it off. `instructions`: those of avx, avx2, fma, f16c,
    avx512f, avx512_vnni, avx_vnni, amx_tile, amx_int8, amx_bf16 (and asimd, sve on Arm) that silicon and
    system support together. `usable`: processors this process may run on; `quota`: processors' worth of time
    of its cgroup. `smt`: /sys's word for it (on, off, forceoff, notsupported, notimplemented); `smt_active`:
    two threads a core now. `governor` and `frequency_driver`: of cpufreq, for the first processor.
    """

    vendor: Reading[str] = Reading()
    extension: Reading[str] = Reading()
    kernel_extension: Reading[bool] = Reading()
    locked_off: Reading[bool] = Reading()
    instructions: Reading[tuple[str, ...]] = Reading()
    usable: Reading[int] = Reading()
    quota: Reading[float] = Reading()
    smt: Reading[str] = Reading()
    smt_active: Reading[bool] = Reading()
    idle_driver: Reading[str] = Reading()
    idle_states: Reading[tuple[str, ...]] = Reading()
    governor: Reading[str] = Reading()
    frequency_driver: Reading[str] = Reading()


@dataclass(frozen=True, slots=True)
class Iommu:
    """`tables`: DMAR, IVRS as the firmware gave them. `units`: active ones (/sys/class/iommu). `groups`: how
    many groups of each type (identity, DMA-FQ, DMA). `options`: the words of the kernel command line that
    concern it.
    """

    tables: Reading[tuple[str, ...]] = Reading()
    interrupt_remapping: Reading[bool] = Reading()
    opt_in: Reading[bool] = Reading()
    units: Reading[tuple[str, ...]] = Reading()
    groups: Reading[dict[str, int]] = Reading()
    options: Reading[tuple[str, ...]] = Reading()


@dataclass(frozen=True, slots=True)
class Bar:
    """A base address register. `bits` 32 or 64, 0 for I/O ports. Not `assigned`: its type bits stand in
    configuration space while the kernel's `resource` line is all zero. `start` and `size` in bytes.
    """

    index: int
    bits: int
    prefetchable: bool
    assigned: bool
    start: int | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Resizable:
    """A BAR that can be resized: `sizes` and `now` in bytes."""

    index: int
    sizes: tuple[int, ...]
    now: int | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """A PCIe link. Speeds in GT/s, widths in lanes."""

    speed: float | None = None
    width: int | None = None
    max_speed: float | None = None
    max_width: int | None = None


@dataclass(frozen=True, slots=True)
class PciDevice:
    """A display or accelerator device, an NVMe controller, or any device with an unassigned BAR.

    Ids as sysfs writes them ("0x10de"), `kind` the class ("0x030000"). `config_bytes`: how much of its
    configuration space could be read: 64 without CAP_SYS_ADMIN. `upstream`: address and link of the port
    above it; `acs`: whether that port, or one above it, redirects peer traffic (Access Control Services);
    `switch_acs`: the same of those below the root port, absent without. `aspm`: the link's power-saving
    states in force ("off", "l0s", "l1", "l0s l1"). `local_cpus`: "" on a node without processors.
    """

    address: str
    vendor: str
    device: str
    kind: str
    driver: str | None = None
    config_bytes: int = 0
    bars: Reading[tuple[Bar, ...]] = Reading()
    resizable: Reading[tuple[Resizable, ...]] = Reading()
    link: Reading[Link] = Reading()
    upstream: str = ""
    upstream_link: Reading[Link] = Reading()
    acs: Reading[bool] = Reading()
    switch_acs: Reading[bool] = Reading()
    aspm: Reading[str] = Reading()
    sriov_functions: Reading[int] = Reading()
    numa_node: Reading[int] = Reading()
    local_cpus: Reading[str] = Reading()
    iommu_group: Reading[int] = Reading()


@dataclass(frozen=True, slots=True)
class Window:
    """Addresses that a host bridge may hand out ("PCI Bus" in /proc/iomem); `end` is the last byte."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Slots:
    """The PCI bus. `windows`: those above 4 GiB; `complaints`: the kernel's log about BARs and links."""

    devices: Reading[tuple[PciDevice, ...]] = Reading()
    windows: Reading[tuple[Window, ...]] = Reading()
    complaints: Reading[tuple[str, ...]] = Reading()
    aspm_policy: Reading[str] = Reading()


@dataclass(frozen=True, slots=True)
class Dimm:
    """A memory module, or an empty socket (`bytes` 0). Speeds in MT/s."""

    locator: str
    bytes: int
    kind: str = ""
    rated: int | None = None
    configured: int | None = None
    total_width: int | None = None
    data_width: int | None = None


@dataclass(frozen=True, slots=True)
class Ram:
    """Memory as built in and as set up, in bytes. `ecc`: DMI type 16's word (none, parity, single-bit,
    multi-bit, crc), the weakest of several arrays. `edac`: the kernel's own memory controllers.
    `huge_pages`: reserved bytes by size of page.
    """

    dimms: Reading[tuple[Dimm, ...]] = Reading()
    ecc: Reading[str] = Reading()
    edac: Reading[tuple[str, ...]] = Reading()
    swap_bytes: Reading[int] = Reading()
    swap_free_bytes: Reading[int] = Reading()
    huge_pages: Reading[dict[int, int]] = Reading()
    transparent_huge_pages: Reading[str] = Reading()
    numa_nodes: Reading[int] = Reading()


@dataclass(frozen=True, slots=True)
class Volume:
    """The file system that holds, or would hold, a folder, and the disk below it.

    `transport`: nvme, sata, sas, usb, mmc, virtio (a hypervisor's), network, memory, windows (of WSL) or "";
    `rotational` None where nobody knows (in a guest, always). `device` is the disk's name in /sys/block, ""
    for what has none.
    """

    path: str
    mount: str
    fs: str
    options: tuple[str, ...]
    device: str = ""
    model: str = ""
    transport: str = ""
    rotational: bool | None = None
    total_bytes: int | None = None
    free_bytes: int | None = None
    free_inodes: int | None = None


@dataclass(frozen=True, slots=True)
class DriverSource:
    """How a driver came here: distribution, nvidia-repository, other-repository, runfile, wsl, container;
    with the package or file that shows it and the driver's own version ("550.54.15", "" not told).
    """

    way: str
    evidence: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class KernelImage:
    """A kernel: whether its headers are here, and which gcc built it ("12.2.0", "" not known)."""

    release: str
    headers: bool
    gcc: str = ""


@dataclass(frozen=True, slots=True)
class Process:
    """A process that has a GPU open."""

    pid: int
    name: str
    user: str = ""
    devices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Software:
    """`loaded_driver` is the module in memory, `library_driver` the user-space libraries on disk,
    `module_file` the module that the next load would take. `nouveau`: loaded, built-in, blacklisted or "" for
    none of these. `kernels`: the running one first, then the one that starts next where it is another.
    `half_configured`: each as "name (state)". `reboot_wanted_by`: the packages that want one, "" for one that
    left no name. `gcc`: as far as links and folders tell ("12"). `dkms_failed`: "nvidia/550.1 for RELEASE:
    why". `unattended`: packages of the NVIDIA driver that unattended upgrades may replace.
    """

    loaded_driver: Reading[str] = Reading()
    library_driver: Reading[str] = Reading()
    module_file: Reading[str] = Reading()
    driver_sources: Reading[tuple[DriverSource, ...]] = Reading()
    nouveau: Reading[str] = Reading()
    kernels: Reading[tuple[KernelImage, ...]] = Reading()
    gcc: Reading[str] = Reading()
    held: Reading[tuple[str, ...]] = Reading()
    half_configured: Reading[tuple[str, ...]] = Reading()
    reboot_wanted_by: Reading[tuple[str, ...]] = Reading()
    unattended: Reading[tuple[str, ...]] = Reading()
    gpu_processes: Reading[tuple[Process, ...]] = Reading()
    dkms_failed: Reading[tuple[str, ...]] = Reading()
    command_line: Reading[str] = Reading()


@dataclass(frozen=True, slots=True)
class Clock:
    """`now`: seconds since 1970 on the box; `synchronized`: what the kernel says (adjtimex).
    `newest_package`: the last change of the package database: a clock before it is wrong. `controller`: the
    clock of the machine that asked; where WSL asks itself, Windows'; absent where it is the same one.
    """

    now: Reading[float] = Reading()
    synchronized: Reading[bool] = Reading()
    newest_package: Reading[float] = Reading()
    controller: Reading[float] = Reading()


@dataclass(frozen=True, slots=True)
class Mirror:
    """An address that something will be fetched from: reached in `seconds`, or `error`. `address` has no
    login.
    """

    what: str
    address: str
    seconds: float | None = None
    status: int | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Network:
    """Only where it was asked for: it takes as long as the network does. `resolvers`: name servers
    configured.
    """

    resolvers: Reading[tuple[str, ...]] = Reading()
    mirrors: Reading[tuple[Mirror, ...]] = Reading()


@dataclass(frozen=True, slots=True)
class Rate:
    """A measured rate in bytes a second; `how` says what was read or copied, and with how many threads."""

    bytes_per_second: float
    seconds: float
    bytes: int
    how: str


@dataclass(frozen=True, slots=True)
class Bench:
    """Only with --bench. `random`: 4 KiB reads, one at a time."""

    sequential: Reading[Rate] = Reading()
    random: Reading[Rate] = Reading()
    memory: Reading[Rate] = Reading()
    memory_one_thread: Reading[Rate] = Reading()


@dataclass(frozen=True, slots=True)
class Audit:
    """Everything the audit read; `volumes` by the path that was asked about."""

    sight: Sight = Sight()
    firmware: Firmware = Firmware()
    processor: Processor = Processor()
    iommu: Iommu = Iommu()
    slots: Slots = Slots()
    ram: Ram = Ram()
    volumes: dict[str, Reading[Volume]] = field(default_factory=dict)
    software: Software = Software()
    clock: Clock = Clock()
    network: Network | None = None
    bench: Bench | None = None
