"""Table 1: the paper's claims, the scorers that know nothing, our runs, published baselines."""

from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter

from pipeline.io import read_yaml
from pipeline.paper.cells import (
    MISSING,
    NONE,
    NOT_AVAILABLE,
    NOT_RUN,
    ONE_EACH,
    bits_difference_cells,
    bits_differences,
    choice_cell,
    common_seeds,
    difference_cells,
    item_difference,
    p_cell,
    score_cell,
    seed_difference,
    seeds_cell,
    size_cells,
)
from pipeline.paper.inputs import Inputs
from pipeline.paper.rows import label_of, labelled, row_kind
from pipeline.paper.settings import Role, Variant
from pipeline.report.catalogues import PublishedModel, published
from pipeline.report.numbers import count
from pipeline.report.records import ChoiceFigures
from pipeline.report.tables import Row, Table

_CLAIM = "(paper)"
_FAULTS = {
    ("label_shift", 2): "labels shifted twice",
    ("order", "contiguous"): "contiguous batches",
    ("keep", "best_on_test"): "weights chosen on the test split",
}
_ROLES: tuple[Role, ...] = ("supplement", "entity", "ewok")
_TITLES = {"supplement": "Supplement %", "entity": "Entity %", "ewok": "EWoK %"}
_SIGNIFICANCE_NOTES = (
    "Items: credits averaged over the common seeds, then a bootstrap over items within paradigms "
    "and an exact sign test on the items that differ; it says nothing of other seeds.",
    "Seeds: Student's t on the differences of runs that share a seed. With two or three seeds it "
    "has little power: a wide interval is no evidence that there is no difference. Bits per byte, "
    "held-out text, likewise; there more is worse.",
    ONE_EACH,
)


@cache
def more_published() -> dict[str, dict[str, str]]:
    """Scores that pipeline/report/published.yaml has no column for, by model, then by role."""
    path = Path(__file__).with_name("published.yaml")
    return TypeAdapter(dict[str, dict[str, str]]).validate_python(read_yaml(path))


def headline_table(inputs: Inputs) -> Table:
    """One row a model; a published BLiMP score stands where the items are the same."""
    task = inputs.pairs
    titles = (_TITLES[role] for role in _ROLES)
    claims = [model for model in published().models if _CLAIM in model.name]
    others = [model for model in published().models if _CLAIM not in model.name]
    return Table(
        "Table 1. Headline",
        (
            "Model",
            "Parameters",
            "Words seen",
            "Tokens seen",
            f"{task} %",
            "First-wins %",
            "Tie rate %",
            *titles,
            "Bits per byte",
            "Seeds",
            "Source",
        ),
        (
            *(_published_row(inputs, model) for model in claims),
            *_null_rows(inputs),
            *_own_rows(inputs),
            *(_published_row(inputs, model) for model in others),
        ),
        frozenset({0, 12}),
        tuple(_notes(inputs)),
    )


def significance_table(inputs: Inputs) -> Table:
    """The reference minus every other row of Table 1."""
    reference = inputs.settings.reference
    name, own = label_of(inputs, reference, "parts"), inputs.runs.get(reference, [])
    rows = []
    for label, variant in labelled(inputs, "headline"):
        if variant.name == reference:
            continue
        runs = inputs.runs.get(variant.name, [])
        items, seeds = item_difference(inputs, own, runs), seed_difference(inputs, own, runs)
        bits = bits_differences(inputs, own, runs)
        state = NOT_RUN if not runs or not own else NONE
        rows.append(
            Row(
                (
                    label,
                    *(difference_cells(items) if items else (state, state)),
                    p_cell(items.sign_p) if items else state,
                    *(difference_cells(seeds) if seeds else (state, state)),
                    p_cell(seeds.p) if seeds else state,
                    *(bits_difference_cells(bits) if bits else (state, state)),
                    str(len(common_seeds(own, runs)[0])) if own and runs else state,
                ),
                row_kind(inputs, variant, runs),
            )
        )
    return Table(
        f"Table 1b. {name} minus the others: {inputs.pairs}, points; bits per byte",
        (
            f"{name} minus",
            "Items: difference",
            "95% interval",
            "sign test p",
            "Seeds: difference",
            "95% interval (t)",
            "t-test p",
            "Bits per byte: difference",
            "95% interval of bits (t)",
            "Seeds",
        ),
        tuple(rows),
        frozenset({0}),
        _SIGNIFICANCE_NOTES,
    )


