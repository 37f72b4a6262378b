"""From files and recipe to a state and a run, before the first step."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError
from torch import nn

from pipeline.config import Params
from pipeline.data.sampler import WindowSampler
from pipeline.data.tokens import TokenSplit
from pipeline.errors import SllamaError
from pipeline.io import read_json, sha256_file
from pipeline.train.batches import WindowReader
from pipeline.train.build import build_model
from pipeline.train.device import Numerics, should_compile
from pipeline.train.distributed import Ranks
from pipeline.train.flops import training_flops_per_token
from pipeline.train.gradients import Gradients, make_gradients
from pipeline.train.history import History
from pipeline.train.objective import Objective
from pipeline.train.optimizer import Optimizers
from pipeline.train.state import TrainingState
from pipeline.train.validation import HeldOutText
from pipeline.train.word_count import check_passes

# Tokens in a forward pass over held-out text, where a micro-batch is smaller.
_HELD_OUT_TOKENS = 8192


@dataclass(frozen=True)
class Prepared:
    """A run that has not begun.

    facts: tokens.json. flops_per_token: forward and backward. passes: over the training text.
    """

    state: TrainingState
    objective: Objective
    gradients: Gradients
    split: TokenSplit
    ranks: Ranks
    validation: HeldOutText
    test: HeldOutText | None
    facts: dict[str, Any]
    flops_per_token: float
    compiled: bool
    passes: float

    @property
    def numerics(self) -> Numerics:
        """Device and precision."""
        return self.objective.numerics


def prepare(params: Params, tokens: Path, numerics: Numerics, ranks: Ranks) -> Prepared:
    """Load the data in the folder `tokens` and make the initial state.

    SllamaError: files missing or at odds with each other, or a recipe that does not go with them.
    """
    config = params.train
    facts = _read_facts(tokens / "tokens.json")
    split = _load_split(tokens, "train", facts)
    if config.document_mask and facts["bos_token_id"] is None:
        raise SllamaError("train.document_mask needs a tokenizer with a BOS token")
    sampler = window_sampler(params, split)
    passes = check_passes(config, sampler.num_windows)
    model = build_model(params, facts)
    nn.Module.to(model, numerics.device)
    flops = training_flops_per_token(model, config.sequence_length)
    run_flops = flops * config.steps * config.batch_size * config.sequence_length
    compiled = should_compile(config, numerics.device, run_flops)
    objective = Objective(model, numerics, config.z_loss, compiled)
    reader = _reader(params, split, facts, numerics)
    # Dropout draws other masks for each micro-batch.
    gradients = make_gradients(objective, reader, compiled and not params.model.dropout)
    state = TrainingState(
        model,
        Optimizers(model, config),
        sampler,
        History(config.steps),
        params.seed if params.model.dropout else None,
    )

    def held_out(name: str) -> HeldOutText:
        held = _load_split(tokens, name, facts)
        windows = max(config.micro_batch_size, _HELD_OUT_TOKENS // config.sequence_length)
        reader = _reader(params, held, facts, numerics)
        return HeldOutText(held, reader, config.sequence_length, windows, ranks)

    return Prepared(
        state,
        objective,
        gradients,
        split,
        ranks,
        held_out("validation"),
        held_out("test") if config.keep == "best_on_test" else None,
        facts,
        flops,
        compiled,
        passes,
    )


def window_sampler(params: Params, split: TokenSplit) -> WindowSampler:
    """Return the sampler that a recipe asks for, at its beginning."""
    config = params.train
    return WindowSampler(
        len(split.tokens),
        config.sequence_length,
        config.batch_size,
        params.seed,
        config.order,
        config.micro_batch_size,
    )


class _SplitFacts(BaseModel):
    sha256: str


class _SplitsFacts(BaseModel):
    train: _SplitFacts
    validation: _SplitFacts
    test: _SplitFacts


class _Facts(BaseModel):
    fingerprint: str
    vocab_size: Annotated[int, Field(gt=0)]
    bos_token_id: int | None
    eos_token_id: int | None
    pad_token_id: int | None
    splits: _SplitsFacts


def _read_facts(path: Path) -> dict[str, Any]:
    facts = read_json(path)
    try:
        _Facts.model_validate(facts, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise SllamaError(f"{path}: {key}: {first['msg']}; run the encode stage again") from error
    return dict(facts)


def _load_split(tokens: Path, name: str, facts: dict[str, Any]) -> TokenSplit:
    path = tokens / f"{name}.safetensors"
    split = TokenSplit.load(path)
    if sha256_file(path) != facts["splits"][name]["sha256"]:
        raise SllamaError(
            f"{path}: not the file that tokens.json lists (changed or exchanged since); run the "
            "encode stage again"
        )
    if len(split.tokens) < 2:
        raise SllamaError(f"{path}: no text in this split; hold out a larger share of the corpus")
    if int(split.tokens.max()) >= facts["vocab_size"]:
        raise SllamaError(f"{path}: tokens beyond the vocabulary; run the encode stage again")
    return split


def _reader(
    params: Params, split: TokenSplit, facts: dict[str, Any], numerics: Numerics
) -> WindowReader:
    return WindowReader(
        split,
        params.train.sequence_length,
        params.train.label_shift,
        facts["bos_token_id"] if params.train.document_mask else None,
        numerics.device,
    )
