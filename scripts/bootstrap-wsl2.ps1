<#
.SYNOPSIS
    From a Windows machine with nothing on it to a model that answers in WSL2.
.DESCRIPTION
    Looks at this computer, says what is in the way, installs WSL and Ubuntu where they are missing, gives WSL memory,
    and runs ./bootstrap.sh up inside. It goes step by step: it looks, does one thing, and looks again; so it can be
    ended and started again anywhere, and goes on by itself after the restart that switching WSL on needs.
    Needs this folder only, nothing beside it; Windows PowerShell 5.1 or PowerShell 7, as an ordinary user: Windows
    asks for an administrator where one is needed. Never installs a driver: WSL uses the one of Windows.
    What it decides is the table below, which is kept and tested in provisioner/windows; the rest looks and acts.
.EXAMPLE
    powershell -ExecutionPolicy Bypass -File scripts\bootstrap-wsl2.ps1
.EXAMPLE
    powershell -ExecutionPolicy Bypass -File scripts\bootstrap-wsl2.ps1 -WhatIf
.EXAMPLE
    powershell -ExecutionPolicy Bypass -File scripts\bootstrap-wsl2.ps1 -Distribution Debian -Memory 24GB -Up "profile=gemma3-270m"
#>
[CmdletBinding(SupportsShouldProcess = $true)]
param(
    # The distribution to use, installed where it is missing. Without it: the default one if it is Ubuntu or Debian.
    [string] $Distribution = '',
    # What .wslconfig shall say, for example 24GB. Without it what is there stays, and what is missing is chosen.
    [string] $Memory = '',
    [string] $Swap = '',
    # mirrored or nat; without it what is there stays.
    [string] $Networking = '',
    # Options of ./bootstrap.sh up without their dashes, as powershell -File takes none in a value: "profile=NAME check".
    [string] $Up = '',
    # For computers without a network: a .wsl or .tar.gz file of a distribution, and the installer (.msi) of WSL.
    [string] $DistributionFile = '',
    [string] $WslPackage = '',
    # Go on without NVIDIA's driver, or with one that is too old.
    [switch] $CpuOnly,
    # WSL may be shut down although other distributions run in it.
    [switch] $Shutdown,
    # Windows may be restarted when that is needed.
    [switch] $Restart,
    # Fetch WSL and distributions past the Microsoft Store.
    [switch] $WebDownload
)

$ErrorActionPreference = 'Stop'
$env:WSL_UTF8 = '1'