def _own_rows(inputs: Inputs) -> Iterator[Row]:
    for label, variant in labelled(inputs, "headline"):
        runs = inputs.runs.get(variant.name, [])
        cells = (
            label,
            *size_cells(runs),
            choice_cell(inputs, runs, "pairs"),
            choice_cell(inputs, runs, "pairs", "accuracy_first_wins"),
            choice_cell(inputs, runs, "pairs", "tie_rate"),
            *(choice_cell(inputs, runs, role) for role in _ROLES),
            choice_cell(inputs, runs, "heldout", "bits_per_byte"),
            seeds_cell(runs),
            f"this repository: {variant.name}",
        )
        yield Row(cells, row_kind(inputs, variant, runs))


def _null_rows(inputs: Inputs) -> Iterator[Row]:
    selected = inputs.settings.selected
    own = "tokenizer of these runs" if inputs.corpus else "own tokenizer"
    names: dict[str, str] = {name: f"{name} scorer, {own}" for name in selected.nulls}
    names |= {
        f"uniform_{name}": f"uniform scorer, tokenizer {name} of the mirror"
        for name in selected.mirrored_tokenizers
    }
    for name, label in names.items():
        cells = (
            label,
            *(NONE,) * 3,
            *(
                _null_cell(inputs, name, "pairs", figure)
                for figure in ("accuracy", "accuracy_first_wins", "tie_rate")
            ),
            *(_null_cell(inputs, name, role, "accuracy") for role in _ROLES),
            _null_cell(inputs, name, "heldout", "bits_per_byte"),
            NONE,
            "this repository: knows nothing",
        )
        yield Row(cells, "null")


def _null_cell(inputs: Inputs, name: str, role: Role, figure: str) -> str:
    task, null = inputs.task(role), inputs.nulls.get(name)
    if task is None or null is None:
        return NOT_RUN
    return score_cell([null.tasks.get(task)], figure) if null.tasks else MISSING


def _published_row(inputs: Inputs, model: PublishedModel) -> Row:
    comparable = published().comparable_tasks
    pairs = inputs.pairs
    blimp = model.scores.get("blimp", NOT_AVAILABLE)
    further = {**more_published().get(model.name, {}), **model.scores}
    cells = (
        model.name,
        model.parameters or NOT_AVAILABLE,
        NOT_AVAILABLE,
        NOT_AVAILABLE,
        blimp if pairs in comparable["blimp"] else f"BLiMP: {blimp}",
        NOT_AVAILABLE,
        NOT_AVAILABLE,
        *(further.get(role, NOT_AVAILABLE) for role in _ROLES),
        NOT_AVAILABLE,
        NOT_AVAILABLE,
        model.source,
    )
    return Row(cells, "published")


def _notes(inputs: Inputs) -> Iterator[str]:
    yield (
        "Own rows: mean ± sample standard deviation over seeds. Accuracy gives a tie half a point; "
        "first-wins counts a tie as correct, as an argmax over [good, bad] does."
    )
    yield (
        "Published rows: percent as printed in the source; how their scorers treated ties is the "
        "source's affair, and their Supplement, Entity and EWoK items need not be the same as ours."
    )
    parts = (f"{role}: {task}" for role, task in inputs.settings.profile.tasks.items())
    yield f"Tasks of the own rows: {', '.join(parts)}."
    for task in inputs.settings.profile.tasks.values():
        scores = [run.tasks.get(task) for runs in inputs.runs.values() for run in runs]
        cut = max(
            (found.truncated or 0 for found in scores if isinstance(found, ChoiceFigures)),
            default=0,
        )
        if cut:
            yield f"{task}: {count(cut)} texts were longer than the context and lost their start."
    if inputs.pairs not in published().comparable_tasks["blimp"]:
        yield "This profile's pairs are not BLiMP's: no published score compares with its rows."
    for label, variant in labelled(inputs, "headline"):
        if faults := [*_faults(variant)]:
            yield f"{label}: {', '.join(faults)}; its tokenizer is that of the other rows."


def _faults(variant: Variant) -> Iterator[str]:
    """What a row has of the released script's faults, in words."""
    train = variant.set.get("train", {})
    for fault, words in _FAULTS.items():
        if fault in train.items():
            yield words
    if variant.decay_multiple is not None:
        yield f"a decay of {Fraction(variant.decay_multiple).limit_denominator(9)} of the steps"
