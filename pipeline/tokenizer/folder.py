"""The folder of a tokenizer: what AutoTokenizer of transformers 4 and 5 both load as a fast one."""

from dataclasses import asdict, dataclass
from pathlib import Path

from tokenizers import Tokenizer, processors

from pipeline.errors import SllamaError
from pipeline.io import write_json, write_text


@dataclass(frozen=True)
class SpecialTokens:
    """Names of the special tokens; each is an entry of the vocabulary."""

    bos: str
    eos: str
    unk: str | None
    pad: str


def write_folder(tokenizer: Tokenizer, special: SpecialTokens, out: Path) -> None:
    """Write tokenizer.json, tokenizer_config.json and special_tokens_map.json into `out`.

    transformers 5 saves a tokenizer class that version 4 does not know, so the class that both know
    is written here. SllamaError if a special token is no entry of the vocabulary.
    """
    names = {f"{key}_token": name for key, name in asdict(special).items() if name is not None}
    absent = [name for name in names.values() if tokenizer.token_to_id(name) is None]
    if absent:
        raise SllamaError(f"tokenizer: special tokens outside the vocabulary: {', '.join(absent)}")
    write_text(out / "tokenizer.json", tokenizer.to_str(pretty=True) + "\n")
    write_json(out / "special_tokens_map.json", names)
    write_json(
        out / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            # Version 4 rewrites "a ." to "a." on decoding unless told not to.
            "clean_up_tokenization_spaces": False,
            "model_input_names": ["input_ids", "attention_mask"],
            **names,
        },
    )


def add_bos(tokenizer: Tokenizer, bos: str) -> None:
    """Make the tokenizer begin a text, and the second text of a pair, with `bos`.

    It then does so wherever it is loaded, so the first token of a sentence is scored everywhere.
    """
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos}:0 $A:0",
        pair=f"{bos}:0 $A:0 {bos}:1 $B:1",
        special_tokens=[(bos, tokenizer.token_to_id(bos))],
    )