# >>> decisions: scripts/windows_script.py writes them, from provisioner/windows/data
$Decisions = @'
{
"limits": [
{"name": "windows_build", "value": "19044"},
{"name": "windows_10", "value": "19045"},
{"name": "windows_11", "value": "22000"},
{"name": "mirrored_build", "value": "22621"},
{"name": "wsl_version", "value": "0.67.6"},
{"name": "wsl_for_new_distributions", "value": "2.4.4"},
{"name": "driver", "value": "528.33"},
{"name": "driver_of_cuda", "value": "551.61"},
{"name": "free_gib", "value": "12"},
{"name": "free_gib_of_model", "value": "40"},
{"name": "memory_of_model", "value": "9"},
{"name": "clock_s", "value": "30"},
{"name": "driver_download", "value": "https://www.nvidia.com/drivers"},
{"name": "distribution", "value": "Ubuntu-24.04"},
{"name": "ubuntu", "value": "20.04"},
{"name": "debian", "value": "11"}
],
"readings": [
{"name": "memory", "of": "machine.memory", "divide": 1073741824},
{"name": "memory_half", "of": "memory", "divide": 2},
{"name": "drive_free", "of": "drive.free", "divide": 1073741824},
{"name": "driver", "of": "gpu.driver", "match": "(\\d)\\.(\\d\\d)(\\d\\d)$", "gives": "{1}{2}.{3}"},
{"name": "wsl_version", "of": "wsl.version", "match": "(\\d+\\.\\d+\\.\\d+)\\.\\d+", "gives": "{1}"},
{"name": "known", "of": "wsl.distributions", "match": "(?im)^((?:Ubuntu|Debian)[A-Za-z0-9._-]*)\\r?$", "gives": "{1}"},
{"name": "distribution", "first": ["{asked.distribution}", "{known}", "{limit.distribution}"]},
{"name": "registered", "of": "distribution.{distribution}.flags", "match": "^(\\d+)$", "gives": "{1}"},
{"name": "launcher", "first": ["{launcher.{distribution}}"]},
{"name": "memory_set", "of": "wslconfig", "match": "(?im)^[ \\t]*memory[ \\t]*=[ \\t]*([^\\s#]+)", "gives": "{1}"},
{"name": "swap_set", "of": "wslconfig", "match": "(?im)^[ \\t]*swap[ \\t]*=[ \\t]*([^\\s#]+)", "gives": "{1}"},
{"name": "networking_set", "of": "wslconfig", "match": "(?im)^[ \\t]*networkingMode[ \\t]*=[ \\t]*([A-Za-z]+)", "gives": "{1}"},
{"name": "memory_for_wsl", "of": "memory", "rows": [[0, "3GB"], [6, "4GB"], [7, "5GB"], [11, "8GB"], [15, "12GB"], [23, "18GB"], [30, "26GB"], [47, "40GB"], [62, "54GB"], [94, "84GB"], [126, "112GB"], [190, "172GB"], [254, "232GB"]]},
{"name": "swap_for_wsl", "of": "memory", "rows": [[0, "8GB"], [30, "16GB"]]},
{"name": "memory_wanted", "first": ["{asked.memory}", "{memory_set}", "{memory_for_wsl}"]},
{"name": "swap_wanted", "first": ["{asked.swap}", "{swap_set}", "{swap_for_wsl}"]},
{"name": "memory_wanted_gb", "of": "memory_wanted", "match": "(?i)^(\\d+)GB$", "gives": "{1}"}
],
"steps": [
{"name": "windows-too-old", "kind": "stop", "when": [{"fact": "windows.build", "op": "below", "value": "{limit.windows_build}"}], "say": "{windows.name}, build {windows.build}, is older than Windows 10 21H2 (build {limit.windows_build})", "next": "update Windows (Settings, Windows Update), then run this line again"},
{"name": "forbidden-by-policy", "kind": "stop", "when": [{"fact": "policy.wsl", "op": "is", "value": "0"}], "say": "a policy of this computer forbids WSL (HKLM\\SOFTWARE\\Policies\\WSL, AllowWSL is 0)", "next": "ask whoever administers this computer to allow it"},
{"name": "virtualisation-off", "kind": "stop", "when": [{"fact": "machine.hypervisor", "op": "is", "value": "False"}, {"fact": "machine.firmware", "op": "is", "value": "False"}], "say": "virtualisation is switched off in the firmware, and WSL2 is a virtual machine", "next": "switch on Intel VT-x, or SVM on AMD, in the firmware's setup (Task Manager, Performance, CPU shows whether it is on), then run this line again"},
{"name": "hypervisor-does-not-start", "kind": "stop", "when": [{"fact": "feature.platform", "op": "is", "value": "1"}, {"fact": "machine.hypervisor", "op": "is", "value": "False"}, {"fact": "machine.firmware", "op": "not", "value": "False"}, {"fact": "restarted", "op": "is", "value": "True"}], "say": "Windows was restarted, and its hypervisor still does not run", "next": "in an administrator's PowerShell: bcdedit /set hypervisorlaunchtype auto; then restart Windows and run this line again"},
{"name": "driver-missing", "kind": "stop", "when": [{"fact": "gpu.hardware", "op": "there", "value": ""}, {"fact": "gpu.driver", "op": "missing", "value": ""}, {"fact": "asked.cpu", "op": "not", "value": "True"}], "say": "an NVIDIA GPU is here, and Windows has no driver of NVIDIA's for it", "next": "install it in Windows from {limit.driver_download} (never inside WSL), or say -CpuOnly; then run this line again"},
{"name": "driver-too-old", "kind": "stop", "when": [{"fact": "driver", "op": "older", "value": "{limit.driver}"}, {"fact": "asked.cpu", "op": "not", "value": "True"}], "say": "the NVIDIA driver {driver} for Windows is older than {limit.driver}, with which CUDA 12 begins", "next": "install a newer one in Windows from {limit.driver_download} (never inside WSL), or say -CpuOnly; then run this line again"},
{"name": "disk-too-small", "kind": "stop", "when": [{"fact": "drive_free", "op": "below", "value": "{limit.free_gib}"}], "say": "{drive_free} GB are free on {drive.name}, and at least {limit.free_gib} GB are needed", "next": "make room on {drive.name} (Settings, System, Storage), then run this line again"},
{"name": "not-whole", "kind": "stop", "when": [{"fact": "source.whole", "op": "not", "value": "True"}], "say": "{source.path} is not the whole of this tool", "next": "unpack the whole archive into a folder, and run the script from there"},
{"name": "on-a-network-drive", "kind": "stop", "when": [{"fact": "source.kind", "op": "is", "value": "4"}], "say": "the drive {source.drive} is on another computer, and WSL cannot read it there", "next": "copy {source.path} to a disk of this computer and run its copy"},
{"name": "not-on-this-computer", "kind": "stop", "when": [{"fact": "source.path", "op": "matches", "value": "^\\\\\\\\"}], "say": "the folder {source.path} is on another computer, and WSL cannot read it there", "next": "copy it to a disk of this computer and run its copy"},
{"name": "memory-misspelled", "kind": "stop", "when": [{"fact": "asked.memory", "op": "there", "value": ""}, {"fact": "asked.memory", "op": "not_matches", "value": "(?i)^[1-9]\\d*GB$"}], "say": "-Memory {asked.memory} is no size", "next": "write it as -Memory {memory_for_wsl}"},
{"name": "swap-misspelled", "kind": "stop", "when": [{"fact": "asked.swap", "op": "there", "value": ""}, {"fact": "asked.swap", "op": "not_matches", "value": "(?i)^\\d+GB$"}], "say": "-Swap {asked.swap} is no size", "next": "write it as -Swap {swap_for_wsl}"},
{"name": "memory-beyond-the-machine", "kind": "stop", "when": [{"fact": "asked.memory", "op": "there", "value": ""}, {"fact": "memory", "op": "there", "value": ""}, {"fact": "memory_wanted_gb", "op": "at_least", "value": "{memory}"}], "say": "-Memory {asked.memory}: this computer has {memory} GB in all, and Windows needs some of it", "next": "-Memory {memory_for_wsl} leaves Windows enough"},
{"name": "networking-unknown", "kind": "stop", "when": [{"fact": "asked.networking", "op": "there", "value": ""}, {"fact": "asked.networking", "op": "not_matches", "value": "(?i)^(mirrored|nat)$"}], "say": "-Networking {asked.networking} is not known", "next": "write -Networking mirrored or -Networking nat"},
{"name": "mirrored-too-early", "kind": "stop", "when": [{"fact": "asked.networking", "op": "matches", "value": "(?i)^mirrored$"}, {"fact": "windows.build", "op": "below", "value": "{limit.mirrored_build}"}], "say": "mirrored networking needs Windows 11 22H2 (build {limit.mirrored_build}), and this is build {windows.build}", "next": "leave -Networking away; what to do instead is printed at the end"},
{"name": "distribution-misspelled", "kind": "stop", "when": [{"fact": "asked.distribution", "op": "there", "value": ""}, {"fact": "asked.distribution", "op": "not_matches", "value": "^[A-Za-z0-9._-]+$"}], "say": "-Distribution {asked.distribution} is no name of a distribution", "next": "wsl --list --verbose names those that are here, wsl --list --online those that can be had"},
{"name": "file-missing", "kind": "stop", "when": [{"fact": "asked.file", "op": "there", "value": ""}, {"fact": "file.there", "op": "not", "value": "True"}], "say": "-DistributionFile {asked.file} is not there", "next": "give the whole path of a .wsl or .tar.gz file of Ubuntu or Debian"},
{"name": "package-missing", "kind": "stop", "when": [{"fact": "asked.package", "op": "there", "value": ""}, {"fact": "package.there", "op": "not", "value": "True"}], "say": "-WslPackage {asked.package} is not there", "next": "give the whole path of the installer of WSL, an .msi file"},
{"name": "first-version", "kind": "stop", "when": [{"fact": "registered", "op": "below", "value": "8"}], "say": "{distribution} runs in WSL 1, which has neither a Linux kernel nor the GPU", "next": "convert it (wsl --set-version {distribution} 2, which keeps its files), or name another with -Distribution; then run this line again"},
{"name": "other-family", "kind": "stop", "when": [{"fact": "registered", "op": "there", "value": ""}, {"fact": "inside.family", "op": "there", "value": ""}, {"fact": "inside.family", "op": "not_matches", "value": "\\b(ubuntu|debian)\\b"}], "say": "{distribution} is {inside.name}, and in WSL this tool knows Ubuntu and Debian", "next": "name one of those with -Distribution, for example {limit.distribution}: it is installed where it is missing"},
{"name": "does-not-start", "kind": "stop", "when": [{"fact": "inside.failed", "op": "there", "value": ""}], "say": "{distribution} does not start ({inside.failed})", "next": "restart Windows and run this line again; if it stays so, wsl --update, or another one with -Distribution"},
{"name": "no-drives-inside", "kind": "stop", "when": [{"fact": "inside.there", "op": "is", "value": "True"}, {"fact": "inside.source", "op": "missing", "value": ""}], "say": "{distribution} does not see {source.path}: automount is off in its /etc/wsl.conf, or the drive is not mounted", "next": "in {distribution}: sudo mkdir -p /mnt/drive && sudo mount -t drvfs {source.drive} /mnt/drive, or enabled=true under [automount]; then run this line again"},
{"name": "others-are-running", "kind": "stop", "when": [{"fact": "pending", "op": "is", "value": "shutdown"}, {"fact": "others_running", "op": "there", "value": ""}, {"fact": "asked.shutdown", "op": "not", "value": "True"}], "say": "WSL has to be shut down to take its new settings, and {others_running} is running in it", "next": "end what runs there and run this line again, or say -Shutdown"},
{"name": "ubuntu-too-old", "kind": "stop", "when": [{"fact": "inside.family", "op": "matches", "value": "^ubuntu"}, {"fact": "inside.release", "op": "below", "value": "{limit.ubuntu}"}], "say": "{distribution} is {inside.name}, and this tool needs Ubuntu {limit.ubuntu} or newer", "next": "name another with -Distribution, for example {limit.distribution}: it is installed beside yours, which stays as it is"},
{"name": "debian-too-old", "kind": "stop", "when": [{"fact": "inside.family", "op": "matches", "value": "^debian"}, {"fact": "inside.release", "op": "below", "value": "{limit.debian}"}], "say": "{distribution} is {inside.name}, and this tool needs Debian {limit.debian} or newer", "next": "name another with -Distribution, for example {limit.distribution}: it is installed beside yours, which stays as it is"},
{"name": "busy-at-shutdown", "kind": "stop", "when": [{"fact": "pending", "op": "is", "value": "shutdown"}, {"fact": "inside.busy", "op": "there", "value": ""}, {"fact": "asked.shutdown", "op": "not", "value": "True"}], "say": "WSL has to be shut down to take its new settings, and in {distribution} there is at work: {inside.busy}", "next": "end it and run this line again, or say -Shutdown"},
{"name": "busy-at-restart", "kind": "stop", "when": [{"fact": "inside.systemd", "op": "is", "value": "configured"}, {"fact": "started", "op": "not", "value": "True"}, {"fact": "inside.busy", "op": "there", "value": ""}, {"fact": "asked.shutdown", "op": "not", "value": "True"}], "say": "{distribution} has to be started again, so that systemd runs, and in it there is at work: {inside.busy}", "next": "end it and run this line again, or say -Shutdown"},
{"name": "running-at-update", "kind": "stop", "when": [{"fact": "others_running", "op": "there", "value": ""}, {"fact": "wsl_version", "op": "older", "value": "{limit.wsl_version}"}, {"fact": "asked.shutdown", "op": "not", "value": "True"}], "say": "WSL {wsl_version} has to be updated, which ends what runs in it: {others_running}", "next": "end what runs there and run this line again, or say -Shutdown"},
{"name": "running-at-update-for-distribution", "kind": "stop", "when": [{"fact": "registered", "op": "missing", "value": ""}, {"fact": "launcher", "op": "missing", "value": ""}, {"fact": "asked.file", "op": "missing", "value": ""}, {"fact": "others_running", "op": "there", "value": ""}, {"fact": "wsl_version", "op": "older", "value": "{limit.wsl_for_new_distributions}"}, {"fact": "wsl_version", "op": "newer_or", "value": "{limit.wsl_version}"}, {"fact": "asked.shutdown", "op": "not", "value": "True"}], "say": "WSL {wsl_version} has to be updated, which ends what runs in it: {others_running}", "next": "end what runs there and run this line again, or say -Shutdown"},
{"name": "before-22h2", "kind": "note", "when": [{"fact": "windows.build", "op": "below", "value": "{limit.windows_10}"}], "say": "{windows.name}, build {windows.build}, is older than 22H2, the last Windows 10; nobody has tried it there"},
{"name": "server", "kind": "note", "when": [{"fact": "windows.product", "op": "not", "value": "1"}], "say": "this is a Windows Server, which nobody has tried with this script"},
{"name": "arm", "kind": "note", "when": [{"fact": "machine.architecture", "op": "matches", "value": "ARM64"}], "say": "on Arm there is no CUDA in WSL: the model runs on the CPU"},
{"name": "no-gpu", "kind": "note", "when": [{"fact": "gpu.hardware", "op": "missing", "value": ""}], "say": "no NVIDIA GPU was found: the model runs on the CPU"},
{"name": "driver-kept", "kind": "note", "when": [{"fact": "driver", "op": "there", "value": ""}, {"fact": "driver", "op": "newer_or", "value": "{limit.driver_of_cuda}"}], "say": "{gpu.name} with Windows' own driver {driver}: WSL uses it, and no Linux driver is installed"},
{"name": "driver-behind", "kind": "note", "when": [{"fact": "driver", "op": "newer_or", "value": "{limit.driver}"}, {"fact": "driver", "op": "older", "value": "{limit.driver_of_cuda}"}], "say": "{gpu.name} with Windows' own driver {driver}: CUDA 12.4 runs on it; {limit.driver_of_cuda} is the one it came with"},
{"name": "driver-left-alone", "kind": "note", "when": [{"fact": "driver", "op": "older", "value": "{limit.driver}"}, {"fact": "asked.cpu", "op": "is", "value": "True"}], "say": "the NVIDIA driver {driver} is too old for CUDA 12 and left as it is: the model runs on the CPU"},
{"name": "disk-for-small-models", "kind": "note", "when": [{"fact": "drive_free", "op": "at_least", "value": "{limit.free_gib}"}, {"fact": "drive_free", "op": "below", "value": "{limit.free_gib_of_model}"}], "say": "on {drive.name} {drive_free} GB are free: AutoGLM-Phone-9B with CUDA wants {limit.free_gib_of_model} GB; smaller models fit"},
{"name": "half-of-the-memory", "kind": "note", "when": [{"fact": "memory_set", "op": "missing", "value": ""}, {"fact": "asked.memory", "op": "missing", "value": ""}, {"fact": "memory", "op": "there", "value": ""}], "say": "WSL would take half of the memory, {memory_half} of {memory} GB; it gets {memory_wanted}"},
{"name": "memory-kept", "kind": "note", "when": [{"fact": "memory_set", "op": "there", "value": ""}, {"fact": "asked.memory", "op": "missing", "value": ""}, {"fact": "given", "op": "not", "value": "True"}], "say": "WSL's memory stays at the {memory_set} that .wslconfig says; -Memory changes it"},
{"name": "memory-too-small-for-the-model", "kind": "note", "when": [{"fact": "memory_wanted_gb", "op": "below", "value": "{limit.memory_of_model}"}], "say": "AutoGLM-Phone-9B needs {limit.memory_of_model} GB of RAM in WSL while it loads onto the GPU, and WSL has {memory_wanted}: a smaller model, or one through llama.cpp, is what fits"},
{"name": "memory-enough-for-the-model", "kind": "note", "when": [{"fact": "memory_wanted_gb", "op": "at_least", "value": "{limit.memory_of_model}"}], "say": "{memory_wanted} of RAM in WSL are enough to load AutoGLM-Phone-9B ({limit.memory_of_model} GB); what it needs of the GPU, the plan says"},
{"name": "restart-windows-now", "kind": "act", "when": [{"fact": "restarted", "op": "is", "value": "False"}], "say": "restart Windows (Restart, as Shut down does not count), which its new feature asks for; this goes on after you have logged in", "do": "restart-windows"},
{"name": "enable-platform", "kind": "act", "when": [{"fact": "feature.platform", "op": "not", "value": "1"}, {"fact": "restarted", "op": "not", "value": "False"}, {"fact": "windows.build", "op": "at_least", "value": "{limit.windows_11}"}], "say": "switch on Windows' Virtual Machine Platform (Windows asks for an administrator)", "do": "enable-platform"},
{"name": "enable-platform-and-linux", "kind": "act", "when": [{"fact": "feature.platform", "op": "not", "value": "1"}, {"fact": "restarted", "op": "not", "value": "False"}, {"fact": "windows.build", "op": "below", "value": "{limit.windows_11}"}], "say": "switch on Windows' Virtual Machine Platform and its Subsystem for Linux (Windows asks for an administrator)", "do": "enable-platform-and-linux"},
{"name": "enable-linux", "kind": "act", "when": [{"fact": "feature.platform", "op": "is", "value": "1"}, {"fact": "feature.linux", "op": "not", "value": "1"}, {"fact": "restarted", "op": "not", "value": "False"}, {"fact": "windows.build", "op": "below", "value": "{limit.windows_11}"}], "say": "switch on Windows' Subsystem for Linux, which Windows 10 needs beside the platform (Windows asks for an administrator)", "do": "enable-platform-and-linux"},
{"name": "restart-windows", "kind": "act", "when": [{"fact": "feature.platform", "op": "is", "value": "1"}, {"fact": "machine.hypervisor", "op": "is", "value": "False"}, {"fact": "restarted", "op": "missing", "value": ""}], "say": "restart Windows (Restart, as Shut down does not count), so that its hypervisor runs; this goes on after you have logged in", "do": "restart-windows"},
{"name": "install-wsl-from-file", "kind": "act", "when": [{"fact": "wsl.package", "op": "missing", "value": ""}, {"fact": "asked.package", "op": "there", "value": ""}], "say": "install WSL from {asked.package} (Windows asks for an administrator)", "do": "install-wsl-from-file"},
{"name": "install-wsl", "kind": "act", "when": [{"fact": "wsl.package", "op": "missing", "value": ""}, {"fact": "asked.package", "op": "missing", "value": ""}], "say": "install WSL (Windows asks for an administrator)", "do": "install-wsl"},
{"name": "update-wsl-from-file", "kind": "act", "when": [{"fact": "wsl_version", "op": "older", "value": "{limit.wsl_version}"}, {"fact": "asked.package", "op": "there", "value": ""}], "say": "update WSL {wsl_version} from {asked.package}: systemd needs {limit.wsl_version} (Windows asks for an administrator)", "do": "install-wsl-from-file"},
{"name": "update-wsl", "kind": "act", "when": [{"fact": "wsl_version", "op": "older", "value": "{limit.wsl_version}"}, {"fact": "asked.package", "op": "missing", "value": ""}], "say": "update WSL {wsl_version}: systemd needs {limit.wsl_version}", "do": "update-wsl"},
{"name": "update-wsl-for-distribution", "kind": "act", "when": [{"fact": "registered", "op": "missing", "value": ""}, {"fact": "launcher", "op": "missing", "value": ""}, {"fact": "asked.file", "op": "missing", "value": ""}, {"fact": "wsl_version", "op": "newer_or", "value": "{limit.wsl_version}"}, {"fact": "wsl_version", "op": "older", "value": "{limit.wsl_for_new_distributions}"}], "say": "update WSL {wsl_version}: today's distributions need {limit.wsl_for_new_distributions}", "do": "update-wsl"},
{"name": "set-memory", "kind": "act", "when": [{"fact": "memory_set", "op": "missing", "value": ""}, {"fact": "memory_wanted", "op": "there", "value": ""}], "say": "give WSL {memory_wanted} of memory (.wslconfig)", "do": "set memory"},
{"name": "change-memory", "kind": "act", "when": [{"fact": "memory_set", "op": "there", "value": ""}, {"fact": "asked.memory", "op": "there", "value": ""}, {"fact": "memory_set", "op": "not", "value": "{asked.memory}"}], "say": "change WSL's memory from {memory_set} to {asked.memory} (.wslconfig)", "do": "set memory"},
{"name": "set-swap", "kind": "act", "when": [{"fact": "swap_set", "op": "missing", "value": ""}, {"fact": "swap_wanted", "op": "there", "value": ""}], "say": "give WSL {swap_wanted} of swap (.wslconfig)", "do": "set swap"},
{"name": "change-swap", "kind": "act", "when": [{"fact": "swap_set", "op": "there", "value": ""}, {"fact": "asked.swap", "op": "there", "value": ""}, {"fact": "swap_set", "op": "not", "value": "{asked.swap}"}], "say": "change WSL's swap from {swap_set} to {asked.swap} (.wslconfig)", "do": "set swap"},
{"name": "set-networking", "kind": "act", "when": [{"fact": "asked.networking", "op": "there", "value": ""}, {"fact": "networking_set", "op": "not", "value": "{asked.networking}"}], "say": "set WSL's networking to {asked.networking} (.wslconfig)", "do": "set networkingMode"},
{"name": "shutdown-wsl", "kind": "act", "when": [{"fact": "pending", "op": "is", "value": "shutdown"}], "say": "shut WSL down, so that it takes its new settings", "do": "shutdown-wsl"},
{"name": "import-distribution", "kind": "act", "when": [{"fact": "registered", "op": "missing", "value": ""}, {"fact": "asked.file", "op": "there", "value": ""}], "say": "make {distribution} from {asked.file}", "do": "import-distribution"},
{"name": "register-distribution", "kind": "act", "when": [{"fact": "registered", "op": "missing", "value": ""}, {"fact": "launcher", "op": "there", "value": ""}, {"fact": "asked.file", "op": "missing", "value": ""}], "say": "set up {distribution}, which is installed and was never started", "do": "register-distribution"},
{"name": "install-distribution", "kind": "act", "when": [{"fact": "registered", "op": "missing", "value": ""}, {"fact": "launcher", "op": "missing", "value": ""}, {"fact": "asked.file", "op": "missing", "value": ""}], "say": "install {distribution} (about 0.5 GB to download)", "do": "install-distribution"},
{"name": "prepare", "kind": "act", "when": [{"fact": "prepared", "op": "not", "value": "True"}], "say": "prepare {distribution}: this tool in its home folder, systemd, a user, the clock", "do": "prepare"},
{"name": "restart-distribution", "kind": "act", "when": [{"fact": "inside.systemd", "op": "is", "value": "configured"}, {"fact": "started", "op": "not", "value": "True"}], "say": "start {distribution} again, so that systemd runs", "do": "restart-distribution"},
{"name": "systemd-does-not-start", "kind": "note", "when": [{"fact": "inside.systemd", "op": "is", "value": "configured"}, {"fact": "started", "op": "is", "value": "True"}], "say": "systemd does not start in {distribution}, although its /etc/wsl.conf asks for it: services do not start by themselves"},
{"name": "systemd-absent", "kind": "note", "when": [{"fact": "inside.systemd", "op": "is", "value": "off"}], "say": "systemd is switched off in the /etc/wsl.conf of {distribution}, and stays so: services do not start by themselves"},
{"name": "run-asking", "kind": "act", "when": [{"fact": "ran", "op": "not", "value": "True"}, {"fact": "inside.sudo", "op": "is", "value": "password"}], "say": "in {distribution}, where sudo's password is asked for: ./bootstrap.sh up {asked.up}", "do": "run -K"},
{"name": "run", "kind": "act", "when": [{"fact": "ran", "op": "not", "value": "True"}, {"fact": "inside.sudo", "op": "not", "value": "password"}], "say": "in {distribution}: ./bootstrap.sh up {asked.up}", "do": "run"},
{"name": "it-ends-with-its-window", "kind": "end", "say": "WSL ends what runs in it soon after its last window is closed. To keep it, leave this in a window:\n  wsl -d {distribution} --exec sleep infinity"},
{"name": "reach-from-windows", "kind": "end", "say": "From this computer, a port that is served in WSL is reached as localhost:PORT."},
{"name": "reach-mirrored", "kind": "end", "when": [{"fact": "networking_set", "op": "matches", "value": "(?i)^mirrored$"}], "say": "From elsewhere: networking is mirrored, so a port served on 0.0.0.0 is one of this computer's own. Let it in, in an\nadministrator's PowerShell:\n  New-NetFirewallHyperVRule -Name wsl-PORT -DisplayName wsl-PORT -Direction Inbound -Protocol TCP -LocalPorts PORT `\n    -VMCreatorId '{40E0AC32-46A5-438A-A0B2-2B479E8F2E90}'"},
{"name": "reach-can-be-mirrored", "kind": "end", "when": [{"fact": "networking_set", "op": "not_matches", "value": "(?i)^mirrored$"}, {"fact": "windows.build", "op": "at_least", "value": "{limit.mirrored_build}"}], "say": "From elsewhere, the simple way: run this line again with -Networking mirrored; WSL then has this computer's addresses."},
{"name": "reach-by-proxy", "kind": "end", "when": [{"fact": "networking_set", "op": "not_matches", "value": "(?i)^mirrored$"}], "say": "From elsewhere, by a port proxy, in an administrator's PowerShell, again after each restart, as WSL's address changes:\n  netsh interface portproxy add v4tov4 listenport=PORT listenaddress=0.0.0.0 connectport=PORT connectaddress={inside.address}\n  New-NetFirewallRule -DisplayName wsl-PORT -Direction Inbound -Action Allow -Protocol TCP -LocalPort PORT"},
{"name": "reach-by-ssh", "kind": "end", "say": "To ssh into it: in {distribution}, on a port of its own, as Windows' own sshd has 22:\n  sudo mkdir -p /etc/ssh/sshd_config.d && echo 'Port 2222' | sudo tee /etc/ssh/sshd_config.d/wsl.conf\n  sudo apt-get install openssh-server\n  sudo systemctl daemon-reload; sudo systemctl restart ssh.socket || sudo service ssh restart\nand your public key into {inside.home}/.ssh/authorized_keys.\nWith 2222 for PORT above, another machine reaches it: provision up --host {inside.user}@ADDRESS:2222"}
]
}
'@ | ConvertFrom-Json
# <<< decisions

