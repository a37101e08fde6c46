"""The transfer engine: many files over few connections, resumable, verified while they come.

    digests = fetch([Remote("model.gguf", (url,), size, sha256)], folder, Options(), env, progress.add)

What the next person must know of the disk. In the folder that is filled:

- `.begun/<key>`: a begun file, in its full length, its space taken where the file system can; blocks come in
  any order. `key` is the published sha256, else the sha1 hex of "<name>\\0<size>\\0<blob or ''>", so
  another source, or another name, of the same content goes on with it.
- `.begun/<key>.json`: its journal, replaced atomically about twice a second, more often on fast links:
  `{"schema": 1, "name", "size", "block": bytes, "boot": boot id, "done": hex bitmap, "durable": hex bitmap}`.
  Bit i of a bitmap is in byte i // 8, least significant first. `done` blocks were written by this boot's
  processes: a killed one loses at most what it had of blocks in flight. `durable` ones were synced: after a
  power cut (another boot id) only they count. Files of one block have no journal.
- `NAME`: a file that was verified, by rename; its journal goes. What is found under its name at the start is
  digested again, and fetched anew where it is wrong.

How it goes: connections take pieces of up to 32 MiB in order from the front of large files, half of them
small files first; an idle one takes half of the piece that has most left. Digests follow the front of each
file, out of the page cache, so verification is over when the last byte is. One connection's trouble (stall,
reset, short body, 5xx, 429) is met by going on at the very byte, at the next address; what will not change
(404, 403, another length than was published) ends that address, and the fetch when none is left. Nothing that
one call learnt about a server outlives it.

It is http.client of the standard library: with blocks read straight into our own buffer it costs a quarter
less processor time than urllib3 and a third of what httpx2 does (benchmarks/README.md).
"""

from __future__ import annotations

from .engine import fetch, held, sized, taken
from .errors import BadFile, NotFetched
from .remote import Options, Remote

__all__ = ["BadFile", "NotFetched", "Options", "Remote", "fetch", "held", "sized", "taken"]
