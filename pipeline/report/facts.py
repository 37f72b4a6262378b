"""What was trained, on what, for how long: the tables that are not scores."""

from pipeline.report.inputs import Inputs
from pipeline.report.numbers import count, fixed, percent
from pipeline.report.records import TrainMetrics
from pipeline.report.tables import Row, Table


def parameter_table(inputs: Inputs) -> Table:
    """Parameters by component, each counted once however often it is used."""
    train = inputs.train
    rows = [
        Row((name, count(size), percent(size / train.parameters)))
        for name, size in sorted(
            train.parameters_by_component.items(), key=lambda item: (-item[1], item[0])
        )
    ]
    total = Row(("total", count(train.parameters), percent(1.0)), "total")
    return Table(
        "Parameters by component",
        ("Component", "Parameters", "Share %"),
        (*rows, total),
        notes=("A tensor that several layers share is counted once.",),
    )


def data_table(inputs: Inputs) -> Table:
    """The corpus by split."""
    tokens = inputs.tokens
    rows = [
        Row(
            (
                name,
                count(split.documents),
                count(split.words),
                count(split.tokens),
                count(split.bytes),
            )
        )
        for name, split in tokens.splits.items()
    ]
    return Table(
        f"Data: {tokens.source}",
        ("Split", "Documents", "Words", "Tokens", "Bytes"),
        tuple(rows),
        notes=(
            f"Sources: {', '.join(tokens.sources)}. Vocabulary: {count(tokens.vocab_size)} "
            f"entries, stored as {tokens.dtype}. Fingerprint: {tokens.fingerprint}.",
        ),
    )


def training_table(inputs: Inputs) -> Table:
    """How long training was, and where it ended."""
    train = inputs.train
    figures = {
        "Steps": count(train.steps),
        "Tokens seen": count(train.tokens_seen),
        "Words seen": count(train.words_seen),
        "Passes over the training split": fixed(train.passes, 2),
        "Training loss, nats a token": fixed(train.train_loss, 4),
        **_kept(train),
        "Validation loss, nats a token": fixed(train.validation.loss, 4),
        "Validation bits per byte": fixed(train.validation.bits_per_byte, 4),
        "Validation perplexity a token": fixed(train.validation.perplexity, 2),
    }
    rows = (Row((name, figure)) for name, figure in figures.items())
    return Table("Where training ended", ("Figure", "Value"), tuple(rows))


def _kept(train: TrainMetrics) -> dict[str, str]:
    """Say which weights were kept, if not the last: what follows is theirs."""
    if train.kept_step in {None, train.steps}:
        return {}
    return {"Weights kept, those after step": count(train.kept_step or 0)}


def origin_table(inputs: Inputs) -> Table:
    """Which corpus, weights, tokenizer and software the figures come from."""
    evaluation, tokens = inputs.evaluation, inputs.tokens
    rows = [
        Row(("seed", str(inputs.params.seed))),
        Row(("corpus", tokens.source)),
        Row(("tokens fingerprint", tokens.fingerprint)),
        Row(("model fingerprint", evaluation.model.fingerprint)),
        Row(("tokenizer fingerprint", evaluation.tokenizer.fingerprint)),
        Row(("scorer", evaluation.scorer)),
        Row(("dtype", evaluation.dtype)),
        *(Row(item) for item in sorted(evaluation.versions.items())),
    ]
    return Table(
        "Where the figures come from",
        ("What", "Value"),
        tuple(rows),
        frozenset({0, 1}),
        (
            "Commit, machine and time of each stage stand in the .provenance.json beside its "
            "output. They are left out here: the same inputs make the same report.",
        ),
    )