$Root = Split-Path -Parent $PSScriptRoot
$State = Join-Path $env:LOCALAPPDATA 'provision'
$WslConfig = Join-Path $env:USERPROFILE '.wslconfig'
$RunOnce = 'HKCU:\Software\Microsoft\Windows\CurrentVersion\RunOnce'
$Lxss = 'Software\Microsoft\Windows\CurrentVersion\Lxss'
# A 32-bit PowerShell sees another System32, without wsl.exe.
$Wsl = Join-Path $env:SystemRoot 'Sysnative\wsl.exe'
if (-not (Test-Path -Path $Wsl)) { $Wsl = Join-Path $env:SystemRoot 'System32\wsl.exe' }

$Machine = @{}
$Noted = @{}
$Begun = @{}
$Did = @{}
$Code = 0

# ---- reading the table; provisioner/windows/decide.py reads it the same way

function Expand-Text {
    param([string] $Text, [hashtable] $Facts)
    # A name may be made of a fact: {a.{b}}
    $once = [regex]::Replace($Text, '\.\{([a-z][A-Za-z0-9_.-]*)\}', { param($found) '.' + $Facts[$found.Groups[1].Value] })
    return [regex]::Replace($once, '\{([a-z][A-Za-z0-9_.-]*|\d)\}', { param($found) [string] $Facts[$found.Groups[1].Value] })
}

