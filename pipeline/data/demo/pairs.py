"""Draws the minimal pairs and writes them in BLiMP's format."""

import json
from functools import cache
from pathlib import Path

from pipeline.data.demo.dice import Dice
from pipeline.data.demo.paradigms import PARADIGMS, Paradigm
from pipeline.data.demo.paradigms.base import Pair
from pipeline.io import write_text
from pipeline.seeding import derive_seed

# The pairs are a fixed artefact, as the corpus is.
PAIRS_SEED = 20251123
PAIRS_PER_PARADIGM = 250


@cache
def draw_pairs(paradigm: Paradigm) -> tuple[Pair, ...]:
    """Return the paradigm's (good, bad) pairs; no sentence occurs twice in it."""
    dice = Dice(derive_seed(PAIRS_SEED, "pairs", paradigm.uid))
    pairs: list[Pair] = []
    seen: set[str] = set()
    while len(pairs) < PAIRS_PER_PARADIGM:
        drawn = paradigm.draw(dice)
        sentences = {sentence for pair in drawn for sentence in pair}
        if len(sentences) == 4 and not sentences & seen:
            seen |= sentences
            pairs += drawn
    return tuple(pairs)


@cache
def pair_sentences() -> frozenset[str]:
    """Return every sentence, good or bad, of every paradigm."""
    return frozenset(
        sentence for paradigm in PARADIGMS for pair in draw_pairs(paradigm) for sentence in pair
    )


def write_pairs(out: Path) -> None:
    """Write `<UID>.jsonl` for each paradigm, a pair a line, with BLiMP's fields."""
    for paradigm in PARADIGMS:
        records = [
            _record(paradigm, number, pair) for number, pair in enumerate(draw_pairs(paradigm))
        ]
        text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
        write_text(out / f"{paradigm.uid}.jsonl", text)


def _record(paradigm: Paradigm, number: int, pair: Pair) -> dict[str, str | bool]:
    good, bad = pair
    return {
        "sentence_good": good,
        "sentence_bad": bad,
        "field": paradigm.field,
        "linguistics_term": paradigm.term,
        "UID": paradigm.uid,
        "simple_LM_method": True,
        "one_prefix_method": paradigm.prefix == "one_prefix",
        "two_prefix_method": paradigm.prefix == "two_prefix",
        "lexically_identical": _words(good) == _words(bad),
        "pairID": str(number),
    }


def _words(sentence: str) -> list[str]:
    return sorted(sentence[:-1].lower().split())
