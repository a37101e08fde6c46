"""Which of several versions a path leads to, by update-alternatives; Red Hat's is called alternatives.

What was there before is noted by who asks (the observation `alternative`). The tool takes over a link that
somebody made by hand; over a file or a folder it only warns, and ends as if all were well.
"""

from __future__ import annotations

import os
from typing import Any, Dict, List, NamedTuple, Optional

from ..errors import TargetError
from .command import Host, last_words


class Choice(NamedTuple):
    """`link` leads, under the name `name`, to `path`; the highest `priority` is taken where nobody chose."""

    name: str
    link: str
    path: str
    priority: int


class Group(NamedTuple):
    """What is known of a name: whether somebody chose, what is chosen, and what there is to choose."""

    manual: bool
    value: str
    priorities: Dict[str, int]


def main(request: Dict[str, Any]) -> Dict[str, Any]:
    """The entry `system.alternatives`: `{"name", "link", "path", "priority", "check"}`."""
    choice = Choice(*(request[key] for key in Choice._fields))
    return {"changed": lead(Host(), choice, bool(request.get("check")))}


def lead(host: Host, choice: Choice, check: bool = False) -> bool:
    """Have the link lead to the path; whether that changes anything. Raises TargetError."""
    tool = host.tool("update-alternatives", "alternatives")
    if tool is None:
        raise TargetError(
            "there is no update-alternatives on this box",
            "install dpkg, or alternatives on Red Hat's systems",
        )
    if not host.box.there(choice.path):
        if check:
            return True
        raise TargetError(
            f"{choice.path} is not there, so {choice.link} cannot lead to it",
            "install it first, then run again",
        )
    group = read(host, tool, choice.name)
    steps: List[List[str]] = []
    if group is None or choice.path not in group.priorities:
        steps.append(["--install", choice.link, choice.name, choice.path, str(choice.priority)])
        known = {**(group.priorities if group else {}), choice.path: choice.priority}
        chosen = group.value if group and group.manual else max(known, key=lambda path: known[path])
    else:
        chosen = group.value
    if chosen != choice.path:
        steps.append(["--set", choice.name, choice.path])
    if not steps and not _leads(host, choice):
        # Somebody put a link of their own in its place; chosen anew, it is made again.
        steps.append(["--set", choice.name, choice.path])
    in_the_way(host, choice)
    if check:
        return bool(steps)
    for step in steps:
        host.do([tool, *step], f"look at `{os.path.basename(tool)} --display {choice.name}`, then run again")
    return bool(steps)


def in_the_way(host: Host, choice: Choice) -> None:
    """Raise TargetError where a file or a folder of somebody's own is in the link's place."""
    place = host.box.path(choice.link)
    if os.path.lexists(place) and not os.path.islink(place):
        raise TargetError(
            f"{choice.link} is no link but a folder or a file of somebody's own",
            f"move it away (mv {choice.link} {choice.link}.old), or leave it and choose no default",
        )


def read(host: Host, tool: str, name: str) -> Optional[Group]:
    """What the tool knows of a name; None when it does not know it."""
    done = host.ask(
        [tool, "--query", name] if tool.endswith("update-alternatives") else [tool, "--display", name]
    )
    if done.rc:
        text = done.text()
        if "no alternatives for" in text or not text.strip():
            return None
        raise TargetError(
            f"alternatives cannot be read: {last_words(done.lines)}",
            f"look at /var/lib/dpkg/alternatives/{name}",
        )
    return queried(done.lines)


def queried(lines: List[str]) -> Group:
    """What `--query` says (dpkg), or `--display` (Red Hat)."""
    manual, value, priorities, path = False, "", {}, ""
    for line in lines:
        key, _, rest = line.partition(": ")
        if key == "Status":
            manual = rest == "manual"
        elif key == "Value":
            value = rest
        elif key == "Alternative":
            path = rest
        elif key == "Priority" and path:
            priorities[path] = int(rest)
        elif " - status is " in line:
            manual = line.rstrip(".").endswith("manual")
        elif line.strip().startswith("link currently points to "):
            value = line.strip()[len("link currently points to ") :]
        elif " - priority " in line and line.startswith("/"):
            head, _, number = line.partition(" - priority ")
            priorities[head.split(" - family ")[0]] = int(number.split()[0])
    return Group(manual, "" if value == "none" else value, priorities)


def _leads(host: Host, choice: Choice) -> bool:
    place = host.box.path(choice.link)
    if not os.path.islink(place):
        return False
    middle = f"/etc/alternatives/{choice.name}"
    if os.readlink(place) != middle or not os.path.islink(host.box.path(middle)):
        return False
    return os.readlink(host.box.path(middle)) == choice.path