function Test-Condition {
    param([object] $Condition, [hashtable] $Facts)
    $value = $Facts[$Condition.fact]
    $other = Expand-Text -Text $Condition.value -Facts $Facts
    if ($Condition.op -eq 'there') { return ($null -ne $value) }
    if ($Condition.op -eq 'missing') { return ($null -eq $value) }
    if ($Condition.op -eq 'not') { return (($null -eq $value) -or ($value -ne $other)) }
    if ($Condition.op -eq 'not_matches') { return (($null -eq $value) -or (-not [regex]::IsMatch($value, $other))) }
    if ($null -eq $value) { return $false }
    if ($Condition.op -eq 'is') { return ($value -eq $other) }
    if ($Condition.op -eq 'matches') { return [regex]::IsMatch($value, $other) }
    if ($Condition.op -eq 'below') { return ([double] $value -lt [double] $other) }
    if ($Condition.op -eq 'at_least') { return ([double] $value -ge [double] $other) }
    if ($Condition.op -eq 'older') { return ([version] $value -lt [version] $other) }
    if ($Condition.op -eq 'newer_or') { return ([version] $value -ge [version] $other) }
    throw "the table has an unknown operator: $($Condition.op)"
}

function Get-Reading {
    param([object] $Reading, [hashtable] $Facts)
    if ($Reading.first) {
        foreach ($text in $Reading.first) {
            $found = Expand-Text -Text $text -Facts $Facts
            if ($found -ne '') { return $found }
        }
        return $null
    }
    $value = $Facts[(Expand-Text -Text $Reading.of -Facts $Facts)]
    if ($null -eq $value) { return $null }
    if ($Reading.divide) { return [string] [Math]::Round([double] $value / $Reading.divide) }
    if ($Reading.rows) {
        $last = $null
        foreach ($row in $Reading.rows) {
            if ([double] $value -ge $row[0]) { $last = $row[1] }
        }
        return $last
    }
    $match = [regex]::Match($value, $Reading.match)
    if (-not $match.Success) { return $null }
    $groups = @{}
    for ($at = 1; $at -lt $match.Groups.Count; $at++) { $groups["$at"] = $match.Groups[$at].Value }
    return Expand-Text -Text $Reading.gives -Facts $groups
}

