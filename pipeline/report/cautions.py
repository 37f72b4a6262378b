"""What a reader has to know before any figure of the run: choices that bend its meaning."""

from collections.abc import Iterator

from pipeline.report.inputs import Inputs
from pipeline.report.numbers import count, fixed

_CHALLENGE_PASSES = 10


def cautions(inputs: Inputs) -> Iterator[str]:
    """One sentence for each choice of the recipe that a bare score would hide."""
    params = inputs.params
    if inputs.evaluation.model.looks_ahead or params.model.embedding == "attn":
        yield (
            "The model looks ahead, as model.embedding: attn does: what it says of a token depends "
            "on later ones; losses and scores are not those of a causal language model."
        )
    if params.train.label_shift != 1:
        yield (
            "train.label_shift: 2 trains on the token after next, as the released script does; "
            "the model is scored on the next token all the same."
        )
    if params.train.keep == "best_on_test":
        yield (
            "train.keep: best_on_test chose the weights on the test split: no figure on that "
            "split is held out."
        )
    if inputs.train.skipped_batches:
        yield (
            f"{count(inputs.train.skipped_batches)} batches with a non-finite loss were skipped "
            "in training."
        )
    for name, task in inputs.text_tasks.items():
        if task.unread_bytes:
            yield (
                f"{name}: {count(task.unread_bytes)} of {count(task.bytes)} bytes are of "
                "characters that the tokenizer drops or does not know: bits per byte look better "
                "than they are, beside those of other tokenizers."
            )
    if inputs.train.passes > _CHALLENGE_PASSES:
        yield (
            f"{fixed(inputs.train.passes, 2)} passes over the training split: the BabyLM Challenge "
            f"allows {_CHALLENGE_PASSES}."
        )
