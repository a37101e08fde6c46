"""Images of fresh machines: a recipe, its key, and the build.

No image is pulled: mmdebstrap makes each from the Debian mirror that this host's apt is configured with.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from . import cache
from .process import LabError, run

REPOSITORY = "provision-lab"
RELEASES = ("bookworm", "trixie")

# What a minimal server has and a bootstrap leaves out. libpam-systemd makes logins real sessions, with
# /run/user and linger, as on every installed Debian.
ESSENTIAL = ("systemd", "systemd-sysv", "dbus", "libpam-systemd", "openssh-server", "iproute2", "netbase")
OPTIONAL = ("python3", "sudo", "ca-certificates", "kmod", "procps")

# As the Debian installer leaves it: whoever wants contrib or non-free has to add them.
COMPONENTS = ("main", "non-free-firmware")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


class Source(NamedTuple):
    """One apt source: `uri` serving `suite`."""

    uri: str
    suite: str


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides what is in an image."""

    release: str
    packages: tuple[str, ...]
    sources: tuple[Source, ...] = ()
    components: tuple[str, ...] = COMPONENTS
    hooks: tuple[str, ...] = (
        # Host keys and the machine id are each machine's own.
        'rm -f "$1"/etc/ssh/ssh_host_*',
        ': > "$1"/etc/machine-id',
        # A fresh cloud server has no package lists, and no container's apt settings.
        'rm -rf "$1"/var/lib/apt/lists/*',
        'rm -f "$1"/etc/apt/apt.conf.d/docker-clean "$1"/.dockerenv',
    )

    @property
    def key(self) -> str:
        """A short digest of the recipe: two recipes share an image exactly when they share it."""
        text = json.dumps([asdict(self), self.sources_file], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def tag(self) -> str:
        return f"{REPOSITORY}:{self.release}-{self.key}"

    @property
    def source_lines(self) -> list[str]:
        """The sources in apt's one-line form."""
        return [f"deb {uri} {suite} {' '.join(self.components)}" for uri, suite in self.sources]

    @property
    def sources_file(self) -> tuple[str, str]:
        """Path and text of the apt sources, in the form the release's own installations use."""
        if self.release == "bookworm":
            return "/etc/apt/sources.list", "".join(f"{line}\n" for line in self.source_lines)
        stanzas = [
            f"Types: deb\nURIs: {uri}\nSuites: {' '.join(s.suite for s in self.sources if s.uri == uri)}\n"
            f"Components: {' '.join(self.components)}\nSigned-By: {KEYRING}\n"
            for uri in dict.fromkeys(source.uri for source in self.sources)
        ]
        return "/etc/apt/sources.list.d/debian.sources", "\n".join(stanzas)


def mirrors(index_targets: str) -> tuple[str | None, str | None]:
    """The Debian archive and its security archive named in apt's index targets (`URI RELEASE COMPONENT`
    lines), or None where apt has none. Third parties use Debian's release names too, so the path decides."""
    archive: str | None = None
    security: str | None = None
    for line in index_targets.splitlines():
        uri, release, component = line.split()[:3]
        last = urlsplit(uri).path.rstrip("/").rpartition("/")[2]
        if component != "main":
            continue
        if last == "debian" and not release.endswith("-security"):
            archive = archive or uri.rstrip("/")
        if last == "debian-security" and release.endswith("-security"):
            security = security or uri.rstrip("/")
    return archive, security


def configured_mirrors() -> tuple[str | None, str | None]:
    """The mirrors of this host's apt; $PROVISION_LAB_MIRROR overrides the first (no Debian host)."""
    shape = "$(REPO_URI) $(RELEASE) $(COMPONENT)"
    text = run(["apt-get", "indextargets", "--format", shape, "Created-By: Packages"]).stdout
    archive, security = mirrors(text)
    return os.environ.get("PROVISION_LAB_MIRROR") or archive, security


def recipe(release: str, without: Iterable[str], archive: str | None, security: str | None) -> Recipe:
    """The recipe of a fresh `release` lacking the packages `without`; with no archive mmdebstrap decides."""
    if release not in RELEASES:
        raise LabError(f"no such release: {release}", f"one of: {', '.join(RELEASES)}")
    left_out = set(without)
    if unknown := sorted(left_out - set(OPTIONAL)):
        raise LabError(f"cannot leave out {', '.join(unknown)}", f"one of: {', '.join(OPTIONAL)}")
    sources: list[Source] = []
    if archive:
        sources = [Source(archive, release), Source(archive, f"{release}-updates")]
        if security:
            sources.append(Source(security, f"{release}-security"))
    packages = (*ESSENTIAL, *(name for name in OPTIONAL if name not in left_out))
    return Recipe(release, packages, tuple(sources))


def has(tag: str) -> bool:
    """Does Docker have this image?"""
    return run(["docker", "image", "inspect", "--format", "ok", tag], check=False).returncode == 0


def ensure(wanted: Recipe, *, rebuild: bool = False) -> str:
    """Build the image when it is not there (half a minute), and answer its tag.

    The tar in the cache folder outlives Docker's storage, so a CI cache of that folder saves the build."""
    if not rebuild and has(wanted.tag):
        return wanted.tag
    with cache.lock(f"image-{wanted.key}"):
        tar = cache.folder("images") / f"{wanted.release}-{wanted.key}.tar"
        if rebuild:
            tar.unlink(missing_ok=True)
        elif has(wanted.tag):  # built by another run while this one waited
            return wanted.tag
        if not tar.is_file():
            bootstrap(wanted, tar)
        run(["docker", "import", "--change", 'CMD ["/sbin/init"]', str(tar), wanted.tag], timeout=300)
    return wanted.tag


def bootstrap(wanted: Recipe, tar: Path) -> None:
    """Make the root file system of a recipe, as a tar."""
    with tempfile.TemporaryDirectory() as scratch:
        hooks = list(wanted.hooks)
        if wanted.sources:
            path, text = wanted.sources_file
            local = Path(scratch, "sources")
            local.write_text(text)
            hooks += [
                'rm -rf "$1"/etc/apt/sources.list "$1"/etc/apt/sources.list.d/*',
                f"upload {local} {path}",
            ]
        draft = tar.with_suffix(f".{os.getpid()}.tar")
        command = ["mmdebstrap", "--quiet", "--format=tar", "--variant=minbase"]
        command += [f"--components={','.join(wanted.components)}", f"--include={','.join(wanted.packages)}"]
        command += [f"--customize-hook={hook}" for hook in hooks]
        if KEYRING.is_file():
            command.append(f"--keyring={KEYRING}")
        command += [wanted.release, str(draft), *wanted.source_lines]
        try:
            run(command, timeout=900)
            draft.replace(tar)
        finally:
            draft.unlink(missing_ok=True)