function Get-Fact {
    param([hashtable] $Gathered)
    $facts = @{}
    foreach ($name in $Gathered.Keys) {
        if ([string] $Gathered[$name] -ne '') { $facts[$name] = [string] $Gathered[$name] }
    }
    foreach ($limit in $Decisions.limits) { $facts["limit.$($limit.name)"] = $limit.value }
    foreach ($reading in $Decisions.readings) {
        $value = Get-Reading -Reading $reading -Facts $facts
        if (($null -ne $value) -and ($value -ne '')) { $facts[$reading.name] = $value }
    }
    return $facts
}

function Select-Step {
    param([string] $Kind, [hashtable] $Facts)
    foreach ($step in $Decisions.steps) {
        if ($step.kind -ne $Kind) { continue }
        $holds = $true
        foreach ($condition in $step.when) {
            if (-not (Test-Condition -Condition $condition -Facts $Facts)) { $holds = $false }
        }
        if ($holds) {
            @{
                'name' = $step.name
                'act' = $step.do
                'say' = (Expand-Text -Text $step.say -Facts $Facts).Trim()
                'next' = Expand-Text -Text $step.next -Facts $Facts
            }
        }
    }
}

# ---- looking

function Invoke-Native {
    # What a program says, its exit code in $Code. PowerShell 5.1 makes errors of what is written to stderr.
    param([string] $Program, [string[]] $Arguments, [string] $Text = '')
    $ErrorActionPreference = 'Continue'
    if ($Text -ne '') { $lines = $Text | & $Program @Arguments 2>&1 }
    else { $lines = & $Program @Arguments 2>&1 }
    $script:Code = $LASTEXITCODE
    # Older wsl.exe writes UTF-16, whatever WSL_UTF8 says.
    return (@($lines | ForEach-Object { [string] $_ }) -join "`n").Replace("`0", '')
}

