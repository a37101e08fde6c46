"""How the network sounds to a machine whose clock is behind, as WSL's is after a sleep: what helps."""

from __future__ import annotations

import re

MEANS = "this machine's clock is behind"
HINT = "set its clock right (`date` shows it; in WSL `sudo hwclock -s`, or wsl --shutdown), and run again"
# apt of a list ("not valid yet", and of certificates "not yet valid"), OpenSSL, and rustls, which uv uses.
_WORDS = re.compile(r"not valid yet|not yet valid|NotValidYet", re.IGNORECASE)


def behind(text: str) -> bool:
    """Whether somebody refused what begins in the future of this machine."""
    return _WORDS.search(text) is not None
