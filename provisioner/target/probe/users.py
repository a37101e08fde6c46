"""Who the probe runs as, and the accounts of the machine."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

from .box import Box, clean


def user(box: Box, uid: int, environ: Mapping[str, str]) -> Dict[str, Any]:
    """`Facts.user`; HOME wins over the account's home, as for every program."""
    account = find(box, uid=uid)
    if account is None:
        box.missing("user", "uid %d has no account" % uid)
        account = {"name": "", "home": "", "shell": ""}
    home = environ.get("HOME", "")
    if not home.startswith("/"):
        home = account["home"]
    return {"name": account["name"], "uid": uid, "home": clean(home), "shell": account["shell"]}


def find(box: Box, name: Optional[str] = None, uid: Optional[int] = None) -> Optional[Dict[str, Any]]:
    """An account by name, else by uid: name, uid, home, shell; None when there is none.

    The live machine's directory services (LDAP, …) are asked; of a recorded one /etc/passwd. Raises OSError.
    """
    if not box.live:
        for account in parse(box.text("/etc/passwd") if box.there("/etc/passwd") else ""):
            if account["name"] == name or account["uid"] == uid:
                return account
        return None
    import pwd

    try:
        entry = pwd.getpwnam(name) if name is not None else pwd.getpwuid(uid if uid is not None else -1)
    except (KeyError, ValueError):  # ValueError: a name with a null byte in it
        return None
    return {
        "name": clean(entry.pw_name),
        "uid": entry.pw_uid,
        "home": clean(entry.pw_dir),
        "shell": clean(entry.pw_shell),
    }


def parse(text: str) -> List[Dict[str, Any]]:
    """Accounts of an /etc/passwd; lines of another shape are left out."""
    found = []
    for line in text.split("\n"):
        parts = line.split(":")
        if len(parts) == 7 and parts[2].isascii() and parts[2].isdigit() and len(parts[2]) < 11:
            found.append({"name": parts[0], "uid": int(parts[2]), "home": parts[5], "shell": parts[6]})
    return found


def groups(box: Box, name: str) -> List[str]:
    """Names of the groups that list an account as a member; its own group is not among them. Raises OSError.

    The live machine's directory services are asked; of a recorded one /etc/group.
    """
    if box.live:
        import grp

        return sorted(clean(entry.gr_name) for entry in grp.getgrall() if name in entry.gr_mem)
    text = box.text("/etc/group") if box.there("/etc/group") else ""
    lines = [line.split(":") for line in text.split("\n")]
    return sorted(parts[0] for parts in lines if len(parts) == 4 and name in parts[3].split(","))
