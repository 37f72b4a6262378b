"""A model folder that anyone can load, with nothing but torch and transformers."""

import json
import shutil
from pathlib import Path

from pipeline.model.modeling_sllama import SLlamaForCausalLM, SLlamaForSequenceClassification

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")


def export_model(
    model: SLlamaForCausalLM | SLlamaForSequenceClassification,
    folder: Path,
    tokenizer_dir: Path | None = None,
) -> None:
    """Write weights, configuration, modelling code and, if given, the tokenizer into `folder`.

    `AutoConfig`, `AutoModel`, `AutoModelForCausalLM` and `AutoModelForSequenceClassification` load
    it with `trust_remote_code=True`, in transformers 4.51 and later. `save_pretrained` does nearly
    all of it; here the names are added that differ between transformers 4 and 5.

    Raises:
        FileNotFoundError: `tokenizer_dir` has no tokenizer.json.
    """
    model.save_pretrained(folder)
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["torch_dtype"] = config["dtype"] = str(model.dtype).removeprefix("torch.")
    _write_json(path, config)
    # save_pretrained makes the weights private; a container's user has to read them, too.
    shutil.copymode(path, folder / "model.safetensors")
    if tokenizer_dir is not None:
        _copy_tokenizer(tokenizer_dir, folder, model.config.max_position_embeddings)


def _copy_tokenizer(source: Path, folder: Path, context: int) -> None:
    for name in TOKENIZER_FILES:
        if (source / name).exists() or name == "tokenizer.json":
            shutil.copyfile(source / name, folder / name)
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    # transformers 5 has names for fast tokenizers that transformers 4 does not know.
    config["tokenizer_class"] = "PreTrainedTokenizerFast"
    config["model_max_length"] = context  # where `truncation=True` cuts
    _write_json(path, config)


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")
