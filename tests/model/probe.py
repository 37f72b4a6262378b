"""Run by a fresh interpreter, with torch and transformers alone: `probe.py FOLDER...`.

Loads each exported folder by its path through every Auto class and compares it with the tensors in
its `expected.safetensors`. Prints a JSON line for each. Imports nothing of the project.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)


def largest(difference: torch.Tensor) -> float:
    return difference.abs().max().item()


def main(folder: Path) -> None:
    expected = load_file(folder / "expected.safetensors")
    ids, mask = expected["ids"], expected["mask"]
    config = AutoConfig.from_pretrained(folder, trust_remote_code=True)
    base = AutoModel.from_pretrained(folder, trust_remote_code=True).eval()
    model, notes = AutoModelForCausalLM.from_pretrained(
        folder, trust_remote_code=True, output_loading_info=True
    )
    model.eval()
    classifier = AutoModelForSequenceClassification.from_pretrained(
        folder, trust_remote_code=True, num_labels=5
    ).eval()
    options: dict[str, Any] = {
        "max_new_tokens": 5,
        "eos_token_id": None,
        "pad_token_id": 0,
        "do_sample": False,
    }
    options["attention_mask"] = mask
    with torch.no_grad():
        hidden = base(ids, attention_mask=mask).last_hidden_state
        found = {
            "logits": largest(model(ids, attention_mask=mask).logits - expected["logits"]),
            "hidden": largest(hidden - expected["hidden"]),
            "classes": list(classifier(ids, attention_mask=mask).logits.shape),
            "generated": model.generate(ids, use_cache=config.use_cache, **options).tolist(),
            "beams": model.generate(
                ids, use_cache=config.use_cache, num_beams=3, **options
            ).tolist(),
            "uncached": model.generate(ids, use_cache=False, **options).tolist(),
        }
    found["missing"] = sorted(notes["missing_keys"])
    found["parameters"] = model.num_parameters()
    found["transformers"] = transformers.__version__
    found["ours"] = sorted(name for name in sys.modules if name.startswith("pipeline"))
    found["blocks"] = len({id(block) for block in model.model.attentions})
    if (folder / "tokenizer.json").exists():
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
        found["tokens"] = tokenizer("b a").input_ids
        found["fast"] = tokenizer.is_fast
    model.save_pretrained(folder / "again")
    again = AutoModelForCausalLM.from_pretrained(folder / "again", trust_remote_code=True).eval()
    with torch.no_grad():
        logits = again(ids, attention_mask=mask).logits
    found["again"] = largest(logits - expected["logits"])
    print(json.dumps(found))


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        main(Path(argument))
