"""Weights from a Hugging Face hub, through huggingface_hub.

Source: `repo`, `revision` (branch, tag or commit; default main), `file`? (the one GGUF to take),
`allow_pickle`? (false). Only what one runtime reads is fetched: safetensors, or one GGUF,
with the small files beside them.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from typing import Any, Callable, Dict, List, NamedTuple, Optional

from ...errors import TargetError
from ..files import require_space, sha256_file, size_text
from ..weights import BadFile, Fetch, Fetched
from .folder import link

_SMALL = re.compile(r".*\.(json|txt|model|jinja|tiktoken|spm|vocab|bpe)$|(?i:licen[cs]e|notice)(\..*)?$")
_PICKLE = re.compile(r".*\.(bin|pt|pth|ckpt|pkl)$")
_CLIENT_MODULES = ("huggingface_hub", "httpx", "httpx2", "httpcore", "httpcore2", "requests", "hf_xet")
# Where downloads lie until they are whole, inside the folder that is being filled.
_BEGUN = ".begun"
# Bytes; the hub serves no larger file over plain HTTP.
_PLAIN_LIMIT = 50_000_000_000
_SHARD = re.compile(r"(.+)-\d{5}-of-\d{5}\.(safetensors|gguf|bin)$")


class Listed(NamedTuple):
    """A file of the repository. `sha256` is published for large files, `blob` (git's own digest) for all."""

    name: str
    size: int
    sha256: Optional[str]
    blob: Optional[str]


class Client:
    """The hub's own client, as far as this needs it; the seam where tests put their own."""

    def __init__(self, task: Fetch) -> None:
        # Read by the client when it is imported, and never before: it is not part of the standard library.
        os.environ.update(task.env)
        os.environ.update(HF_HUB_DISABLE_TELEMETRY="1", HF_HUB_DISABLE_PROGRESS_BARS="0")
        try:
            import huggingface_hub
        except ModuleNotFoundError as error:
            raise TargetError(
                f"this Python has no {error.name}", "make the tools environment first (role python_env)"
            ) from error
        self._hub: Any = huggingface_hub
        self._token = (task.spec.get("secrets") or {}).get("hub_token") or None
        self._endpoint = task.env.get("HF_ENDPOINT") or huggingface_hub.constants.ENDPOINT
        self._task = task
        self._repo = task.source["repo"]

    @property
    def endpoint(self) -> str:
        """Where the hub is."""
        return self._endpoint

    def listing(self, revision: str) -> Any:
        """(commit, [Listed]) of a revision."""
        api = self._hub.HfApi(endpoint=self._endpoint, token=self._token or False)
        info = api.model_info(self._repo, revision=revision, files_metadata=True)
        return info.sha, [
            Listed(item.rfilename, item.size or 0, item.lfs.sha256 if item.lfs else None, item.blob_id)
            for item in info.siblings or []
        ]

    def cached(self, name: str, commit: str) -> Optional[str]:
        """The file in a cache that the hub's client left on this box, if there is one."""
        for cache in _caches():
            found = self._hub.try_to_load_from_cache(self._repo, name, cache_dir=cache, revision=commit)
            if isinstance(found, str) and os.path.isfile(found):
                return os.path.realpath(found)
        return None

    def download(self, item: Listed, commit: str, into: str, before: int) -> None:
        """Fetches one file into a folder; what came of it before an interruption is used.

        By the client's own plain download: its high-level ones begin anew in each process, and a killed job
        would lose gigabytes.
        """
        from huggingface_hub.file_download import http_get

        target = os.path.join(into, item.name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        meter = _meter(self._task.context.progress, before)
        if item.size > _PLAIN_LIMIT:
            self._hub.hf_hub_download(
                self._repo, item.name, revision=commit, local_dir=into, token=self._token or False,
                endpoint=self._endpoint, tqdm_class=meter,
            )  # fmt: skip
            return
        begun = os.path.join(into, _BEGUN, item.sha256 or item.blob or item.name.replace("/", "--"))
        os.makedirs(os.path.dirname(begun), exist_ok=True)
        with open(begun, "ab") as out:
            if out.tell() > item.size:
                out.truncate(0)
            http_get(
                self._hub.hf_hub_url(self._repo, item.name, revision=commit, endpoint=self._endpoint), out,
                resume_size=out.tell(), headers=self._hub.utils.build_hf_headers(token=self._token or False),
                expected_size=item.size, displayed_filename=item.name, tqdm_class=meter,
            )  # fmt: skip
        os.replace(begun, target)


def fetch(task: Fetch, make_client: Any = Client) -> Fetched:
    """Fills `task.into` with one revision's files; digests are those that the hub publishes."""
    source = task.source
    client = make_client(task)
    try:
        revision = source.get("revision") or "main"
        task.context.say(f"asking the hub for {source['repo']}")
        commit, listed = client.listing(revision)
        print(f"{source['repo']} at {revision} is commit {commit}", flush=True)
        chosen = choose(listed, source)
        _drop_other_commit(task.into, commit)
        return _gather(task, client, commit, chosen)
    except TargetError:
        raise
    except OSError as error:
        # A full disk is one, and so are errors of some of the client's libraries.
        raise _refusal(error, task, client) from error
    except Exception as error:
        if type(error).__module__.split(".")[0] not in _CLIENT_MODULES:
            raise
        raise _refusal(error, task, client) from error


def choose(listed: List[Listed], source: Dict[str, Any]) -> List[Listed]:
    """What is worth fetching of a repository: one format of the weights, and the small files beside it."""
    repo = source["repo"]
    outside = [item.name for item in listed if item.name.startswith("/") or ".." in item.name.split("/")]
    if outside:
        raise TargetError(
            f"{repo} lists a file outside of its own folder: {outside[0]}", "do not use that repository"
        )
    top = [item for item in listed if "/" not in item.name]
    small = [item for item in top if _SMALL.match(item.name)]
    named = source.get("file")
    if named:
        match = [item for item in listed if item.name == named or _same_split(item.name, named)]
        if not match:
            raise TargetError(f"{repo} has no file {named}", "correct the source's file")
        return match + [item for item in small if not named.endswith(".gguf")]
    indexes = [item.name for item in top if item.name.endswith(".safetensors.index.json")]
    weights = [item for item in top if item.name.endswith(".safetensors")]
    if weights:
        stems = [name[: -len(".safetensors.index.json")] for name in indexes]
        shards = [item for item in weights if any(_stem(item.name) == stem for stem in stems)]
        plain = [item for item in weights if item.name == "model.safetensors"]
        # A repository may hold the same weights whole, in shards, and consolidated for another program.
        return (shards or plain or weights) + small
    ggufs = [item for item in listed if item.name.endswith(".gguf") and "mmproj" not in item.name]
    models = sorted({_stem(item.name) for item in ggufs})
    if len(models) == 1:
        return ggufs
    if models:
        raise TargetError(
            f"{repo} holds {len(models)} GGUF models: {', '.join(sorted(item.name for item in ggufs)[:4])}…",
            "name one with file: in the profile's source",
        )
    pickles = [item for item in top if _PICKLE.match(item.name)]
    if pickles and source.get("allow_pickle"):
        return pickles + small
    if pickles:
        raise TargetError(
            f"{repo} has only pickle files ({pickles[0].name}), which run programs when loaded",
            "choose a repository with safetensors or GGUF; to trust this one set allow_pickle in its source",
        )
    raise TargetError(f"{repo} holds no weights", "name a repository with safetensors or GGUF files")


def _stem(name: str) -> str:
    match = _SHARD.match(name)
    return match.group(1) if match else name


def _same_split(name: str, named: str) -> bool:
    return _SHARD.match(name) is not None and _stem(name) == _stem(named)


def _drop_other_commit(into: str, commit: str) -> None:
    """Files gathered of another revision would pass for this one's where no digest is published."""
    note = os.path.join(into, ".commit")
    if os.path.exists(note):
        with open(note, encoding="utf-8") as source:
            if source.read() != commit:
                shutil.rmtree(into)
                os.makedirs(into)
    with open(note, "w", encoding="utf-8") as out:
        out.write(commit)


def _gather(task: Fetch, client: Any, commit: str, chosen: List[Listed]) -> Fetched:
    digests: Dict[str, Optional[str]] = {}
    missing: List[Listed] = []
    here = [item for item in chosen if os.path.isfile(os.path.join(task.into, item.name))]
    if here:
        task.context.say("checking what is here already", sum(item.size for item in here))
    for item in chosen:
        path = os.path.join(task.into, item.name)
        if item in here:
            digests[item.name] = _right(item, path, task.context.progress.add)
        if digests.get(item.name) is None:
            cached = client.cached(item.name, commit)
            if cached:
                _adopt(cached, path)
                digests[item.name] = _right(item, path)
        if digests.get(item.name) is None:
            missing.append(item)
    total = sum(item.size for item in chosen)
    needed = sum(item.size for item in missing)
    require_space([(task.into, max(0, needed - _begun(task.into)))])
    task.context.say(f"downloading {size_text(needed)}", total, total - needed)
    done = total - needed
    for item in missing:
        client.download(item, commit, task.into, done)
        done += item.size
        task.context.progress.at(done)
        path = os.path.join(task.into, item.name)
        digests[item.name] = _right(item, path)
        if digests[item.name] is None:
            raise BadFile(f"{item.name} from {client.endpoint} is not what the hub published")
    return Fetched(digests, needed)


def _right(item: Listed, path: str, on_bytes: Callable[[int], None] = lambda _: None) -> Optional[str]:
    """The sha256 of a file that is what the hub published, or None and the file is gone."""
    sha256 = sha256_file(path, on_bytes)
    right = os.path.getsize(path) == item.size and (
        sha256 == item.sha256 if item.sha256 else item.blob is None or _git_blob(path) == item.blob
    )
    if right:
        return sha256
    os.unlink(path)
    return None


def _git_blob(path: str) -> str:
    """The name that git gives this content; the hub publishes it for files too small for LFS."""
    digest = hashlib.sha1(b"blob %d\0" % os.path.getsize(path))  # noqa: S324  (git's own digest)
    with open(path, "rb") as source:
        for block in iter(lambda: source.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def _begun(into: str) -> int:
    """Bytes of interrupted downloads, which will not be needed again."""
    folder = os.path.join(into, _BEGUN)
    return sum(entry.stat().st_size for entry in os.scandir(folder)) if os.path.isdir(folder) else 0


def _adopt(cached: str, path: str) -> None:
    # Not of a file that somebody else may change: root looks into the cache of the person behind sudo too.
    if not link(cached, path):
        shutil.copyfile(cached, path)


def _caches() -> List[str]:
    """Where the hub's client keeps files: this user's place, and that of the person behind sudo."""
    homes = [os.path.expanduser("~")]
    behind = os.environ.get("SUDO_USER")
    if behind and re.fullmatch(r"[a-z_][a-z0-9_.-]*", behind):
        homes.append(os.path.expanduser(f"~{behind}"))
    places = [
        os.environ.get("HF_HUB_CACHE"),
        os.path.join(os.environ["HF_HOME"], "hub") if os.environ.get("HF_HOME") else None,
    ]
    places += [os.path.join(home, ".cache/huggingface/hub") for home in homes]
    return [place for place in places if place and os.path.isdir(place)]


def _meter(progress: Any, before: int) -> Any:
    """A progress bar that draws nothing and tells our own how far a file has come."""
    import tqdm

    class Meter(tqdm.tqdm):  # type: ignore[misc]
        """Bytes of one file."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.pop("name", None)
            kwargs["disable"] = False
            with open(os.devnull, "w") as null:
                kwargs["file"] = null
                super().__init__(*args, **kwargs)
            self._tell()

        def display(self, *args: Any, **kwargs: Any) -> None:
            """Draws nothing."""

        def close(self) -> None:
            """Nothing was drawn, so nothing is wiped."""

        def update(self, n: Optional[float] = 1) -> Optional[bool]:
            """So many bytes more."""
            self.n += n or 0
            self._tell()
            return None

        def _tell(self) -> None:
            progress.at(before + int(self.n))

    return Meter


def _refusal(error: Exception, task: Fetch, client: Any) -> Exception:
    """What the hub, or the way to it, said: one line and the next step."""
    import errno

    repo, revision = task.source["repo"], task.source.get("revision") or "main"
    endpoint = client.endpoint
    names = {kind.__name__ for kind in type(error).__mro__}
    status = getattr(getattr(error, "response", None), "status_code", None)
    token = (task.spec.get("secrets") or {}).get("hub_token")
    # One that names a file is this machine's, not the network's.
    own = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO)
    if isinstance(error, OSError) and (error.errno in own or error.filename):
        return error
    if "GatedRepoError" in names or status == 403:
        return TargetError(
            f"{repo} is behind a licence that {'this token has' if token else 'nobody has'} not accepted",
            f"accept it on {endpoint}/{repo}, then give a token of that account (secret hub_token)",
        )
    if status == 401 and token:
        return TargetError(
            f"{endpoint} does not know the token that was given", "make a new one in your hub settings"
        )
    if "RevisionNotFoundError" in names:
        return TargetError(f"{repo} has no revision {revision}", f"look at {endpoint}/{repo}/tree/main")
    if "EntryNotFoundError" in names:
        return TargetError(
            f"{repo} at {revision} misses a file that it lists", "run again; else choose another revision"
        )
    if "RepositoryNotFoundError" in names or status in (401, 404):
        return TargetError(
            f"{endpoint} has no repository {repo}, or a private one",
            "correct its name; for a private one give a token (secret hub_token)",
        )
    if status == 429 or (status or 0) >= 500:
        return TargetError(
            f"{endpoint} answers {status} for {repo}", "wait a little and run again: what came is kept"
        )
    first = str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
    if re.search(r"onsistency check failed|size mismatch", str(error)):
        return BadFile(f"a file of {repo} came short")
    return TargetError(
        f"the hub cannot be reached: {endpoint} (for {repo}: {first})",
        "check the network and proxies, or name a mirror with host_base_hub_endpoint",
    )
