"""Models at an emulated hub, read by parts: under a hundredth of them comes, whatever goes wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioner.checkpoints import Checkpoint, checkpoint
from provisioner.errors import ExitCode, ProvisionError
from tests.hub.huggingface import HuggingFace, hugging_face
from tests.hub.modelscope import model_scope
from tests.hub.server import Fault, Hub, Kind, serve
from tests.hub.tls import authority, serving
from tests.unit.checkpoints import made

CONFIG = json.dumps(made.CONFIG).encode()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Some tens of MB each, and next to nothing on the disk."""
    place = tmp_path_factory.mktemp("models")
    return {
        "whole": made.safetensors(place / "model.safetensors"),
        "gguf": made.gguf(place / "m-Q4_K_M.gguf"),
    }


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("provisioner.checkpoints.ranges.time.sleep", lambda _seconds: None)


@pytest.fixture
def hub(models: dict[str, Path]) -> Iterator[HuggingFace]:
    files: dict[str, bytes | Path] = {
        "model.safetensors": models["whole"], "config.json": CONFIG, "pytorch_model.bin": b"pickle"
    }  # fmt: skip
    with hugging_face(files) as running:
        yield running


def read(hub: HuggingFace, model: str = "hf:org/m", **env: str) -> Checkpoint:
    """As with this hub in the environment."""
    return checkpoint(model, env={"HF_ENDPOINT": hub.url, **env})


def refusal(hub: HuggingFace, model: str = "hf:org/m", **env: str) -> tuple[int, str, str | None]:
    """Exit code, what is wrong, the next step."""
    with pytest.raises(ProvisionError) as caught:
        read(hub, model, **env)
    return int(caught.value.code), caught.value.message, caught.value.hint


def bytes_of_files(hub: Hub) -> int:
    """That went out, the list apart; once all of it is counted."""
    hub.hung_up()
    return sum(count for path, count in hub.sent.items() if not path.startswith("/api/"))


def test_under_a_hundredth_of_a_model_comes(hub: HuggingFace, models: dict[str, Path]) -> None:
    found = read(hub)
    assert found.shape.parameters == made.values_of(made.tensors())
    assert found.nbytes == models["whole"].stat().st_size
    assert found.received == bytes_of_files(hub.hub) < found.nbytes / 100
    assert found.shape.source == "hf:org/m"
    assert [path for path in hub.hub.asked if path.endswith(".bin")] == []


def test_one_quantisation_of_a_repository(models: dict[str, Path]) -> None:
    files: dict[str, bytes | Path] = {"m-Q4_K_M.gguf": models["gguf"], "m-Q8_0.gguf": b"not asked for"}
    with hugging_face(files) as hub:
        found = read(hub, "hf:org/m:Q4_K_M")
        assert (found.name, found.format) == ("m-Q4_K_M", "gguf")
        assert bytes_of_files(hub.hub) < found.nbytes / 100
        assert refusal(hub, "hf:org/m:Q5_K_M") == (
            ExitCode.USAGE, "org/m has no file Q5_K_M", "did you mean Q4_K_M?"
        )  # fmt: skip


def test_a_long_tokenizer_comes_with_its_header_and_no_more(tmp_path: Path) -> None:
    path = made.gguf(tmp_path / "m.gguf", **{"tokenizer.ggml.token_type": [1] * 300_000})
    with hugging_face({"m.gguf": path}) as hub:
        assert read(hub, "hf:org/m:m.gguf").received < 1 << 20


def test_the_token_goes_to_its_hub_and_to_no_other(hub: HuggingFace, models: dict[str, Path]) -> None:
    hub.gated, hub.known, hub.accepted = True, {"hf_one"}, {"hf_one"}
    hub.large = {"model.safetensors"}
    with serve({"/cdn/model.safetensors": models["whole"]}) as cdn:
        hub.cdn = cdn.url
        assert read(hub, HF_TOKEN="hf_one").shape.layers == 2
        assert hub.tokens() == {"Bearer hf_one"}
        assert cdn.headers_of("/cdn/model.safetensors", "authorization") == {""}


def test_a_mirror_that_lists_names_alone(hub: HuggingFace) -> None:
    hub.lists_names_only = True
    assert read(hub).shape.layers == 2