function Get-RegistryValue {
    param([string] $Path, [string] $Name)
    $item = Get-ItemProperty -Path $Path -Name $Name -ErrorAction SilentlyContinue
    if ($null -eq $item) { return '' }
    return [string] $item.$Name
}

function Get-Text {
    param([string] $Path)
    if (-not (Test-Path -LiteralPath $Path)) { return '' }
    return [IO.File]::ReadAllText($Path)
}

function Get-FullPath {
    # Whoever goes on after a restart, or as an administrator, stands in another folder.
    param([string] $Path)
    if (($Path -eq '') -or (-not (Test-Path -LiteralPath $Path))) { return $Path }
    return (Resolve-Path -LiteralPath $Path).ProviderPath
}

function Get-Script {
    # The shell wants line ends of its own, whatever the checkout has.
    param([string] $Name)
    return (Get-Text -Path (Join-Path $Root "scripts\wsl2\$Name")).Replace("`r`n", "`n")
}

function Get-Machine {
    # What does not change while this runs.
    $found = @{}
    $system = Get-CimInstance -ClassName Win32_OperatingSystem
    $found['windows.name'] = $system.Caption
    $found['windows.build'] = $system.BuildNumber
    $found['windows.product'] = $system.ProductType
    $found['boot'] = [long] ($system.LastBootUpTime.ToFileTimeUtc() / 10000000)
    $computer = Get-CimInstance -ClassName Win32_ComputerSystem
    $found['machine.memory'] = $computer.TotalPhysicalMemory
    $found['machine.hypervisor'] = $computer.HypervisorPresent
    $processor = Get-CimInstance -ClassName Win32_Processor | Select-Object -First 1
    $found['machine.firmware'] = $processor.VirtualizationFirmwareEnabled
    $found['machine.architecture'] = "$env:PROCESSOR_ARCHITEW6432 $env:PROCESSOR_ARCHITECTURE".Trim()
    # A card without a driver may be no video controller yet: it is known by its class, 03, of the bus.
    foreach ($device in @(Get-CimInstance -ClassName Win32_PnPEntity -Filter "PNPDeviceID LIKE 'PCI\\VEN_10DE%'")) {
        if (($device.CompatibleID -join ' ') -match 'CC_03') { $found['gpu.hardware'] = $device.PNPDeviceID }
    }
    foreach ($card in @(Get-CimInstance -ClassName Win32_VideoController)) {
        if ($card.PNPDeviceID -notmatch 'VEN_10DE') { continue }
        $found['gpu.hardware'] = $card.PNPDeviceID
        # Windows' own stand-in driver has another name, maker and version.
        if ("$($card.Name) $($card.AdapterCompatibility)" -match 'NVIDIA') {
            $found['gpu.name'] = $card.Name
            $found['gpu.driver'] = $card.DriverVersion
            break
        }
    }
    $found['drive.name'] = $env:LOCALAPPDATA.Substring(0, 2)
    $found['drive.free'] = (Get-CimInstance -ClassName Win32_LogicalDisk -Filter "DeviceID='$($found['drive.name'])'").FreeSpace
    $found['policy.wsl'] = Get-RegistryValue -Path 'HKLM:\SOFTWARE\Policies\WSL' -Name 'AllowWSL'
    $found['source.path'] = $Root
    $found['source.drive'] = $Root.Substring(0, 2)
    $found['source.kind'] = (Get-CimInstance -ClassName Win32_LogicalDisk -Filter "DeviceID='$($found['source.drive'])'").DriveType
    $parts = @('bootstrap.sh', 'scripts\wsl2\look.sh', 'scripts\wsl2\prepare.sh')
    $found['source.whole'] = @($parts | Where-Object { -not (Test-Path -LiteralPath (Join-Path $Root $_)) }).Count -eq 0
    $found['asked.distribution'] = $Distribution
    $found['asked.memory'] = $Memory
    $found['asked.swap'] = $Swap
    $found['asked.networking'] = $Networking
    $found['asked.up'] = $Up
    $found['asked.file'] = $DistributionFile
    $found['asked.package'] = $WslPackage
    $found['asked.cpu'] = [bool] $CpuOnly
    $found['asked.shutdown'] = [bool] $Shutdown
    if ($DistributionFile -ne '') { $found['file.there'] = Test-Path -LiteralPath $DistributionFile }
    if ($WslPackage -ne '') { $found['package.there'] = Test-Path -LiteralPath $WslPackage }
    return $found
}

function Get-Gathered {
    # All that the table is asked with, as it is now.
    $found = @{}
    foreach ($name in $Machine.Keys) { $found[$name] = $Machine[$name] }
    $found['feature.platform'] = (Get-CimInstance -ClassName Win32_OptionalFeature -Filter "Name='VirtualMachinePlatform'").InstallState
    $linux = 'Microsoft-Windows-Subsystem-Linux'
    $found['feature.linux'] = (Get-CimInstance -ClassName Win32_OptionalFeature -Filter "Name='$linux'").InstallState
    $before = Get-Text -Path (Join-Path $State 'restart')
    # Seconds; the moment of the start moves a little whenever the clock is set.
    if ($before -ne '') { $found['restarted'] = ([Math]::Abs([long] $before - $Machine['boot']) -gt 60) }
    $found['pending'] = Get-Text -Path (Join-Path $State 'pending')
    $found['wslconfig'] = Get-Text -Path $WslConfig
    $found['wsl.package'] = Get-RegistryValue -Path 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Lxss\MSI' -Name 'Version'
    # Before 2.0 it came as an app, whose commands are in a folder of its own.
    $app = Join-Path $env:LOCALAPPDATA 'Microsoft\WindowsApps\MicrosoftCorporationII.WindowsSubsystemForLinux_8wekyb3d8bbwe'
    if (($found['wsl.package'] -eq '') -and (Test-Path -Path $app)) { $found['wsl.package'] = 'app' }
    foreach ($name in $Did.Keys) { $found[$name] = $Did[$name] }
    # Without the package wsl.exe only offers to install itself, and waits for a key.
    if ([string] $found['wsl.package'] -eq '') { return $found }
    $found['wsl.version'] = Invoke-Native -Program $Wsl -Arguments @('--version')
    if ($Code -ne 0) { $found['wsl.version'] = [string] $found['wsl.package'] }
    Add-Distribution -Found $found
    $facts = Get-Fact -Gathered $found
    $chosen = $facts['distribution']
    foreach ($running in (Invoke-Native -Program $Wsl -Arguments @('--list', '--running', '--quiet')) -split "`n") {
        # Where none runs, a sentence says so.
        if ($found.ContainsKey("distribution.$($running.Trim()).flags") -and ($running.Trim() -ne $chosen)) {
            $found['others_running'] = "$($found['others_running']) $($running.Trim())".Trim()
        }
    }
    # Without the platform and its hypervisor nothing starts; what is done about that comes first.
    $starts = ($facts['feature.platform'] -eq '1') -and ($facts['machine.hypervisor'] -eq 'True') -and ($facts['restarted'] -ne 'False')
    if ($starts -and $facts['registered'] -and ([int] $facts['registered'] -ge 8)) { Add-Inside -Found $found -Name $chosen }
    return $found
}

