"""NVIDIA's repository of EL 9 and what of EL's own goes with it, emulated, and a Debian machine that presents
itself as Rocky Linux 9.4: dnf and rpm are real, the packages are stubs.
"""

from __future__ import annotations

import base64
import io
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import msgspec
import yaml

from provisioner.compat.repositories import repository_for
from tests.lab import Machine
from tests.lab.nvidia import stubs
from tests.lab.nvidia.repository import Emulated
from tests.lab.nvidia.rpm import Rpm, spec
from tests.lab.nvidia.signing import SigningKey

NAME = "el9"
BASE = "/archive/el9/"
KEY = "D42D0685.pub"
BASE_KEY = "/etc/pki/rpm-gpg/RPM-GPG-KEY-emulated-base"
TOOLS = ("dnf", "dnf-plugins-core", "rpm", "createrepo-c", "gnupg")
# What an installed EL has that the machine has by Debian's packages.
THERE = ("rocky-release", "bash", "python3", "ca-certificates", "gcc-c++", "make")
_LAYOUT = "/compute/cuda/repos/"
# What is called otherwise as an rpm, or is none of NVIDIA's there.
_NAMES = ((r"\bbuild-essential\b", "gcc-c++"), (r"-dev(?=-12-4)", "-devel"), (r"\blibtinfo5\b", ""))
_ALTERNATIVES = (
    "update-alternatives --install /usr/local/cuda cuda /usr/local/cuda-12.4 124\n"
    "update-alternatives --install /usr/local/cuda-12 cuda-12 /usr/local/cuda-12.4 124"
)
_NO_ALTERNATIVES = (
    "update-alternatives --remove cuda /usr/local/cuda-12.4\n"
    "update-alternatives --remove cuda-12 /usr/local/cuda-12.4"
)
_UNIT = b"[Service]\nExecStart=/bin/true\nRemainAfterExit=yes\n[Install]\nWantedBy=multi-user.target\n"
_OS = (
    'NAME="Rocky Linux"\nVERSION="9.4 (Blue Onyx)"\nID="rocky"\nID_LIKE="rhel centos fedora"\n'
    'VERSION_ID="9.4"\nPLATFORM_ID="platform:el9"\nPRETTY_NAME="Rocky Linux 9.4 (Blue Onyx)"\n'
)
_REPO = """\
[emulated-base]
name=emulated base
baseurl={url}
enabled=1
gpgcheck=1
gpgkey=file://{key}
"""
_BUILD = """\
cd /root
gpg --batch --quiet --import emulated.key
for spec in specs/*.spec; do
  rpmbuild -bb --quiet --target x86_64 --define '_topdir /root/built' "$spec" >/root/built.log 2>&1 ||
    { tail /root/built.log >&2; exit 1; }
done
rpmsign --addsign --define "_gpg_name $1" --define '__gpg /usr/bin/gpg' built/RPMS/x86_64/*.rpm >/dev/null
mkdir -p base nvidia
while read -r file; do mv "built/RPMS/x86_64/$file" base/; done < base.list
mv built/RPMS/x86_64/*.rpm nvidia/
for folder in base nvidia; do createrepo_c --quiet --no-database --simple-md-filenames $folder; done
modifyrepo_c --mdtype=modules modules.yaml nvidia/repodata >/dev/null
tar -c base nvidia | base64 -w0
rm -rf built built.log specs base base.list nvidia modules.yaml emulated.key .gnupg .rpmdb
"""
# rpm's database is where EL has it, and dpkg and apt are out of sight.
_PRESENT = """\
mkdir -p /etc/rpm /etc/yum.repos.d /etc/pki/rpm-gpg /var/lib/rpm /opt/emulated
printf '%%_dbpath /var/lib/rpm\\n%%_db_backend sqlite\\n' > /etc/rpm/macros
for name in apt apt-get apt-cache apt-mark apt-key dpkg dpkg-query dpkg-deb update-ca-certificates; do
  for folder in /usr/bin /usr/sbin; do [ ! -e $folder/$name ] || mv $folder/$name /opt/emulated/; done
done
mv /var/lib/dpkg/status /opt/emulated/status
rm -rf /etc/apt /var/cache/dnf
# Of the plugins the one that keeps packages, by which EL holds them too.
find /usr/lib/python3/dist-packages/dnf-plugins -name '*.py' ! -name versionlock.py -delete
"""


class RpmSet(stubs.StubSet, frozen=True):
    """`streams`: module streams by what follows the branch, with the packages of the default profile.
    `provides`: what a package is asked for by another name.
    """

    streams: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    provides: dict[str, str] = msgspec.field(default_factory=dict)


@cache
def sets() -> Mapping[str, RpmSet]:
    """Every set that only EL has, by its name."""
    text = (Path(__file__).parent / "data/rpms.yml").read_text("utf-8")
    return msgspec.convert(yaml.safe_load(text), dict[str, RpmSet])