@pytest.mark.parametrize("kind", [Kind.DIE, Kind.TRUNCATE])
def test_a_connection_that_breaks_goes_on_where_it_was(hub: HuggingFace, kind: Kind) -> None:
    hub.hub.faults.append(Fault(kind, "*/model.safetensors", at=100))
    assert read(hub).shape.layers == 2


def test_a_busy_server_is_asked_again(hub: HuggingFace) -> None:
    hub.hub.faults.append(Fault(Kind.STATUS, "*/model.safetensors", times=2, status=503))
    assert read(hub).shape.layers == 2


def test_a_server_without_ranges_is_left_after_the_header(hub: HuggingFace) -> None:
    hub.hub.faults.append(Fault(Kind.NO_RANGES, "*", times=None))
    found = read(hub)
    assert found.shape.layers == 2
    assert found.received < found.nbytes / 100


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (
            "hf:org/n",
            (2, "{url} has no repository org/n, or a private one",
             "correct its name; for a private one give a token: HF_TOKEN=… provision plan …"),
        ),
        ("hf:org/m@mian", (2, "org/m has no revision mian", "did you mean main?")),
        ("hf:org/m?x", (2, "org/m?x is no name of a repository", "write organisation/name")),
        ("hf:org", (2, "--model hf:org: not a repository",
                    "say --model hf:organisation/name[@revision][:file or quantisation]")),
    ],
)  # fmt: skip
def test_a_name_that_is_none(hub: HuggingFace, model: str, expected: tuple[int, str, str]) -> None:
    code, message, hint = expected
    assert refusal(hub, model) == (code, message.format(url=hub.url), hint)


def test_a_repository_of_pickles_and_one_of_nothing() -> None:
    with hugging_face({"pytorch_model.bin": b"pickle"}) as hub:
        assert refusal(hub)[:2] == (
            2, "org/m has only pickle files (pytorch_model.bin), which run programs when they are loaded"
        )  # fmt: skip
    with hugging_face({"README.md": b"#"}) as hub:
        assert refusal(hub)[:2] == (2, "org/m holds no weights")


def test_who_may_not_read_is_told_how_to(hub: HuggingFace) -> None:
    hub.gated, hub.known = True, {"hf_two"}
    code, message, hint = refusal(hub)
    assert (code, message) == (1, "org/m is behind a licence that nobody has accepted")
    assert "then give a token of that account" in str(hint)
    assert refusal(hub, HF_TOKEN="hf_two")[1] == "org/m is behind a licence that this token has not accepted"
    assert refusal(hub, HF_TOKEN="hf_bad")[1] == f"{hub.url} does not know the token that was given"


def test_a_server_that_only_fails(hub: HuggingFace) -> None:
    hub.hub.faults.append(Fault(Kind.STATUS, "*/model.safetensors", times=None, status=503))
    assert refusal(hub) == (
        1, f"{hub.url} answers 503 for org/m", "wait a little and run again"
    )  # fmt: skip
    hub.hub.faults[:] = [Fault(Kind.STATUS, "/api/*", times=None, status=500)]
    assert refusal(hub)[:2] == (1, f"{hub.url} answers 500 for org/m")
    hub.hub.faults[:] = [Fault(Kind.STATUS, "*/model.safetensors", times=None, status=404)]
    assert refusal(hub)[:2] == (1, "org/m at main misses model.safetensors, which it lists")


def test_a_file_of_another_length_than_is_listed(hub: HuggingFace) -> None:
    hub.hub.faults.append(Fault(Kind.LENGTH, "*/model.safetensors", times=None, by=64))
    code, message, _ = refusal(hub)
    assert code == 1
    assert "bytes of it and" in message


def test_a_damaged_header_is_the_models_fault(hub: HuggingFace) -> None:
    hub.hub.faults.append(Fault(Kind.FLIP, "*/model.safetensors", times=None, at=6))
    assert refusal(hub)[:2] == (
        2,
        "hf:org/m: model.safetensors: it is no safetensors file: its first bytes give no length of a header",
    )


