"""Text that the model writes: after nothing, and after the beginnings of held-out documents."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from pipeline.evaluate.forward import without_cache
from pipeline.evaluate.heldout import HeldoutDocument, heldout_documents
from pipeline.evaluate.results import NonFiniteError
from pipeline.evaluate.settings import Settings, settings_of
from pipeline.progress import Progress
from pipeline.seeding import derive_seed


class _Samples(Settings):
    temperatures: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(strict=False)]
    max_tokens: Annotated[int, Field(gt=0)]
    prompts: Annotated[int, Field(ge=0)]
    prompt_words: Annotated[int, Field(gt=0)]


def write_samples(
    task: str, metadata: dict[str, Any], scorer: Any, tokens: Path | None, seed: int
) -> dict[str, Any]:
    """Return the task's entry in the results: for each prompt and temperature a text, as sampled.

    `scorer` is a FastScorer; `metadata` has `temperatures`, `max_tokens` (of a continuation),
    `prompts` (documents that lend their beginning, one a source) and `prompt_words`. Nothing is
    chosen among several drawings: each text is the only one of its random stream, which hangs on
    `seed`, prompt and temperature alone. Raises MissingDataError without a held-out text,
    NonFiniteError where a logit is not finite, SllamaError if the metadata is wrong.
    """
    wanted = settings_of(_Samples, task, metadata)
    documents = heldout_documents(tokens)
    prompts = ["", *beginnings(documents, wanted.prompts, wanted.prompt_words)]
    samples = []
    with Progress(task, len(prompts) * len(wanted.temperatures), "text") as shown:
        for number, prompt in enumerate(prompts):
            for temperature in wanted.temperatures:
                stream = np.random.default_rng(derive_seed(seed, number, str(temperature)))
                text, ended = continue_text(scorer, prompt, temperature, wanted.max_tokens, stream)
                samples.append(
                    {"prompt": prompt, "temperature": temperature, "text": text, "ended": ended}
                )
                shown.advance(1)
    return {
        "status": "ok",
        "reason": None,
        "n": len(samples),
        "seed": seed,
        "max_tokens": wanted.max_tokens,
        "samples": samples,
        "null": {},
    }


def beginnings(documents: list[HeldoutDocument], count: int, words: int) -> Iterator[str]:
    """Yield the first `words` words of the first document of each of the first `count` sources."""
    first: dict[str, str] = {}
    for document in documents:
        first.setdefault(document.source, document.text)
    for text in list(first.values())[:count]:
        match = re.match(rf"\s*(?:\S+\s+){{0,{words - 1}}}\S+", text)
        if match:
            yield match.group().strip()


def continue_text(
    scorer: Any, prompt: str, temperature: float, max_tokens: int, stream: np.random.Generator
) -> tuple[str, bool]:
    """Return what the model writes after `prompt`, and whether it ended the document itself.

    A text longer than the context goes on from its last tokens. Every step is a whole forward
    pass, so that a model whose cache and forward pass differ is shown as it was scored.
    """
    import torch

    tokenizer = scorer.encoder.tokenizer
    (encoded,) = scorer.encoder.encode_documents([prompt])
    tokens = list(encoded.tokens)
    length = len(tokens)
    ends = {tokenizer.tokenizer.eos_token_id, tokenizer.prefix_token}
    ended, options = False, without_cache(scorer.model)
    with torch.inference_mode():
        while not ended and len(tokens) < length + max_tokens:
            window = torch.tensor([tokens[-scorer.max_length :]], device=scorer.device)
            logits = scorer.model(input_ids=window, **options).logits[0, -1]
            vocabulary = logits[: tokenizer.vocab_size].double().cpu().numpy()
            token = draw(vocabulary, temperature, stream)
            ended = token in ends
            if not ended:
                tokens.append(token)
    decode = tokenizer.tokenizer.decode
    shown = {"skip_special_tokens": True, "clean_up_tokenization_spaces": False}
    # Decoded as a whole: alone, a continuation could lose the space it starts with.
    begun = decode(tokens[:length], **shown)
    return str(decode(tokens, **shown))[len(begun) :], ended


def draw(logits: npt.NDArray[np.float64], temperature: float, stream: np.random.Generator) -> int:
    """Return a token drawn from softmax(logits / temperature), by its cumulative distribution.

    NonFiniteError if a logit is not finite.
    """
    if not np.isfinite(logits).all():
        raise NonFiniteError("samples: a logit is not finite; drop the task, or train again")
    scaled = logits / temperature
    cumulative = np.cumsum(np.exp(scaled - scaled.max()))
    place = np.searchsorted(cumulative, stream.random() * cumulative[-1], side="right")
    return int(min(place, len(logits) - 1))
