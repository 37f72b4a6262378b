"""Small models, tokenizers and benchmark files for the tests of this room."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from pipeline.config import EvaluateConfig

PAIRS = [
    ("The cats annoy Tim.", "The cats annoys Tim."),
    ("The cat annoys Tim.", "The cat annoy Tim."),
    ("These dogs are loud.", "These dogs is loud."),
    ("A dog that likes cats is loud.", "A dog that likes cats are loud."),
    ("Who did the dog see?", "Who did the dog see the cat?"),
    ("Naïve café — 你好 🙂.", "Naïve cafés — 你好 🙂."),
]


def write_pairs(folder: Path, name: str, pairs: list[tuple[str, str]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows = [{"sentence_good": good, "sentence_bad": bad} for good, bad in pairs]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")


def make_tokenizer(folder: Path, vocab_size: int = 300) -> Path:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=["<s>", "</s>", "<pad>", "<unk>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([text for pair in PAIRS for text in pair], trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 0)]
    )
    names = ("bos_token", "eos_token", "pad_token", "unk_token")
    special = dict(zip(names, ("<s>", "</s>", "<pad>", "<unk>"), strict=True))
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)
    fast.save_pretrained(folder)
    return folder


def make_model(folder: Path, zero_head: bool = False, context: int = 64) -> Path:
    """Write a seeded two-layer Llama with large weights, so that its scores differ widely."""
    make_tokenizer(folder)
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=300,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=context,
            tie_word_embeddings=False,
            bos_token_id=0,
            eos_token_id=1,
            pad_token_id=2,
        )
    )
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.mul_(5)
        if zero_head:
            model.lm_head.weight.zero_()
    model.save_pretrained(folder)
    return folder


def remove_weights(folder: Path, *names: str) -> None:
    """Take tensors out of the weights in a folder, as a broken export does."""
    weights = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if name not in names}
    assert len(kept) == len(weights) - len(names)
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})


def train_model(folder: Path, texts: list[str], steps: int = 60) -> float:
    """Train the model in a folder on texts, in place, and return the last loss."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rows = [torch.tensor(tokenizer(text)["input_ids"]) for text in texts]
    model = LlamaForCausalLM.from_pretrained(folder)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        chosen = torch.randint(len(rows), (32,), generator=generator).tolist()
        batch = pad_sequence([rows[i] for i in chosen], batch_first=True, padding_value=-100)
        loss = model(input_ids=batch.clamp(min=0), labels=batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)
    return float(loss.item())


def make_config(**changes: Any) -> EvaluateConfig:
    values: dict[str, Any] = {
        "tasks": ["demo_pairs"],
        "null_scorers": ["uniform"],
        "dtype": "float32",
        "device": "cpu",
        "max_batch_tokens": 512,
        "bootstrap_samples": 100,
        "allow_nonfinite": False,
        "allow_missing": True,
    }
    return EvaluateConfig(**(values | changes))
