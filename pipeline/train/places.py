"""What a run reads: checked before its first step."""

from pathlib import Path

from tokenizers import Tokenizer

from pipeline.errors import SllamaError

_TOKENIZER = "tokenizer.json"


def require_tokenizer_of(vocabulary: int, tokenizer: Path) -> None:
    """SllamaError unless the folder has a tokenizer with as many entries as the tokens have."""
    path = tokenizer / _TOKENIZER
    try:
        entries = Tokenizer.from_file(str(path)).get_vocab_size()
    except Exception as error:  # tokenizers raises nothing more specific
        raise SllamaError(f"{path}: no tokenizer there ({error}); see --tokenizer") from error
    if entries != vocabulary:
        raise SllamaError(
            f"{path} has {entries} entries, the tokens were made with {vocabulary}: "
            "they do not belong together"
        )