function Add-Distribution {
    # The registry knows distributions in no language; the default one comes first.
    param([hashtable] $Found)
    $default = Get-RegistryValue -Path "HKCU:\$Lxss" -Name 'DefaultDistribution'
    $names = @()
    foreach ($key in @(Get-ChildItem -Path "HKCU:\$Lxss" -ErrorAction SilentlyContinue)) {
        $entry = Get-ItemProperty -Path $key.PSPath
        # 1: installed; others are on their way in or out.
        if ($entry.State -ne 1) { continue }
        $Found["distribution.$($entry.DistributionName).flags"] = $entry.Flags
        if ($key.PSChildName -eq $default) { $names = @($entry.DistributionName) + $names }
        else { $names = $names + @($entry.DistributionName) }
    }
    $Found['wsl.distributions'] = $names -join "`n"
    # What the Store installed and nobody started: Ubuntu-24.04 is ubuntu2404.exe.
    foreach ($file in @(Get-ChildItem -Path (Join-Path $env:LOCALAPPDATA 'Microsoft\WindowsApps\*.exe') -ErrorAction SilentlyContinue)) {
        if ($file.Name -match '^(ubuntu|debian)(\d\d)?(\d\d)?\.exe$') {
            $name = $Matches[1].Substring(0, 1).ToUpper() + $Matches[1].Substring(1)
            if ($Matches[3]) { $name = "$name-$($Matches[2]).$($Matches[3])" }
            $Found["launcher.$name"] = $file.FullName
        }
    }
}

