"""Sent as `python3 -c`: runs a payload entry from memory and frames its answer (docs/architecture.md)."""

from __future__ import annotations

import importlib
import json
import os
import sys
import zlib
from importlib.machinery import ModuleSpec
from typing import Any

TOP = "provisioner_target"


class Sources:
    """Serves modules from memory; they stay importable in a detached child."""

    def __init__(self, modules: dict[str, str]) -> None:
        self.modules = {TOP + "." + name: text for name, text in modules.items()}

    def find_spec(self, name: str, *_: Any) -> ModuleSpec | None:
        for key in (name + ".__init__", name):
            if key in self.modules:
                path = key.replace(".", "/") + ".py"
                return ModuleSpec(name, self, origin=path, is_package=key != name)  # type: ignore[arg-type]
        return None

    def create_module(self, _: ModuleSpec) -> None:
        return None

    def exec_module(self, module: Any) -> None:
        spec = module.__spec__
        module.__file__ = spec.origin
        exec(compile(self.get_source(spec.name), spec.origin, "exec"), module.__dict__)  # noqa: S102

    def get_source(self, name: str) -> str:
        return self.modules.get(name + ".__init__") or self.modules.get(name, "")


def failure(error: Exception) -> dict[str, Any]:
    if any(c.__name__ == "TargetError" for c in type(error).__mro__):
        hint = getattr(error, "hint", None)
        return {"ok": False, "error": str(error), "hint": hint, "kind": "TargetError"}
    import traceback

    said = traceback.format_exception_only(type(error), error)[-1].strip()
    trace = traceback.format_exc()
    return {"ok": False, "error": said, "hint": None, "kind": "crash", "traceback": trace}


def run(body: dict[str, Any], out: Any) -> None:
    def send(value: Any, frame: bytes = b"") -> None:
        text = json.dumps(value).encode()
        out.write((frame % len(text) if frame else b"") + text + b"\n")
        out.flush()

    sys.meta_path.append(Sources(body["modules"]))
    frame = b"\nPROVISION1 %d\n"
    try:
        value = importlib.import_module(TOP + "." + body["entry"]).main(body["request"])
        if hasattr(value, "__next__"):
            frame = b""
            out.write(b"\nPROVISION1 stream\n")
            out.flush()
            for item in value:
                send(item)
            return
        send({"ok": True, "value": value}, frame)
    except Exception as error:  # noqa: BLE001
        send(failure(error), frame)


def main() -> None:
    for line in iter(sys.stdin.buffer.readline, b""):
        if line.startswith(b"PROVISION1 "):
            payload = json.loads(zlib.decompress(sys.stdin.buffer.read(int(line.split()[1]))))
            break
    else:
        sys.exit("provision: no payload came")
    # What an entry prints goes to stderr; a child that it forks must not hold the answer open.
    answer, null = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(2, 1)
    os.register_at_fork(after_in_child=lambda: os.dup2(null, answer, inheritable=False))
    run(payload, os.fdopen(answer, "wb"))


if __name__ == "__main__":
    main()
