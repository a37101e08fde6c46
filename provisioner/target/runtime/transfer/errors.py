"""How a transfer fails; what the disk refuses stays an OSError."""

from __future__ import annotations

from typing import Optional
from urllib.parse import urlsplit


class BadFile(Exception):  # noqa: N818  (an outcome that is met by fetching once more)
    """A file that came, but is not what was published; the text says what is wrong with it."""


class NotFetched(Exception):  # noqa: N818  (an outcome that is met by asking another source)
    """A file that no address gave. `status` is set when the server answered; `url` is fit to be shown."""

    def __init__(self, name: str, url: str, status: Optional[int], why: str) -> None:
        self.name, self.url, self.status, self.why = name, shown(url), status, why
        super().__init__(f"{name} from {self.url}: {why}")


def shown(url: str) -> str:
    """An address without what is secret in it: a login, and the signature in a query."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"
