"""Tables 2 to 4: what each part does, the choices, the faults of the released code."""

from pipeline.paper.cells import (
    NONE,
    NOT_RUN,
    ONE_EACH,
    accuracy_differences,
    bits_change_cell,
    bits_differences,
    choice_cell,
    component_cells,
    difference_cells,
    item_difference,
    points,
    score_cell,
    seed_difference,
    seeds_cell,
    size_cells,
    speed_cell,
)
from pipeline.paper.inputs import Inputs
from pipeline.paper.rows import label_of, labelled, row_kind
from pipeline.paper.run import Run
from pipeline.paper.settings import TableName, Variant
from pipeline.paper.speed import speed_note
from pipeline.paper.statistics import spread
from pipeline.report.records import ChoiceFigures
from pipeline.report.tables import Row, Table

_DIFFERENCE = ("Difference", "95% interval, items", "95% interval, seeds (t)")
_INTERVAL = (
    "Difference: in points, over the common seeds. Its 95% intervals: a bootstrap over items, "
    "credits averaged over the seeds, which leaves out what other seeds would give and wants the "
    f"items of all runs at hand; Student's t over the seeds, wide with few of them. {ONE_EACH}"
)


def parts_table(inputs: Inputs) -> Table:
    """Table 2: each reduction taken from SLlama, each added to a Llama."""
    reference = inputs.settings.reference
    base = label_of(inputs, reference, "parts")
    rows = []
    for label, variant in labelled(inputs, "parts"):
        runs = inputs.runs.get(variant.name, [])
        cells = (
            label,
            size_cells(runs)[0],
            *component_cells(runs),
            choice_cell(inputs, runs, "pairs"),
            *_difference(inputs, variant, runs),
            choice_cell(inputs, runs, "heldout", "bits_per_byte"),
            _bits_change(inputs, variant, runs),
            speed_cell(inputs.speed.ratios(variant.name, reference)),
            seeds_cell(runs),
        )
        rows.append(Row(cells, row_kind(inputs, variant, runs)))
    return Table(
        "Table 2. What each part does",
        (
            "Model",
            "Parameters",
            "Embedding",
            "Head",
            "Matrices",
            "Norms, biases",
            f"{inputs.pairs} %",
            *_DIFFERENCE,
            "Bits per byte",
            "Change of bits",
            f"Speed, {base} = 1",
            "Seeds",
        ),
        tuple(rows),
        frozenset({0}),
        (
            _bases(inputs, "parts"),
            _INTERVAL,
            "A tensor that several layers share is counted once.",
            speed_note(inputs.speed, reference, base),
        ),
    )


def choices_table(inputs: Inputs) -> Table:
    """Table 3: the options of the released code, grouped by what they choose."""
    groups: dict[str, list[Row]] = {}
    for label, variant in labelled(inputs, "choices"):
        group, _, choice = label.partition(": ")
        runs = inputs.runs.get(variant.name, [])
        cells = (
            group,
            choice or label,
            size_cells(runs)[0],
            choice_cell(inputs, runs, "pairs"),
            *_difference(inputs, variant, runs),
            choice_cell(inputs, runs, "heldout", "bits_per_byte"),
            _bits_change(inputs, variant, runs),
            seeds_cell(runs),
        )
        groups.setdefault(group, []).append(Row(cells, row_kind(inputs, variant, runs)))
    return Table(
        "Table 3. Choices",
        (
            "Choice",
            "Option",
            "Parameters",
            f"{inputs.pairs} %",
            *_DIFFERENCE,
            "Bits per byte",
            "Change of bits",
            "Seeds",
        ),
        tuple(row for rows in groups.values() for row in rows),
        frozenset({0, 1}),
        (f"Everything else is SLlama's. {_bases(inputs, 'choices')}", _INTERVAL),
    )


