"""Which variants stand in which table, by which label."""

from collections.abc import Iterator, Sequence

from pipeline.paper.inputs import Inputs
from pipeline.paper.run import Run
from pipeline.paper.settings import TableName, Variant
from pipeline.report.tables import RowKind


def labelled(inputs: Inputs, table: TableName) -> Iterator[tuple[str, Variant]]:
    """Label and variant of each row of a table, in the order of paper/params.yaml."""
    for variant in inputs.settings.variants:
        for label in variant.tables.get(table, []):
            yield label, variant


def label_of(inputs: Inputs, name: str, table: TableName) -> str:
    """What the words of a table call a variant: its row there, in Table 2 or in Table 1, where it
    has just one; else its own name.
    """
    tables = inputs.settings.variant(name).tables
    for place in (table, "parts", "headline"):
        labels = tables.get(place, [])
        if len(labels) == 1:
            return labels[0]
    return name


def row_kind(inputs: Inputs, variant: Variant, runs: Sequence[Run]) -> RowKind:
    """How a row is shown: the reference stands out, what was not run is marked."""
    if not runs:
        return "missing"
    return "model" if variant.name == inputs.settings.reference else "plain"
