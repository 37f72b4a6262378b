"""Tokenizers that others made."""

import importlib
import json
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub.errors import HfHubHTTPError
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from pipeline.errors import SllamaError
from pipeline.tokenizer.folder import SpecialTokens
from pipeline.tokenizer.pretrained import load_pretrained

VOCABULARY = {"<unk>": 0, "[CLS]": 1, "<end>": 2, "a": 3, "b": 4}


def write_tokenizer(folder: Path, config: dict[str, object] | None) -> Path:
    """A word-level tokenizer that cuts texts off, pads them and frames them: [CLS] ... <end>."""
    tokenizer = Tokenizer(models.WordLevel(VOCABULARY, unk_token="<unk>"))  # noqa: S106
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(["<unk>", "[CLS]", "<end>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A <end>", special_tokens=[("[CLS]", 1), ("<end>", 2)]
    )
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=8)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    if config is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def test_bos_is_added_and_nothing_else_is_added_or_cut_off(tmp_path: Path) -> None:
    config = {"bos_token": {"content": "[CLS]"}, "eos_token": "<end>", "unk_token": "<unk>"}
    tokenizer, special = load_pretrained(str(write_tokenizer(tmp_path, config)), [])
    assert tokenizer.encode("a b a b a b a b a b").ids == [1, *[3, 4] * 5]
    assert special == SpecialTokens(bos="[CLS]", eos="<end>", unk="<unk>", pad="<unk>")


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"eos_token": "<end>"}, SpecialTokens("<end>", "<end>", None, "<end>")),
        (
            {"cls_token": "[CLS]", "sep_token": "<end>"},
            SpecialTokens("[CLS]", "<end>", None, "<end>"),
        ),
        (
            {"bos_token": "[CLS]", "eos_token": "<end>", "pad_token": "<gone>", "unk_token": None},
            SpecialTokens("[CLS]", "<end>", None, "<end>"),
        ),
    ],
)  # fmt: skip
def test_missing_special_tokens_are_mapped_onto_others(
    tmp_path: Path, config: dict[str, object], expected: SpecialTokens
) -> None:
    tokenizer, special = load_pretrained(str(write_tokenizer(tmp_path, config)), [])
    assert special == expected
    assert tokenizer.get_vocab_size() == len(VOCABULARY)
    assert tokenizer.encode("a").ids == [VOCABULARY[expected.bos], 3]


def test_a_relative_path_is_looked_up_in_the_mirror(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tokenizer(tmp_path / "tokenizers/words", {"eos_token": "<end>"})
    monkeypatch.setenv("SLLAMA_DATA_MIRROR", str(tmp_path))
    tokenizer, _ = load_pretrained("tokenizers/words", [])
    assert tokenizer.get_vocab() == VOCABULARY


def test_a_hub_name_is_fetched_at_its_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def download(name: str, revision: str | None, allow_patterns: list[str]) -> str:
        asked.append((name, revision))
        return str(write_tokenizer(tmp_path, {"eos_token": "<end>"}))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    load_pretrained("someone/words", [])
    load_pretrained("someone/words@abc123", [])
    assert asked == [("someone/words", None), ("someone/words", "abc123")]


def test_a_hub_that_does_not_answer_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def download(*_: object, **__: object) -> str:
        raise FileNotFoundError("no connection\nand no cached copy")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(
        SllamaError, match=r"someone/words: no such path.*\(no connection\).*MIRROR"
    ):
        load_pretrained("someone/words", [])


# Of the HTTP client that this version of huggingface_hub has; no OSError.
CLIENT = HfHubHTTPError.__bases__[0].__module__.partition(".")[0]
PROXY_ERROR: type[Exception] = importlib.import_module(CLIENT).ProxyError


@pytest.mark.parametrize(
    ("text", "reason"), [("the proxy says no", "the proxy says no"), ("", "ProxyError")]
)
def test_a_connection_that_breaks_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, text: str, reason: str
) -> None:
    def download(*_: object, **__: object) -> str:
        raise PROXY_ERROR(text)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(SllamaError, match=rf"the Hub did not give it \({reason}\); .*MIRROR"):
        load_pretrained("someone/words", [])


def test_what_is_no_tokenizer_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLLAMA_DATA_MIRROR", raising=False)
    with pytest.raises(SllamaError, match=r"llama/tokenizer\.model: no such file.*names no mirror"):
        load_pretrained("tokenizers/llama/tokenizer.model", [])
    with pytest.raises(SllamaError, match=r"neither tokenizer\.model nor tokenizer\.json"):
        load_pretrained(str(tmp_path), [])
    for name in ("tokenizer.json", "tokenizer.model"):
        (tmp_path / name).write_text("{}")
        with pytest.raises(SllamaError, match=f"{name}: not a "):
            load_pretrained(str(tmp_path / name), [])


def test_a_tokenizer_without_declared_bos_and_eos_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SllamaError, match="no BOS or EOS token is declared"):
        load_pretrained(str(write_tokenizer(tmp_path, None)), [])