def test_nobody_at_the_other_end() -> None:
    with serve() as gone:
        url = gone.url
    with pytest.raises(ProvisionError) as caught:
        checkpoint("hf:org/m", env={"HF_ENDPOINT": url})
    assert caught.value.hint == (
        "check the network and proxies, or name a mirror: HF_ENDPOINT=https://… provision plan …"
    )
    for model, name in (("hf:org/m", "the hub"), ("modelscope:Org/m", "ModelScope")):
        with pytest.raises(ProvisionError) as caught:
            checkpoint(model, env={"HF_ENDPOINT": url, "MODELSCOPE_ENDPOINT": url})
        assert caught.value.code is ExitCode.FAILED
        assert caught.value.message.startswith(f"{name} cannot be reached: {url}")


def test_an_answer_that_is_no_listing(hub: HuggingFace) -> None:
    with serve({"/api/models/org/m/revision/main": b"<html>"}) as wrong:
        with pytest.raises(ProvisionError) as caught:
            checkpoint("hf:org/m", env={"HF_ENDPOINT": wrong.url})
        assert "its answer is no listing" in caught.value.message


def test_modelscope(models: dict[str, Path]) -> None:
    with model_scope({"model.safetensors": models["whole"], "config.json": CONFIG}) as hub:
        env = {"MODELSCOPE_ENDPOINT": hub.url}
        found = checkpoint("modelscope:Org/m", env=env)
        assert found.received < found.nbytes / 100
        with pytest.raises(ProvisionError) as caught:
            checkpoint("modelscope:Org/other", env=env)
        assert caught.value.code is ExitCode.USAGE


def test_an_address(models: dict[str, Path]) -> None:
    with serve(
        {"/a/m.gguf": models["gguf"], "/b/model.safetensors": models["whole"], "/b/config.json": CONFIG}
    ) as at:
        assert checkpoint(f"{at.url}/a/m.gguf", env={}).format == "gguf"
        assert checkpoint(f"{at.url}/b/model.safetensors", env={}).shape.layers == 2
        with pytest.raises(ProvisionError) as caught:
            checkpoint(f"{at.url}/a/n.gguf", env={})
        assert (caught.value.code, caught.value.message) == (
            ExitCode.USAGE, f"{at.url}/a/n.gguf: no such file there (404)"
        )  # fmt: skip


def test_a_login_and_a_signature_of_an_address_are_used_and_never_shown(models: dict[str, Path]) -> None:
    with serve({"/m.gguf": models["gguf"], "/bad.gguf": b"GGUF and nothing"}) as at:
        secret = at.url.replace("://", "://me:pw@")
        assert checkpoint(f"{secret}/m.gguf?sign=abc", env={}).shape.source == f"{at.url}/m.gguf"
        assert at.headers_of("/m.gguf", "authorization") == {"Basic bWU6cHc="}
        for name in ("bad", "none"):
            with pytest.raises(ProvisionError) as caught:
                checkpoint(f"{secret}/{name}.gguf?sign=abc", env={})
            assert "pw" not in f"{caught.value.message} {caught.value.hint}"
            assert "sign" not in f"{caught.value.message} {caught.value.hint}"


def test_by_way_of_a_proxy(hub: HuggingFace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy is the hub itself: it only must be asked for another host's addresses."""
    monkeypatch.setenv("http_proxy", hub.url)
    monkeypatch.setenv("no_proxy", "")
    env = {"HF_ENDPOINT": "http://hub.invalid", "http_proxy": hub.url, "no_proxy": ""}
    assert checkpoint("hf:org/m", env=env).shape.layers == 2
    assert {seen.headers["host"] for seen in hub.hub.log} == {"hub.invalid"}


def test_a_companys_authority_is_trusted_where_it_is_named(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = authority(tmp_path / "localhost.pem")
    files: dict[str, bytes | Path] = {"model.safetensors": models["whole"], "config.json": CONFIG}
    # What asks for the listing reads it there, and leaves it there.
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with hugging_face(files, tls=serving(certificate)) as hub:
        env = {"HF_ENDPOINT": hub.url}
        assert checkpoint("hf:org/m", env={**env, "SSL_CERT_FILE": str(certificate)}).shape.layers == 2
        with pytest.raises(ProvisionError) as caught:
            checkpoint("hf:org/m", env=env)
        assert "certificate verify failed: self-signed certificate" in caught.value.message
