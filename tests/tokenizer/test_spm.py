"""Converted SentencePiece models agree with SentencePiece."""

import io
import json
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer
from tokenizers import Tokenizer, normalizers

from pipeline.data.corpus import Document
from pipeline.errors import SllamaError
from pipeline.tokenizer.pretrained import load_pretrained
from pipeline.tokenizer.spm import convert, require_same_ids
from tests.tokenizer.corpora import sentences

MIRROR = os.environ.get("SLLAMA_DATA_MIRROR")
# As Llama's: BPE, no normalisation, a dummy space in front, bytes for unknown characters.
LLAMA_LIKE = {
    "model_type": "bpe",
    "byte_fallback": True,
    "normalization_rule_name": "identity",
    "remove_extra_whitespaces": False,
}
KINDS: dict[str, dict[str, object]] = {
    "bpe": LLAMA_LIKE,
    "bpe_without_dummy_space": LLAMA_LIKE | {"add_dummy_prefix": False},
    "unigram": {"model_type": "unigram", "byte_fallback": True},
}
TEXT = st.one_of(
    st.text(max_size=40), st.sampled_from(sentences(50)), st.text(" \n<s/>bad", max_size=20)
)


def train(folder: Path, **options: object) -> Path:
    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(sentences(2_000)),
        model_writer=model,
        vocab_size=600,
        minloglevel=2,
        **options,
    )
    path = folder / "tokenizer.model"
    path.write_bytes(model.getvalue())
    return path


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: train(tmp_path_factory.mktemp(name), **kind) for name, kind in KINDS.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_sentences_get_the_ids_that_sentencepiece_gives(paths: dict[str, Path], kind: str) -> None:
    tokenizer, _ = convert(paths[kind])
    require_same_ids(tokenizer, paths[kind], sentences(300, seed=9))


@pytest.mark.parametrize("kind", ["bpe", "bpe_without_dummy_space"])
@given(text=TEXT)
def test_any_text_gets_the_ids_that_sentencepiece_gives(
    paths: dict[str, Path], kind: str, text: str
) -> None:
    tokenizer, _ = convert(paths[kind])
    require_same_ids(tokenizer, paths[kind], [text])
    # U+2581 is SentencePiece's own sign for a space, and comes back as one.
    assert tokenizer.decode(tokenizer.encode(text).ids) == text.replace("▁", " ")


def test_bos_comes_first_and_pad_is_mapped_onto_unk(paths: dict[str, Path]) -> None:
    documents = [Document("speech", text) for text in sentences(5)]
    tokenizer, special = load_pretrained(str(paths["bpe"]), documents)
    reference = SentencePieceProcessor(model_file=str(paths["bpe"]))
    assert tokenizer.encode("Bada dee.").ids == reference.encode("Bada dee.", add_bos=True)
    assert (special.bos, special.eos, special.unk, special.pad) == ("<s>", "</s>", "<unk>", "<unk>")
    assert tokenizer.get_vocab_size() == reference.get_piece_size() == 600


def test_a_tokenizer_that_differs_is_refused(paths: dict[str, Path]) -> None:
    tokenizer, _ = convert(paths["bpe"])
    tokenizer.normalizer = normalizers.Replace(" ", "▁")  # the dummy space is gone
    with pytest.raises(SllamaError, match=r"differs from SentencePiece on the text 'Bada"):
        require_same_ids(tokenizer, paths["bpe"], ["Bada dee."])


def test_a_model_without_bos_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SllamaError, match="without BOS or EOS"):
        convert(train(tmp_path, bos_id=-1, **LLAMA_LIKE))


@pytest.fixture(scope="module")
def mirror() -> Path:
    if not MIRROR:
        pytest.skip("SLLAMA_DATA_MIRROR is not set")
    return Path(MIRROR)


@pytest.fixture(scope="module")
def llama(mirror: Path) -> tuple[Tokenizer, Path]:
    path = mirror / "tokenizers/llama/tokenizer.model"
    return load_pretrained(str(path), [])[0], path


@pytest.mark.mirror
@given(
    text=st.one_of(
        st.text(max_size=80), st.text(" \n\t", max_size=60), st.text("ab -.", max_size=40)
    )
)
def test_llama_gives_sentencepiece_ids_on_any_text(
    llama: tuple[Tokenizer, Path], text: str
) -> None:
    tokenizer, path = llama
    require_same_ids(tokenizer, path, [text])


@pytest.mark.mirror
@pytest.mark.slow
def test_llama_gives_sentencepiece_ids_on_every_sentence_of_blimp(
    llama: tuple[Tokenizer, Path], mirror: Path
) -> None:
    """And so what a scorer that knows nothing gets: 91.94 with ties as correct, 51.4 as half."""
    tokenizer, path = llama
    correct, half = [], []
    with tarfile.open(mirror / "babylm_eval/babylm_eval.tar.xz") as members:
        for member in members:
            if "full_eval/blimp_filtered/" not in member.name or not member.isfile():
                continue
            stream = members.extractfile(member)
            assert stream is not None
            pairs = [json.loads(line) for line in stream.read().decode().splitlines()]
            good = [pair["sentence_good"] for pair in pairs]
            bad = [pair["sentence_bad"] for pair in pairs]
            require_same_ids(tokenizer, path, good + bad)
            lengths = [
                (len(first.ids), len(second.ids))
                for first, second in zip(
                    tokenizer.encode_batch(good), tokenizer.encode_batch(bad), strict=True
                )
            ]
            shorter = sum(first < second for first, second in lengths) / len(pairs)
            ties = sum(first == second for first, second in lengths) / len(pairs)
            correct.append(shorter + ties)
            half.append(shorter + ties / 2)
    assert len(correct) == 67
    assert round(100 * sum(correct) / 67, 2) == 91.94
    assert round(100 * sum(half) / 67, 1) == 51.4
