"""Where a run reads and writes: checked before its first step."""

from pathlib import Path

from tokenizers import Tokenizer

from pipeline.errors import SllamaError

_TOKENIZER, _CONFIG = "tokenizer.json", "config.json"


def replaceable(model: Path) -> Path:
    """Return the absolute path of a folder that the model may take the place of.

    SllamaError: it holds something else than a model, or the process works in it.
    """
    folder = model.resolve()
    if Path.cwd().is_relative_to(folder):
        raise SllamaError(f"{model}: the model would replace the folder you work in; name another")
    if folder.exists() and not folder.is_dir():
        raise SllamaError(f"{model}: a file is in the way; the model is a folder")
    if folder.exists() and any(folder.iterdir()) and not (folder / _CONFIG).is_file():
        raise SllamaError(f"{model}: holds something else than a model; name a folder of its own")
    return folder


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