function Add-Inside {
    param([hashtable] $Found, [string] $Name)
    $arguments = @('-d', $Name, '-u', 'root', '--exec', 'sh', '-s', '--', $Root.Replace('\', '/'))
    $said = Invoke-Native -Program $Wsl -Arguments $arguments -Text (Get-Script -Name 'look.sh')
    if ($Code -ne 0) {
        $Found['inside.failed'] = "exit ${Code}: $($said.Replace("`n", ' '))"
        return
    }
    foreach ($line in $said -split "`n") {
        if ($line -match '^([a-z]+)=(.*)$') { $Found["inside.$($Matches[1])"] = $Matches[2].Trim() }
    }
}

# ---- acting

function Invoke-Elevated {
    param([string] $Program, [string[]] $Arguments)
    try { $process = Start-Process -FilePath $Program -ArgumentList $Arguments -Verb RunAs -Wait -PassThru }
    catch { throw "Windows did not let $Program run as an administrator: $($_.Exception.Message); say yes when it asks" }
    # 3010: done, and Windows wants a restart.
    # An exit code that Windows keeps from us is no failure: what is there is looked at next.
    $ended = [int] $process.ExitCode
    if (($ended -ne 0) -and ($ended -ne 3010)) {
        throw "$Program $($Arguments -join ' ') failed (exit $ended); run it in an administrator's PowerShell to see why, or give -WebDownload or -WslPackage"
    }
}

function Enable-Feature {
    # Both in one call where there are two: Windows asks for an administrator once.
    param([string[]] $Names)
    $options = @('/online', '/enable-feature') + @($Names | ForEach-Object { "/featurename:$_" }) + @('/all', '/norestart')
    # Written first: dism goes on where this window is closed meanwhile.
    Save-State -Name 'restart' -Text ([string] $Machine['boot'])
    try { Invoke-Elevated -Program 'dism.exe' -Arguments $options }
    catch {
        Remove-State -Name 'restart'
        throw
    }
}

function Invoke-Shown {
    # A program that speaks to the person in front of the screen.
    param([string] $Program, [string[]] $Arguments)
    $ErrorActionPreference = 'Continue'
    & $Program @Arguments
    $script:Code = $LASTEXITCODE
}

function Assert-Success {
    param([string] $What)
    if ($Code -ne 0) { throw "$What failed (exit $Code); what it said is above" }
}

function Save-State {
    param([string] $Name, [string] $Text)
    if (-not (Test-Path -Path $State)) { $null = New-Item -ItemType Directory -Path $State }
    [IO.File]::WriteAllText((Join-Path $State $Name), $Text)
}

function Remove-State {
    param([string] $Name)
    Remove-Item -Path (Join-Path $State $Name) -ErrorAction SilentlyContinue
}

function Get-Line {
    # This call once more, with what it was given.
    $line = "powershell.exe -NoExit -ExecutionPolicy Bypass -File `"$PSCommandPath`""
    foreach ($name in $Given.Keys) {
        $value = $Given[$name]
        if (($name -eq 'WhatIf') -or ($name -eq 'Confirm') -or ($name -eq 'Verbose')) { continue }
        if ($value -is [string]) { $line = "$line -$name `"$value`"" }
        elseif ($value) { $line = "$line -$name" }
    }
    return $line
}

function Register-Resume {
    # RunOnce takes 260 characters, so it is given the name of a file.
    $file = Join-Path $State 'resume.cmd'
    Save-State -Name 'resume.cmd' -Text "@echo off`r`nchcp 65001 >nul`r`n$(Get-Line)`r`n"
    if (-not (Test-Path -Path $RunOnce)) { $null = New-Item -Path $RunOnce }
    Set-ItemProperty -Path $RunOnce -Name 'provision' -Value "cmd.exe /c start `"provision`" `"$file`""
}

function Set-WslConfig {
    param([string] $Key, [string] $Value)
    $text = Get-Text -Path $WslConfig
    $before = "$WslConfig.before-provision"
    # Empty where there was none: the next change must not take ours for yours.
    if (-not (Test-Path -Path $before)) { [IO.File]::WriteAllText($before, $text) }
    # Written first: after an interruption WSL is rather shut down once too often.
    Save-State -Name 'pending' -Text 'shutdown'
    $end = "`r`n"
    if (($text -ne '') -and (-not $text.Contains($end))) { $end = "`n" }
    $there = "(?im)^[ \t]*$Key[ \t]*=[^\r\n]*"
    $section = '(?im)^([ \t]*\[wsl2\][^\r\n]*)'
    if ([regex]::IsMatch($text, $there)) { $text = [regex]::Replace($text, $there, "$Key=$Value") }
    elseif ([regex]::IsMatch($text, $section)) { $text = [regex]::Replace($text, $section, "`$1$end$Key=$Value") }
    else { $text = "$($text.TrimEnd())$end$end[wsl2]$end$Key=$Value$end".TrimStart() }
    [IO.File]::WriteAllText($WslConfig, $text)
}

function Invoke-Preparation {
    param([hashtable] $Facts)
    $now = [DateTimeOffset]::UtcNow.ToUnixTimeSeconds()
    $arguments = @('-d', $Facts['distribution'], '-u', 'root', '--exec', 'sh', '-s', '--')
    # Windows' own name of the folder: what a program inside said of it may have lost its umlauts on the way.
    $arguments = $arguments + @($Root.Replace('\', '/'), $env:USERNAME, "$now")
    $said = Invoke-Native -Program $Wsl -Arguments $arguments -Text (Get-Script -Name 'prepare.sh')
    foreach ($line in $said -split "`n") {
        if ($line -notmatch '^user=') { Write-Host "    $line" }
    }
    if ($Code -ne 0) { throw "$($Facts['distribution']) could not be prepared (exit $Code); the last line above says why" }
    $Did['prepared'] = $true
}

function Invoke-Up {
    param([hashtable] $Facts, [string[]] $Options)
    $words = @($Up -split '\s+' | Where-Object { $_ -ne '' })
    # Whoever writes dashes writes all of them.
    if ($Up -notmatch '(^|\s)-') { $words = @($words | ForEach-Object { "--$_" }) }
    # A bare ~ would become Windows' home in PowerShell 7.6, although it stands in an array.
    $arguments = @('-d', $Facts['distribution'], '-u', $Facts['inside.user'], '--cd', $Facts['inside.home'], '--exec')
    $arguments = $arguments + @('bash', 'provision/bootstrap.sh', 'up') + $Options + $words
    Invoke-Shown -Program $Wsl -Arguments $arguments
    $Did['ran'] = $true
}

function Invoke-Act {
    param([string] $Act, [hashtable] $Facts)
    $name = $Facts['distribution']
    $web = @()
    if ($WebDownload) { $web = @('--web-download') }
    switch ($Act) {
        'enable-platform' { Enable-Feature -Names @('VirtualMachinePlatform') }
        'enable-platform-and-linux' { Enable-Feature -Names @('VirtualMachinePlatform', 'Microsoft-Windows-Subsystem-Linux') }
        'restart-windows' {
            Save-State -Name 'restart' -Text ([string] $Machine['boot'])
            Register-Resume
            if ($Restart) { Restart-Computer }
            else { Write-Host 'Restart Windows when it suits you; this goes on after you have logged in.' }
            $Did['left'] = 3010
        }
        'install-wsl' { Invoke-Elevated -Program $Wsl -Arguments (@('--install', '--no-distribution') + $web) }
        'install-wsl-from-file' { Invoke-Elevated -Program 'msiexec.exe' -Arguments @('/i', "`"$WslPackage`"", '/passive') }
        'update-wsl' {
            Invoke-Shown -Program $Wsl -Arguments (@('--update') + $web)
            Assert-Success -What 'wsl --update'
        }
        'set memory' {
            Set-WslConfig -Key 'memory' -Value $Facts['memory_wanted']
            $Did['given'] = $true
        }
        'set swap' { Set-WslConfig -Key 'swap' -Value $Facts['swap_wanted'] }
        'set networkingMode' { Set-WslConfig -Key 'networkingMode' -Value $Networking }
        'shutdown-wsl' {
            Invoke-Shown -Program $Wsl -Arguments @('--shutdown')
            Assert-Success -What 'wsl --shutdown'
            Remove-State -Name 'pending'
        }
        'import-distribution' {
            $folder = Join-Path $env:LOCALAPPDATA "wsl\$name"
            if (-not (Test-Path -Path $folder)) { $null = New-Item -ItemType Directory -Path $folder }
            Invoke-Shown -Program $Wsl -Arguments @('--import', $name, $folder, $DistributionFile, '--version', '2')
            Assert-Success -What 'wsl --import'
        }
        'register-distribution' {
            Invoke-Shown -Program $Facts['launcher'] -Arguments @('install', '--root')
            Assert-Success -What "$($Facts['launcher']) install --root"
        }
        'install-distribution' {
            Invoke-Shown -Program $Wsl -Arguments (@('--install', '-d', $name, '--no-launch') + $web)
            Assert-Success -What "wsl --install -d $name"
        }
        'prepare' { Invoke-Preparation -Facts $Facts }
        'restart-distribution' {
            Invoke-Shown -Program $Wsl -Arguments @('--terminate', $name)
            Assert-Success -What "wsl --terminate $name"
            $Did['started'] = $true
        }
        'run' { Invoke-Up -Facts $Facts -Options @() }
        'run -K' { Invoke-Up -Facts $Facts -Options @('-K') }
        default { throw "the table has an unknown act: $Act" }
    }
}

# ---- the loop: look, say, do one thing, look again

function Invoke-Bootstrap {
    # The exit code is in $Did['left'].
    while ($null -eq $Did['left']) {
        $facts = Get-Fact -Gathered (Get-Gathered)
        $stops = @(Select-Step -Kind 'stop' -Facts $facts)
        foreach ($stop in $stops) {
            Write-Host "Impossible: $($stop.say)."
            Write-Host "  next: $($stop.next)"
        }
        if ($stops.Count -gt 0) { $Did['left'] = 1; return }
        foreach ($note in @(Select-Step -Kind 'note' -Facts $facts)) {
            if (-not $Noted.ContainsKey($note.say)) { Write-Host "  $($note.say)." }
            $Noted[$note.say] = $true
        }
        $acts = @(Select-Step -Kind 'act' -Facts $facts)
        if ($WhatIfPreference) {
            # Nothing was done, so nothing can be looked at again: all that is to do as it looks now.
            foreach ($act in $acts) { $null = $Caller.ShouldProcess($facts['distribution'], $act.say) }
            $Did['left'] = 0
            return
        }
        if ($acts.Count -eq 0) { throw 'the table knows nothing to do here' }
        $act = $acts[0]
        if (-not $Caller.ShouldProcess($facts['distribution'], $act.say)) { $Did['left'] = 1; return }
        $Begun[$act.name] = 1 + $Begun[$act.name]
        if ($Begun[$act.name] -gt 2) { throw "twice was done: $($act.say); and Windows looks as before. Restart Windows, which some changes wait for" }
        Write-Host "==> $($act.say)"
        Invoke-Act -Act $act.act -Facts $facts
        if ($Did['ran']) {
            $Did['left'] = $Code
            if ($Code -eq 0) { Complete-Bootstrap -Facts $facts }
        }
    }
}

function Complete-Bootstrap {
    param([hashtable] $Facts)
    Remove-State -Name 'restart'
    Remove-State -Name 'resume.cmd'
    Remove-ItemProperty -Path $RunOnce -Name 'provision' -ErrorAction SilentlyContinue
    Write-Host ''
    foreach ($end in @(Select-Step -Kind 'end' -Facts $Facts)) { Write-Host $end.say }
}

$DistributionFile = Get-FullPath -Path $DistributionFile
$WslPackage = Get-FullPath -Path $WslPackage
$Given = $PSBoundParameters
if ($DistributionFile -ne '') { $Given['DistributionFile'] = $DistributionFile }
if ($WslPackage -ne '') { $Given['WslPackage'] = $WslPackage }
$Caller = $PSCmdlet
$Logging = $false
$Encodings = @()
try {
    # Linux speaks UTF-8, and so do umlauts in its folders; a window that is no console keeps what it has.
    try {
        $Encodings = @([Console]::InputEncoding, [Console]::OutputEncoding)
        [Console]::InputEncoding = [Text.UTF8Encoding]::new($false)
        [Console]::OutputEncoding = [Text.UTF8Encoding]::new($false)
    }
    catch { $Encodings = @() }
    if (-not $WhatIfPreference) {
        Save-State -Name 'began' -Text ''
        $null = Start-Transcript -Path (Join-Path $State 'bootstrap-wsl2.log') -Append
        $Logging = $true
    }
    $Machine = Get-Machine
    Invoke-Bootstrap
}
catch {
    Write-Host "Failed: $($_.Exception.Message)."
    Write-Host '  next: run the same line again; it goes on where it stopped'
    $Did['left'] = 1
}
finally {
    if ($Encodings.Count -eq 2) {
        [Console]::InputEncoding = $Encodings[0]
        [Console]::OutputEncoding = $Encodings[1]
    }
    if ($Logging) {
        Write-Host "The log: $(Join-Path $State 'bootstrap-wsl2.log')"
        $null = Stop-Transcript
    }
}
exit $Did['left']
