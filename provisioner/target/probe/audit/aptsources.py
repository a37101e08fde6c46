"""Where apt takes packages from: its lines, its stanzas, its mirror lists, and what it read there last."""

from __future__ import annotations

import re
from typing import Dict, Iterator, List, NamedTuple, Tuple

from ..box import Box
from .files import names_in, text_of

ONE_FILE = "/etc/apt/sources.list"
FOLDER = "/etc/apt/sources.list.d"
LISTS = "/var/lib/apt/lists"
# apt itself takes no file with another name.
_NAME = re.compile(r"[A-Za-z0-9_.-]+\.(list|sources)$")
_FILES = 500
# What a Release file says of itself comes before its long lists of digests.
_HEAD = 4096


class Source(NamedTuple):
    """One address that packages come from, as it is written."""

    address: str
    suites: Tuple[str, ...]
    file: str


class Release(NamedTuple):
    """What an archive says of itself."""

    site: str
    origin: str
    label: str
    suite: str
    codename: str


def sources(box: Box) -> List[Source]:
    """All that are switched on, mirror lists in files followed; a file that cannot be read has none."""
    found: List[Source] = []
    for path in files(box):
        text = text_of(box, path)
        for address, suites in stanzas(text) if path.endswith(".sources") else lines(text):
            found += [Source(one, suites, path) for one in mirrors(box, address)]
    return found


def files(box: Box) -> List[str]:
    """The files that apt reads its sources from."""
    paths = [ONE_FILE] + ["%s/%s" % (FOLDER, name) for name in names_in(box, FOLDER) if _NAME.match(name)]
    return paths[:_FILES]


def lines(text: str) -> Iterator[Tuple[str, Tuple[str, ...]]]:
    """Of sources.list: `deb [options] address suite component…`."""
    for line in text.splitlines():
        match = re.match(r"\s*deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)", line.partition("#")[0])
        if match:
            yield match.group(1), (match.group(2),)


def stanzas(text: str) -> Iterator[Tuple[str, Tuple[str, ...]]]:
    """Of a .sources file: Types, URIs, Suites, Enabled."""
    for fields in switched_on(text):
        for address in fields.get("uris", "").split():
            yield address, tuple(fields.get("suites", "").split())


def switched_on(text: str) -> Iterator[Dict[str, str]]:
    """The stanzas of a .sources file that packages come from, by field, in small letters."""
    for stanza in re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n")):
        fields: Dict[str, str] = {}
        name = ""
        for line in stanza.splitlines():
            if line.startswith("#"):
                continue
            if line[:1] in (" ", "\t"):
                if name:
                    fields[name] += " " + line.strip()
                continue
            key, colon, value = line.partition(":")
            name = key.strip().lower() if colon else ""
            if name:
                fields[name] = value.strip()
        on = fields.get("enabled", "yes").lower() not in ("no", "false", "without", "off", "disable", "0")
        if on and "deb" in fields.get("types", "").split():
            yield fields


def keys(box: Box) -> Dict[str, str]:
    """By address without its last slash, the file of keys that packages from there must be signed with."""
    found: Dict[str, str] = {}
    for path in files(box):
        text = text_of(box, path)
        if path.endswith(".sources"):
            for fields in switched_on(text):
                for address in fields.get("uris", "").split():
                    found[address.rstrip("/")] = fields.get("signed-by", "")
        else:
            for line in text.splitlines():
                match = re.match(r"\s*deb\s+\[([^\]]*)\]\s+(\S+)", line.partition("#")[0])
                if match:
                    signed = re.search(r"(?:^|\s)signed-by=(\S+)", match.group(1))
                    found[match.group(2).rstrip("/")] = signed.group(1) if signed else ""
    return found


def mirrors(box: Box, address: str) -> List[str]:
    """The address, or those in the file that a `mirror+file:` names."""
    scheme, colon, path = address.partition(":")
    if scheme not in ("mirror+file", "mirror") or not colon or not path.startswith("/"):
        return [address]
    path = "/" + path.lstrip("/")
    listed = (line.partition("#")[0].split() for line in text_of(box, path).splitlines())
    return [words[0] for words in listed if words and "://" in words[0]]


def releases(box: Box) -> List[Release]:
    """What the archives say of themselves that apt has lists of."""
    found = []
    for name in names_in(box, LISTS)[:_FILES]:
        if not name.endswith(("_InRelease", "_Release")):
            continue
        found.append(release(name, text_of(box, "%s/%s" % (LISTS, name), _HEAD)))
    return found


def release(name: str, text: str) -> Release:
    """From the beginning of a Release file; `name` starts with the site, as apt calls its lists."""

    def field(key: str) -> str:
        match = re.search(r"(?m)^%s:[ \t]*(.*?)[ \t]*$" % key, text)
        return match.group(1) if match else ""

    return Release(name.partition("_")[0], field("Origin"), field("Label"), field("Suite"), field("Codename"))
