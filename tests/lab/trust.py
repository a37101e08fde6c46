"""What this host was configured with beyond a stock system: its own CA certificates and wheel folder.

Neither is ever put into a machine silently: tests hand them to the product through its own options.
"""

from __future__ import annotations

import base64
import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from . import cache
from .process import run

BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
PACKAGED = Path("/usr/share/ca-certificates")

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)


def certificates(text: str) -> dict[bytes, str]:
    """The PEM certificates in `text`, by their DER bytes, in order; text around them is dropped."""
    return {base64.b64decode("".join(match[1].split())): f"{match[0]}\n" for match in _PEM.finditer(text)}


def added_certificates(bundle: str, packaged: Iterable[str]) -> str:
    """PEM text of the certificates in `bundle` that are in none of `packaged`; empty when there are none."""
    known: set[bytes] = set()
    for text in packaged:
        known.update(certificates(text))
    return "".join(pem for der, pem in certificates(bundle).items() if der not in known)


def extra_ca_certificates(bundle: Path = BUNDLE, packaged: Path = PACKAGED) -> Path | None:
    """A PEM file with exactly the certificates that this host's administrator added, or None."""
    if not bundle.is_file():
        return None
    stock = (path.read_text(errors="replace") for path in sorted(packaged.rglob("*.crt")))
    extra = added_certificates(bundle.read_text(errors="replace"), stock)
    if not extra:
        return None
    # Written aside and renamed: another run may be reading the file.
    target = cache.folder() / "extra-ca.pem"
    draft = target.with_suffix(f".{os.getpid()}")
    draft.write_text(extra)
    return draft.replace(target)


def first_local_folder(find_links: str) -> Path | None:
    """The first folder of this machine named in a pip `find-links` value."""
    for word in find_links.split():
        url = urlsplit(word)
        path = Path(unquote(url.path)) if url.scheme == "file" else Path(word).expanduser()
        if path.is_dir():
            return path
    return None


def wheel_folder(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The folder of wheels that pip is configured with here ($PIP_FIND_LINKS, then its files), or None."""
    if environ.get("PIP_FIND_LINKS"):
        return first_local_folder(environ["PIP_FIND_LINKS"])
    for section in ("global", "install"):
        answer = run([sys.executable, "-m", "pip", "config", "get", f"{section}.find-links"], check=False)
        if answer.returncode == 0 and (path := first_local_folder(answer.stdout)):
            return path
    return None
