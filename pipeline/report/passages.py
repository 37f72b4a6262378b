"""Text that the model wrote, as the report shows it: one block a prompt, a text a temperature."""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from pipeline.report.inputs import Inputs
from pipeline.report.records import Sample, SamplesTask

_ENDED, _CUT = " ∎", " …"


@dataclass(frozen=True)
class Passage:
    """What it was drawn with, what it was given, what it wrote."""

    label: str
    prompt: str
    text: str


@dataclass(frozen=True)
class Passages:
    """A caption, texts side by side, notes."""

    caption: str
    passages: tuple[Passage, ...]
    notes: tuple[str, ...] = ()


def passages(inputs: Inputs) -> Iterator[Passages]:
    """The texts of every task of samples, in the order of its file."""
    for task in inputs.sample_tasks.values():
        groups = groupby(task.samples, key=lambda sample: sample.prompt)
        blocks = [_block(prompt, list(samples)) for prompt, samples in groups]
        yield from blocks[:-1]
        yield Passages(blocks[-1].caption, blocks[-1].passages, tuple(_notes(task)))


def _block(prompt: str, samples: list[Sample]) -> Passages:
    caption = "After the beginning of a held-out document, in bold" if prompt else "After nothing"
    return Passages(caption, tuple(_passage(sample) for sample in samples))


def _passage(sample: Sample) -> Passage:
    end = _ENDED if sample.ended else _CUT
    label = f"temperature {sample.temperature:g}"
    return Passage(label, _printable(sample.prompt), _printable(sample.text).rstrip() + end)


def _notes(task: SamplesTask) -> Iterator[str]:
    yield (
        f"One drawing each (seed {task.seed}), none chosen. A text ends with ∎ where the model "
        f"ended it, with … where it was cut after {task.max_tokens} tokens."
    )


def _printable(text: str) -> str:
    """`text` with a replacement character for each control character but line ends and tabs."""
    return "".join(
        "\ufffd"
        if unicodedata.category(character) == "Cc" and character not in "\n\t"
        else character
        for character in text
    )
