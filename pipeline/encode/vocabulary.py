"""A tokenizer folder as the encode stage needs it: text to arrays of ids."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from pipeline.data.tokens import token_dtype
from pipeline.errors import SllamaError
from pipeline.io import read_json, sha256_file


@dataclass(frozen=True)
class Vocabulary:
    """A tokenizer with the ids that frame a document."""

    tokenizer: Tokenizer
    size: int
    bos: int
    eos: int
    pad: int
    sha256: str

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a tokenizer folder; SllamaError if it is none, or if it does not add BOS itself."""
        path = folder / "tokenizer.json"
        names = read_json(folder / "tokenizer_config.json")
        if not isinstance(names, dict):
            raise SllamaError(f"{folder / 'tokenizer_config.json'}: a JSON object is expected")
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # tokenizers raises nothing more specific
            raise SllamaError(f"{path}: not a tokenizer.json ({error})") from error
        bos, eos, pad = (
            tokenizer.token_to_id(str(names.get(f"{name}_token"))) for name in ("bos", "eos", "pad")
        )
        if bos is None or eos is None or pad is None or tokenizer.encode("").ids != [bos]:
            raise SllamaError(
                f"{folder}: a tokenizer that adds BOS and knows EOS and padding is needed; "
                "run the tokenizer stage"
            )
        # A corpus may contain "</s>" as text; only this module may put the token there.
        tokenizer.encode_special_tokens = True
        size = max(tokenizer.get_vocab().values()) + 1
        return cls(tokenizer, size, bos, eos, pad, sha256_file(path))

    def encode(self, texts: list[str]) -> list[npt.NDArray[Any]]:
        """Return BOS ... EOS for each text, as arrays of the type that the vocabulary needs."""
        dtype = token_dtype(self.size)
        encodings = self.tokenizer.encode_batch_fast(texts)
        return [np.array([*encoding.ids, self.eos], dtype=dtype) for encoding in encodings]

    def describe(self) -> dict[str, Any]:
        """Return what a reader of the tokens has to know."""
        return {
            "vocab_size": self.size,
            "dtype": np.dtype(token_dtype(self.size)).name,
            "bos_token_id": self.bos,
            "eos_token_id": self.eos,
            "pad_token_id": self.pad,
        }
