"""From a SentencePiece model to a fast tokenizer that gives the same ids.

The token counts of minimal pairs decide what a scorer that knows nothing gets, so the fast
tokenizer has to agree with SentencePiece itself, dummy leading space included; `require_same_ids`
checks it.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sentencepiece import SentencePieceProcessor, sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers

from pipeline.errors import SllamaError
from pipeline.tokenizer.folder import SpecialTokens

_SPACE = "▁"
_UNIGRAM, _BPE = 1, 2
_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED = 1, 2, 3, 4


def convert(path: Path) -> tuple[Tokenizer, SpecialTokens]:
    """Return the SentencePiece model at `path` as a fast tokenizer, and its special tokens.

    A missing pad token is mapped onto the unknown token, which with byte fallback no text contains,
    so the vocabulary stays as it is. SllamaError if `path` holds no BPE or unigram model with BOS
    and EOS.
    """
    proto = sentencepiece_model_pb2.ModelProto()  # type: ignore[attr-defined]
    try:
        proto.ParseFromString(path.read_bytes())
        tokenizer = Tokenizer(_model(proto))
    except Exception as error:
        raise SllamaError(f"{path}: not a SentencePiece BPE or unigram model ({error})") from error
    tokenizer.normalizer = _normalizer(proto)
    tokenizer.decoder = _decoder(proto)
    _mark_special(tokenizer, proto)
    return tokenizer, _special_tokens(path, proto)


def require_same_ids(tokenizer: Tokenizer, path: Path, texts: Iterable[str]) -> None:
    """Raise SllamaError if a text gets other ids than SentencePiece gives with the model `path`."""
    reference = SentencePieceProcessor(model_file=str(path))
    # To SentencePiece "</s>" inside a text is text. The switch is not saved with the tokenizer.
    tokenizer.encode_special_tokens = True
    checked = list(texts)
    encodings = tokenizer.encode_batch_fast(checked, add_special_tokens=False)
    for text, encoding, ids in zip(checked, encodings, reference.encode(checked), strict=True):
        if encoding.ids != ids:
            raise SllamaError(
                f"{path}: the fast tokenizer made of it differs from SentencePiece on the text "
                f"{text[:60]!r}...; give a tokenizer.json instead"
            )


def _model(proto: Any) -> models.Model:
    spec, pieces = proto.trainer_spec, proto.pieces
    if spec.model_type == _UNIGRAM:
        scores = [(piece.piece, piece.score) for piece in pieces]
        return models.Unigram(scores, spec.unk_id, spec.byte_fallback)
    if spec.model_type != _BPE:
        raise ValueError("another kind of model")
    return models.BPE(
        {piece.piece: index for index, piece in enumerate(pieces)},
        _merges({piece.piece: piece.score for piece in pieces if piece.type == _NORMAL}),
        unk_token=spec.unk_piece,
        fuse_unk=True,
        byte_fallback=spec.byte_fallback,
    )


def _merges(scores: dict[str, float]) -> list[tuple[str, str]]:
    """Return every way to put a piece together, in the order in which SentencePiece takes them.

    The highest score first. Pieces of equal score are runs of spaces: SentencePiece takes the
    leftmost pair, so a run grows from its left end, which is the longest left part first.
    """
    ways = [
        (piece[:cut], piece[cut:])
        for piece in scores
        for cut in range(1, len(piece))
        if piece[:cut] in scores and piece[cut:] in scores
    ]
    return sorted(ways, key=lambda way: (-scores[way[0] + way[1]], -len(way[0])))


def _normalizer(proto: Any) -> normalizers.Normalizer:
    spec = proto.normalizer_spec
    steps: list[normalizers.Normalizer] = []
    if spec.precompiled_charsmap:
        steps.append(normalizers.Precompiled(spec.precompiled_charsmap))
    if spec.remove_extra_whitespaces:
        steps += [normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")]
    if spec.add_dummy_prefix:
        steps.append(normalizers.Prepend(_SPACE))
    return normalizers.Sequence([*steps, normalizers.Replace(" ", _SPACE)])


def _decoder(proto: Any) -> decoders.Decoder:
    steps = [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    if proto.normalizer_spec.add_dummy_prefix:
        steps.append(decoders.Strip(" ", 1, 0))
    return decoders.Sequence(steps)


def _mark_special(tokenizer: Tokenizer, proto: Any) -> None:
    for piece in proto.pieces:
        if piece.type in {_UNKNOWN, _CONTROL}:
            tokenizer.add_special_tokens([AddedToken(piece.piece, normalized=False, special=True)])
        elif piece.type == _USER_DEFINED:
            tokenizer.add_tokens([AddedToken(piece.piece, normalized=False)])


def _special_tokens(path: Path, proto: Any) -> SpecialTokens:
    spec = proto.trainer_spec
    ids = {"bos": spec.bos_id, "eos": spec.eos_id, "unk": spec.unk_id, "pad": spec.pad_id}
    names = {name: proto.pieces[index].piece for name, index in ids.items() if index >= 0}
    if not {"bos", "eos", "unk"} <= set(names):
        raise SllamaError(f"{path}: a SentencePiece model without BOS or EOS; take another one")
    return SpecialTokens(names["bos"], names["eos"], names["unk"], names.get("pad", names["unk"]))
