"""What the giver and the takers of a share both know: a key that never travels, and what is made of it.

The key comes to each side over its own SSH connection. What travels in the clear between them is `reader`,
which lets read, and `proof`, which only a holder of the key can make: who listens may copy the weights, but
cannot pass other ones off as them, because the listing with every digest in it is proved.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Optional

HELLO, LISTING, FILES = "/hello", "/listing", "/files/"
PROOF = "X-Provision-Proof"

_NONCE = re.compile(r"[0-9a-f]{32,64}$")


def reader(key: str) -> str:
    """The value of the header `Authorization` that lets read."""
    return f"Bearer {_mac(key, b'read')}"


def proof(key: str, nonce: str, body: bytes) -> str:
    """Shows that whoever sent `body` in answer to `nonce` holds the key."""
    return _mac(key, b"proof\0" + nonce.encode() + b"\0" + body)


def same(one: Optional[str], other: str) -> bool:
    """Whether two secrets are equal, in a time that does not tell how much of them is."""
    return hmac.compare_digest((one or "").encode("utf-8", "replace"), other.encode())


def is_nonce(text: str) -> bool:
    """Whether a taker's question is one."""
    return _NONCE.match(text) is not None


def _mac(key: str, message: bytes) -> str:
    return hmac.new(key.encode(), message, hashlib.sha256).hexdigest()
