"""The emulated box as the script sees it: cmdlets, registry, files and programs, for tests/powershell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from zlib import crc32

from scripts.windows_script import SCRIPT
from tests.powershell import Cmdlet, Exit, Failure, Native, Object, Shell
from tests.powershell import Ran as Said
from tests.unit.windows.emulated.box import APPS, CONFIG, HOME, LOCAL, STATE, Box, Ran

SOURCE = SCRIPT.read_text("utf-8")
LXSS = r"HKCU:\Software\Microsoft\Windows\CurrentVersion\Lxss"
RUN_ONCE = r"HKCU:\Software\Microsoft\Windows\CurrentVersion\RunOnce"
MSI = r"HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Lxss\MSI"
BEGAN = rf"{STATE}\began"
POLICY = r"HKLM:\SOFTWARE\Policies\WSL"
APP = rf"{APPS}\MicrosoftCorporationII.WindowsSubsystemForLinux_8wekyb3d8bbwe"
ENVIRONMENT = {
    "LOCALAPPDATA": LOCAL,
    "USERPROFILE": HOME,
    "SystemRoot": r"C:\Windows",
    "USERNAME": "Ada",
    "PROCESSOR_ARCHITECTURE": "AMD64",
}
OPTIONS = {
    "cpu": "CpuOnly", "shutdown": "Shutdown", "restart": "Restart", "web": "WebDownload",
    "distribution": "Distribution", "memory": "Memory", "swap": "Swap", "networking": "Networking",
    "up": "Up", "file": "DistributionFile", "package": "WslPackage",
}  # fmt: skip


class Doors:
    """One PowerShell on the box."""

    def __init__(self, box: Box, edition: str = "5.1") -> None:
        self.box = box
        here = rf"{box.root}\scripts"
        environment = {**ENVIRONMENT, "PROCESSOR_ARCHITECTURE": box.architecture}
        names = [name for name in dir(self) if name.startswith("cmdlet_")]
        cmdlets: dict[str, Cmdlet | Native] = {
            name.removeprefix("cmdlet_").replace("_", "-"): getattr(self, name) for name in names
        }
        programs = {"wsl.exe": Native(self._wsl)} | {
            path: Native(lambda words, _, path=path: _said(box.launch(path, words)))  # type: ignore[misc]
            for path in (rf"{APPS}\debian.exe", rf"{APPS}\ubuntu2404.exe", rf"{APPS}\ubuntu.exe")
        }
        self.shell = Shell(
            cmdlets | programs,
            {"PSScriptRoot": here, "PSCommandPath": rf"{here}\bootstrap-wsl2.ps1"},
            environment,
            statics={
                "Console::InputEncoding": "cp850",
                "Console::OutputEncoding": "cp850",
                "Text.UTF8Encoding::new": lambda mark: "utf-8 with a mark" if mark else "utf-8",
                "IO.File::ReadAllText": self._read,
                "IO.File::WriteAllText": self._write,
                "DateTimeOffset::UtcNow": Object({}, methods={"ToUnixTimeSeconds": lambda: 1_900_000_000}),
            },
            edition=edition,
        )

    def run(self, *, what_if: bool = False) -> int:
        """The script with what the box is asked for; its exit code."""
        given: dict[str, object] = {OPTIONS[name]: value for name, value in self.box.asked.items() if value}
        if what_if:
            given["WhatIf"] = True
        try:
            self.shell.run(SOURCE, **given)
        except Exit as left:
            return left.code
        raise AssertionError("the script ends with an exit code")

    # ---- looking

    def cmdlet_Get_CimInstance(  # noqa: C901 - one case a class
        self, _: list[object], named: dict[str, object], __: list[object] | None = None
    ) -> Iterable[object]:
        box = self.box
        match named["classname"], named.get("filter"):
            case "Win32_OperatingSystem", None:
                started = Object({}, methods={"ToFileTimeUtc": lambda: box.boot * 10_000_000})
                yield Object({
                    "Caption": box.caption, "BuildNumber": box.build, "ProductType": box.product,
                    "LastBootUpTime": started,
                })  # fmt: skip
            case "Win32_ComputerSystem", None:
                yield Object({"TotalPhysicalMemory": box.memory, "HypervisorPresent": box.hypervisor})
            case "Win32_Processor", None:
                yield Object({"VirtualizationFirmwareEnabled": box.firmware and not box.hypervisor})
            case "Win32_VideoController", None:
                for card in box.cards:
                    yield Object({
                        "Name": card.name, "DriverVersion": card.driver, "PNPDeviceID": card.hardware,
                        "AdapterCompatibility": "NVIDIA" if "NVIDIA" in card.name else "Microsoft",
                    })  # fmt: skip
            case "Win32_PnPEntity", r"PNPDeviceID LIKE 'PCI\\VEN_10DE%'":
                for where, kind in box.devices:
                    if "VEN_10DE" in where:
                        identifiers = [r"PCI\VEN_10DE&DEV_2684", rf"PCI\VEN_10DE&{kind}"]
                        yield Object({"PNPDeviceID": where, "CompatibleID": identifiers})
            case "Win32_LogicalDisk", "DeviceID='C:'":
                yield Object({"FreeSpace": box.free, "DriveType": box.drive})
            case "Win32_LogicalDisk", str(asked) if asked == f"DeviceID='{box.root[:2]}'":
                if box.root[1:2] == ":":
                    yield Object({"FreeSpace": 0, "DriveType": box.drive})
            case "Win32_OptionalFeature", "Name='Microsoft-Windows-Subsystem-Linux'":
                yield Object({"InstallState": {"on": 1, "off": 2, "pending": box.pending_shows}[box.linux]})
            case "Win32_OptionalFeature", "Name='VirtualMachinePlatform'":
                yield Object(
                    {"InstallState": {"on": 1, "off": 2, "pending": box.pending_shows}[box.platform]}
                )
            case asked:
                raise AssertionError(f"no such instance: {asked}")

    def cmdlet_Get_ItemProperty(
        self, args: list[object], named: dict[str, object], _: object = None
    ) -> Iterator[Object]:
        path, name = str(named.get("path", args[0] if args else "")), named.get("name")
        values = self._values(path)
        if not values or (name is not None and name not in values):
            raise Failure(f"Property {name} does not exist at path {path}.")
        yield Object(values)

    def _values(self, path: str) -> dict[str, object]:
        box = self.box
        if path == MSI:
            return {"Version": box.package} if box.package else {}
        if path == POLICY:
            return {"AllowWSL": int(box.policy)} if box.policy else {}
        if path == RUN_ONCE:
            return {"provision": box.run_once} if box.run_once else {}
        if path == LXSS:
            return {"DefaultDistribution": _key(box.default)} if box.default else {}
        for name, one in box.distributions.items():
            if path == rf"Microsoft.PowerShell.Core\Registry::HKEY_CURRENT_USER\Lxss\{_key(name)}":
                return {"DistributionName": name, "Flags": one.flags, "State": one.state, "Version": 2}
        return {}

    def cmdlet_Get_ChildItem(
        self, _: list[object], named: dict[str, object], __: object = None
    ) -> Iterator[Object]:
        path = str(named["path"])
        if path == LXSS:
            for name in self.box.distributions:
                where = rf"Microsoft.PowerShell.Core\Registry::HKEY_CURRENT_USER\Lxss\{_key(name)}"
                yield Object({"PSPath": where, "PSChildName": _key(name)})
        elif path == rf"{APPS}\*.exe":
            for where in [rf"{APPS}\python3.exe", *self.box.launchers.values()]:
                yield Object({"Name": where.rpartition("\\")[2], "FullName": where})
        else:
            raise Failure(f"Cannot find path '{path}' because it does not exist.")

    def cmdlet_Test_Path(
        self, args: list[object], named: dict[str, object], _: object = None
    ) -> Iterator[bool]:
        path = str(named.get("path", named.get("literalpath", args[0] if args else "")))
        box = self.box
        if path == APP:
            yield box.app
        else:
            yield path in box.folders or path in box.files or path in self.sent()

    def cmdlet_Resolve_Path(
        self, _: list[object], named: dict[str, object], __: object = None
    ) -> Iterator[Object]:
        path = str(named["literalpath"])
        yield Object({"ProviderPath": path, "Path": path})

    def sent(self) -> dict[str, str]:
        """The shell scripts beside it, with the line ends of a checkout in Windows."""
        folder = SCRIPT.with_name("wsl2")
        texts = {one.name: one.read_text("utf-8") for one in folder.iterdir()}
        inside = rf"{self.box.root}\scripts\wsl2"
        sent = {rf"{inside}\{name}": text.replace("\n", "\r\n") for name, text in texts.items()}
        return sent | ({rf"{self.box.root}\bootstrap.sh": ""} if self.box.whole else {})

    def _read(self, path: str) -> str:
        return (self.box.files | self.sent())[path]

    # ---- acting

    def _write(self, path: str, text: str) -> None:
        assert path.startswith(CONFIG) or path.rpartition("\\")[0] in self.box.folders, f"no folder of {path}"
        if path == BEGAN:
            self.box.files[path] = text  # nothing of it is ever read
        else:
            self.box.write(path, text)

    def cmdlet_New_Item(
        self, _: list[object], named: dict[str, object], __: object = None
    ) -> Iterator[Object]:
        path = str(named["path"])
        ours = path.startswith((STATE, rf"{LOCAL}\wsl"))
        assert (named.get("itemtype"), ours) == ("Directory", True) or path == RUN_ONCE
        self.box.folders.add(path)
        yield Object({})

    def cmdlet_Remove_Item(self, _: list[object], named: dict[str, object], __: object = None) -> None:
        if named["path"] not in self.box.files:
            raise Failure(f"Cannot find path '{named['path']}' because it does not exist.")
        self.box.remove(str(named["path"]))

    def cmdlet_Remove_ItemProperty(
        self, _: list[object], named: dict[str, object], __: object = None
    ) -> None:
        assert (named["path"], named["name"]) == (RUN_ONCE, "provision")
        if not self.box.run_once:
            raise Failure(f"Property provision does not exist at path {RUN_ONCE}.")
        self.box.resume("")

    def cmdlet_Set_ItemProperty(self, _: list[object], named: dict[str, object], __: object = None) -> None:
        assert (named["path"], named["name"], RUN_ONCE in self.box.folders) == (RUN_ONCE, "provision", True)
        self.box.resume(str(named["value"]))

    def cmdlet_Start_Process(
        self, _: list[object], named: dict[str, object], __: object = None
    ) -> Iterator[Object]:
        assert (named["verb"], named["wait"], named["passthru"]) == ("RunAs", True, True)
        arguments = named["argumentlist"]
        assert isinstance(arguments, list)
        code = self.box.elevated(str(named["filepath"]), [str(one) for one in arguments])
        if code is None:
            raise Failure("The operation was canceled by the user.", terminating=True)
        yield Object({"ExitCode": code})

    def cmdlet_Restart_Computer(self, *_: object) -> None:
        self.box.log.append("Restart-Computer")

    def cmdlet_Start_Transcript(
        self, _: list[object], named: dict[str, object], __: object = None
    ) -> Iterator[str]:
        assert named["path"] == rf"{STATE}\bootstrap-wsl2.log"
        yield "Transcript started"

    def cmdlet_Stop_Transcript(self, *_: object) -> Iterator[str]:
        yield "Transcript stopped"

    def _wsl(self, words: list[str], fed: list[str]) -> Said:
        assert self.shell.environment.get("WSL_UTF8") == "1"
        if words[0] == "--import":
            assert words[2] in self.box.folders, "wsl makes no folder"
        return _said(self.box.wsl(words, "\n".join(fed)))


def _said(ran: Ran) -> Said:
    return Said(ran.code, list(ran.lines))


def _key(name: str) -> str:
    """Some GUID for a distribution."""
    return f"{{0bd1b8a5-0000-4000-8000-{crc32(name.encode()):012x}}}"