def toolkit() -> list[Rpm]:
    """CUDA 12.4 by the names that it has as rpms."""
    return [
        _changed(one.name, one.version, one.fields.get("Depends", ""), one.files)
        for one in stubs.packages(stubs.systems()["ubuntu22.04"], ("toolkit-12.4",))
    ]


def of_set(name: str, branch: int = 0) -> list[Rpm]:
    """The packages of a set, of one branch where it has several."""
    found = sets()[name]
    known = {"b": branch, "v": found.each.get(branch, "")}
    listed = {**found.packages, **dict.fromkeys(found.plain.split(), ("", ""))}
    return [
        replace(
            _changed(own, (version or found.version).format_map(known), needs.format_map(known), {}),
            provides=found.provides.get(own, ""),
        )
        for own, (version, needs) in listed.items()
    ]


def modules() -> str:
    """The metadata of the module streams."""
    found = sets()["el9-driver"]
    return "---\n".join(
        yaml.safe_dump(
            {
                "document": "modulemd",
                "version": 2,
                "data": {
                    "name": "nvidia-driver",
                    "stream": f"{branch}-{kind}",
                    "version": 20261001000000,
                    "context": f"{branch:08x}",
                    "arch": "x86_64",
                    "summary": "emulated",
                    "description": "emulated",
                    "license": {"module": ["none"]},
                    "profiles": {"default": {"rpms": list(profile)}},
                    "artifacts": {"rpms": [one.nevra for one in of_set("el9-driver", branch)]},
                },
            }
        )
        for branch in found.each
        for kind, profile in found.streams.items()
    )


def emulate(machine: Machine, key: SigningKey) -> Emulated:
    """The repositories, built in a machine that is a Debian still; signed by the key, the index too."""
    machine.run("apt-get", "update", "--quiet")
    machine.run("apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *TOOLS)
    base = of_set("el9-base")
    branches = {f"el9-driver-{branch}": of_set("el9-driver", branch) for branch in sets()["el9-driver"].each}
    specs = {"toolkit": toolkit(), "el9-base": base, "el9-traps": of_set("el9-traps"), **branches}
    sent = {"modules.yaml": "---\n" + modules(), "base.list": "".join(f"{one.file}\n" for one in base)}
    sent |= {f"specs/{name}.spec": spec(f"emulated-{name}", packages) for name, packages in specs.items()}
    content = {name: text.encode() for name, text in sent.items()}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path, data in {**content, "emulated.key": key.secret}.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(data), 0o600
            tar.addfile(entry, io.BytesIO(data))
    machine.run("tar", "-C", "/root", "-xf", "-", input=packed.getvalue())
    built = base64.b64decode(machine.run("sh", "-ec", _BUILD, "build", key.fingerprint).stdout)
    known = repository_for(NAME, "x86_64")
    assert known is not None
    folders = {"base": BASE, "nvidia": _LAYOUT + known["nvidia_repository_url"].partition(_LAYOUT)[2]}
    found = Emulated(key, variables={NAME: {**known, "nvidia_repository_fingerprint": key.fingerprint}})
    for name, data in _members(built):
        folder, _, path = name.partition("/")
        found.files[folders[folder] + path] = data
    for folder in folders.values():
        index = f"{folder}repodata/repomd.xml"
        found.files[f"{index}.asc"] = key.detached(found.files[index])
    found.files[folders["nvidia"] + KEY] = key.armoured
    return found


def present(machine: Machine, base: str, key: SigningKey) -> None:
    """Have the machine look like EL 9 from now on; `base` is the server's address as it reaches it."""
    machine.run("sh", "-ec", _PRESENT)
    for path, text in (
        ("/etc/os-release", _OS),
        ("/etc/yum.repos.d/emulated-base.repo", _REPO.format(url=base + BASE, key=BASE_KEY)),
        (BASE_KEY, key.armoured.decode()),
    ):
        machine.run("sh", "-ec", 'rm -f "$1"; cat > "$1"; chmod 644 "$1"', "-", path, input=text)
    machine.run("dnf", "-y", "-q", "install", *THERE)


def _changed(name: str, version: str, needs: str, files: Mapping[str, bytes]) -> Rpm:
    for pattern, instead in _NAMES:
        name, needs = re.sub(pattern, instead, name), re.sub(pattern, instead, needs)
    if name == "nvidia-persistenced":
        files = {"/usr/lib/systemd/system/nvidia-persistenced.service": _UNIT}
    own = {path: content.decode() for path, content in files.items() if not path.endswith("/copyright")}
    common = name == "cuda-toolkit-12-4-config-common"
    return Rpm(
        name,
        version,
        # "(>= 1)" of apt is ">= 1" of rpm.
        tuple(re.sub("[()]", "", one).strip() for one in needs.split(",") if one.strip()),
        files={f"/usr/share/doc/{name}/emulated": "emulated", **own},
        post=_ALTERNATIVES if common else "",
        preun=_NO_ALTERNATIVES if common else "",
    )


def _members(packed: bytes) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isfile() else None
            if file is not None:
                yield member.name, file.read()