def audit_table(inputs: Inputs) -> Table:
    """Table 4: each fault of the released code alone, and what a rule for ties does."""
    rows = []
    for label, variant in labelled(inputs, "audit"):
        runs = inputs.runs.get(variant.name, [])
        cells = (
            label,
            choice_cell(inputs, runs, "pairs"),
            *_difference(inputs, variant, runs),
            choice_cell(inputs, runs, "pairs", "accuracy_first_wins"),
            choice_cell(inputs, runs, "pairs", "tie_rate"),
            choice_cell(inputs, runs, "heldout", "bits_per_byte"),
            _bits_change(inputs, variant, runs),
            seeds_cell(runs),
        )
        rows.append(Row(cells, row_kind(inputs, variant, runs)))
    rows += _tie_rule_rows(inputs)
    return Table(
        "Table 4. Audit: the released code's faults, one at a time",
        (
            "Fault",
            f"{inputs.pairs} %",
            *_DIFFERENCE,
            "First-wins %",
            "Tie rate %",
            "Bits per byte",
            "Change of bits",
            "Seeds",
        ),
        tuple(rows),
        frozenset({0}),
        (
            "Reloaded: one fresh MLP, N(0, 0.02), in place of the trained one in all layers but "
            "the first, which keeps its gate and down projections but gets the fresh up "
            "projection.",
            "Tie rule alone: the difference is first-wins minus half credit on the very same "
            "scores, no model changed.",
            _bases(inputs, "audit"),
            _INTERVAL,
        ),
    )


def _tie_rule_rows(inputs: Inputs) -> list[Row]:
    task, reference = inputs.pairs, inputs.settings.reference
    models = [run.choice(task) for run in inputs.runs.get(reference, [])]
    own = label_of(inputs, reference, "audit")
    scored = {own: [scores for scores in models if scores is not None]}
    for name, null in inputs.nulls.items():
        found = null.tasks.get(task)
        if isinstance(found, ChoiceFigures):
            scored[f"{name} scorer"] = [found]
    rows = []
    for name, scores in scored.items():
        gains = [score.accuracy_first_wins - score.accuracy for score in scores]
        cells = (
            f"tie rule alone: {name}",
            score_cell(scores, "accuracy"),
            points(spread(gains).mean) if gains else NOT_RUN,
            NONE,
            NONE,
            score_cell(scores, "accuracy_first_wins"),
            score_cell(scores, "tie_rate"),
            NONE,
            NONE,
            str(len(scores)) if name == own and scores else NONE,
        )
        rows.append(Row(cells, "null"))
    return rows


def _bases(inputs: Inputs, table: TableName) -> str:
    """What the differences of a table are from."""
    reference = inputs.settings.reference
    others: dict[str, list[str]] = {}
    for label, variant in labelled(inputs, table):
        base = _base(inputs, variant)
        if base not in (reference, variant.name):
            others.setdefault(label_of(inputs, base, table), []).append(label)
    bases = [f"Differences are from {label_of(inputs, reference, table)}"]
    bases += [f"those of {', '.join(labels)} from {base}" for base, labels in others.items()]
    return f"{'; '.join(bases)}."


def _base(inputs: Inputs, variant: Variant) -> str:
    return variant.against or inputs.settings.reference


def _difference(inputs: Inputs, variant: Variant, runs: list[Run]) -> tuple[str, str, str]:
    base = _base(inputs, variant)
    if variant.name == base:
        return (NONE,) * 3
    if not runs or not inputs.runs.get(base):
        return (NOT_RUN,) * 3
    pair = inputs, runs, inputs.runs[base]
    differences = accuracy_differences(*pair)
    _, over_items = difference_cells(item_difference(*pair))
    _, over_seeds = difference_cells(seed_difference(*pair))
    return points(spread(differences).mean) if differences else NONE, over_items, over_seeds


def _bits_change(inputs: Inputs, variant: Variant, runs: list[Run]) -> str:
    base = _base(inputs, variant)
    if variant.name == base:
        return NONE
    return bits_change_cell(bits_differences(inputs, runs, inputs.runs.get(base, [])))
