"""Make anew what is made out of other files, when those have changed: initramfs, boot menu, trust store, …

`<state>/refreshed/<what>.json` says of which content it was last made. It is marked as begun before the
first program runs, so that whatever is interrupted in the middle runs again.
"""

from __future__ import annotations

import hashlib
import os
from typing import Any, Dict, List, Optional

from ..errors import TargetError
from ..probe.receipt import write
from ..runtime.files import os_refusal, read_json, sha256_file
from . import ways
from .command import Host, last_words

ABSENT = "absent"


def main(request: Dict[str, Any]) -> Dict[str, Any]:
    """`{"changed", "said"}` for `{"what", "inputs": [path], "state", "check"?}`; `said` is a sentence for a
    person. Raises TargetError for what cannot be made anew.
    """
    what, inputs, state = request.get("what"), request.get("inputs"), request.get("state")
    if what not in ways.WAYS:
        raise TargetError(
            "%.40r is nothing that can be made anew" % (what,), "one of " + ", ".join(ways.WAYS)
        )
    if not isinstance(inputs, list) or not inputs or not all(_absolute(path) for path in inputs):
        raise TargetError("inputs: a list of absolute paths is needed, not %.80r" % (inputs,))
    if not _absolute(state):
        raise TargetError("state: an absolute path is needed, not %.60r" % (state,))
    return refresh(Host(), str(what), inputs, str(state), bool(request.get("check")))


def refresh(host: Host, what: str, inputs: List[str], state: str, check: bool = False) -> Dict[str, Any]:
    """The same, on a host. What several roles have made anew is noted path by path, so they do not take
    turns in undoing each other's notes.
    """
    stamp = Stamp(host, state, what)
    why = stamp.why_again(inputs)
    if why is None:
        return {"changed": False, "said": "%s is as it was made last" % ways.NAMES[what]}
    way = ways.WAYS[what](host, stamp.outputs)
    if isinstance(way, str):
        # Nothing here is made of them. Whatever brings such a thing later makes it of what is there then.
        return {"changed": False, "said": way}
    if check:
        return {"changed": True, "said": "%s would be made anew: %s" % (ways.NAMES[what], why)}
    way.ready(host)
    # Before the programs run: a file that somebody changes meanwhile must count as changed afterwards.
    digests = stamp.now(inputs)
    stamp.begin()
    run(host, what, way)
    missing = [path for path in way.outputs if not host.box.there(path)]
    if missing:
        raise TargetError(
            "%s was made anew, and %s is not there" % (ways.NAMES[what], ", ".join(missing)),
            "run `%s` by hand and see what it says" % " ".join(way.commands[-1]),
        )
    # What was made must be on the disk before the note that says so.
    os.sync()
    stamp.end(digests, way.outputs)
    return {"changed": True, "said": "%s was made anew: %s" % (ways.NAMES[what], why)}


def run(host: Host, what: str, way: ways.Way) -> None:
    """The programs of a way. Raises TargetError with the last words of the one that fails."""
    for argv in way.commands:
        done = host.ask(argv)
        refused = [hint for word, hint in (way.refusals or {}).items() if word in done.text()]
        if done.rc == 0 and not refused:
            continue
        if way.folder and "No space left on device" in done.text():
            raise way.full(host)
        raise TargetError(
            "%s could not be made anew: `%s` ended with %d: %s"
            % (ways.NAMES[what], " ".join(argv), done.rc, last_words(done.lines)),
            refused[0] if refused else way.hint,
        )


class Stamp:
    """What a thing was last made of, and whether that came to its end."""

    def __init__(self, host: Host, state: str, what: str) -> None:
        self.host, self.what = host, what
        self.path = host.box.path("%s/refreshed/%s.json" % (state, what))
        body = read_json(self.path) or {}
        noted, outputs = body.get("inputs"), body.get("outputs")
        self.noted: Dict[str, str] = noted if isinstance(noted, dict) else {}
        self.outputs: List[str] = outputs if isinstance(outputs, list) else []
        self.begun = body.get("begun") is True

    def why_again(self, inputs: List[str]) -> Optional[str]:
        """Why it must be made anew, in a few words; None when it need not."""
        if self.begun:
            return "the last time did not come to its end"
        for path in inputs:
            if self.noted.get(path, ABSENT) != digest(self.host, path):
                return "%s has changed" % path
        for path in self.outputs:
            if not self.host.box.there(path) and ways.still_wanted(self.host, path):
                return "%s is missing" % path
        return None

    def now(self, inputs: List[str]) -> Dict[str, str]:
        """Digests of these inputs and of those that other roles named: one run makes it of them all."""
        return {path: digest(self.host, path) for path in sorted({*self.noted, *inputs})}

    def begin(self) -> None:
        """Note that it is under way."""
        write(self.path, self._body(self.noted, self.outputs, begun=True))

    def end(self, digests: Dict[str, str], outputs: List[str]) -> None:
        """Note that it was made of these."""
        write(self.path, self._body(digests, outputs, begun=False))

    def _body(self, inputs: Dict[str, str], outputs: List[str], begun: bool) -> Dict[str, Any]:
        # A path that is not there counts like one that was never named.
        kept = {path: value for path, value in inputs.items() if value != ABSENT}
        return {"schema": 1, "what": self.what, "inputs": kept, "outputs": outputs, "begun": begun}


def digest(host: Host, path: str) -> str:
    """SHA-256 of a file, or of a folder's names and contents; "absent". Raises TargetError."""
    real = host.box.path(path)
    try:
        if os.path.isdir(real):
            total = hashlib.sha256()
            for base, folders, names in os.walk(real):
                folders.sort()
                for name in sorted(names):
                    inner = os.path.join(base, name)
                    words = "%s\0%s\n" % (os.path.relpath(inner, real), _content(inner))
                    total.update(words.encode("utf-8", "surrogateescape"))
            return total.hexdigest()
        return _content(real)
    except FileNotFoundError:
        return ABSENT
    except OSError as error:
        raise os_refusal(error, path) from error


def _content(path: str) -> str:
    if os.path.islink(path) and not os.path.exists(path):
        return "link to " + os.readlink(path)
    if os.path.exists(path) and not os.path.isfile(path):
        # A pipe or a device has no content that ends.
        return "no file"
    return sha256_file(path)


def _absolute(path: object) -> bool:
    return isinstance(path, str) and path.startswith("/") and "\0" not in path
