"""Keys that live as long as a test, made and used by gpg in a folder of their own."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

_OWNER = "Emulated NVIDIA <emulated@example.invalid>"


@dataclass(frozen=True)
class SigningKey:
    """A key in gpg's folder `home`."""

    home: Path
    fingerprint: str

    @classmethod
    def make(cls, home: Path, *, weak: bool = False) -> SigningKey:
        """A new one; a weak one is bound to its owner's name by SHA-1, as NVIDIA's of 2022 is."""
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        binding = ["--allow-weak-digest-algos", "--cert-digest-algo", "SHA1"] if weak else []
        _gpg(home, *binding, "--quick-generate-key", _OWNER, "rsa2048", "sign", "never")
        listed = _gpg(home, "--list-keys", "--with-colons").decode().splitlines()
        return cls(home, next(line.split(":")[9] for line in listed if line.startswith("fpr:")))

    @property
    def public(self) -> bytes:
        """The public key, unarmoured."""
        return _gpg(self.home, "--export", self.fingerprint)

    @property
    def armoured(self) -> bytes:
        """The public key in ASCII armour."""
        return _gpg(self.home, "--armor", "--export", self.fingerprint)

    @property
    def secret(self) -> bytes:
        """The key itself, for a machine that signs with it."""
        return _gpg(self.home, "--armor", "--export-secret-keys", self.fingerprint)

    def clearsign(self, text: bytes) -> bytes:
        """The text with its signature around it, as InRelease has it."""
        return _gpg(self.home, "--digest-algo", "SHA512", "--clearsign", text=text)

    def detached(self, data: bytes) -> bytes:
        """An armoured signature that lies beside what it signs, as repomd.xml.asc does."""
        return _gpg(self.home, "--digest-algo", "SHA512", "--armor", "--detach-sign", text=data)

    def close(self) -> None:
        """End gpg's agent, which would outlive the test."""
        subprocess.run(["gpgconf", "--homedir", str(self.home), "--kill", "all"], check=False, timeout=120)


def _gpg(home: Path, *argv: str, text: bytes = b"") -> bytes:
    command = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--yes", "--pinentry-mode", "loopback"]
    done = subprocess.run(
        [*command, "--passphrase", "", *argv], input=text, capture_output=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout
