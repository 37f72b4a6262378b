"""Put runs on record: `python -m pipeline.paper.record` adds paper/runs.csv to paper/ledger.csv.

What is on record stays there: other profiles, other seeds, other recipes.
"""

import csv
import io
import sys
from pathlib import Path

from pipeline.errors import SllamaError
from pipeline.io import read_text, write_text
from pipeline.paper.ledger import MISSING, parse_ledger, read_ledger

_LEDGER, _RUNS = Path("paper/ledger.csv"), Path("paper/runs.csv")
Row = dict[str, str]
_KEY = ("variant", "seed", "config_fingerprint")
# Columns that a record beside the files gave: there together or not at all.
_TRAINED = ("commit", "dirty", "machine", "tokens_per_second")
_SCORED = ("scored_commit", "scored_dirty", "scored_machine")


def main() -> None:
    """Add the runs of the tables made last."""
    try:
        added = record(_RUNS, _LEDGER)
    except SllamaError as error:
        sys.exit(f"error: {error}")
    done = f"{added} rows new or made anew; commit it" if added else "has them all, nothing is new"
    print(f"{_LEDGER}: {done}")


def record(runs: Path, ledger: Path) -> int:
    """Write the rows of `runs` into `ledger`, over those of the same recipe, of which stays what
    these do not have, if the weights are the same too. Return how many are new or differ.
    SllamaError, and nothing is written, if a row of either is malformed.
    """
    if not runs.is_file():
        raise SllamaError(f"{runs}: no such file; make the tables first (make paper)")
    for table in (runs, ledger):
        read_ledger(table)
    before = _rows(ledger) if ledger.is_file() else {}
    made = {key: _merged(before.get(key), row) for key, row in _rows(runs).items()}
    new = {key: row for key, row in made.items() if _filled(before.get(key, {})) != _filled(row)}
    rows = list((before | new).values())
    columns = list(dict.fromkeys(column for row in rows for column in row))
    target = io.StringIO()
    writer = csv.DictWriter(target, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    parse_ledger(target.getvalue(), str(ledger))
    write_text(ledger, target.getvalue())
    return len(new)


def _merged(before: Row | None, row: Row) -> Row:
    """Keep what is on record of the same weights, or of a scorer without any, and this row has not:
    whole tasks, such as those that its profile leaves out or whose data was not at hand; the origin
    of the weights, and that of the scores if they are the same, which files from a cache do not
    tell.
    """
    if before is None or before["model_fingerprint"] != row["model_fingerprint"]:
        return row
    old, new = _by_task(before), _by_task(row)
    kept = [cells for task, cells in old.items() if _says_nothing(new.get(task, {}))]
    same = all(new[task] == cells for task, cells in old.items() if task in new)
    kept += [_part(before, _TRAINED)] if not _part(row, _TRAINED) else []
    kept += [_part(before, _SCORED)] if same and not _part(row, _SCORED) else []
    return row | {column: value for cells in kept for column, value in cells.items()}


def _by_task(row: Row) -> dict[str, Row]:
    """The filled cells of each task of each checkpoint; the parameters count as one."""
    tasks: dict[str, Row] = {}
    for column, value in _filled(row).items():
        if "." in column:
            tasks.setdefault(column.rpartition(".")[0], {})[column] = value
    return tasks


def _says_nothing(cells: Row) -> bool:
    return not {*cells.values()} - {MISSING}


def _part(row: Row, columns: tuple[str, ...]) -> Row:
    return {column: row[column] for column in columns if row.get(column)}


def _filled(row: Row) -> Row:
    """The cells that are not empty: tables of other profiles have other columns."""
    return {column: value for column, value in row.items() if value}


def _rows(path: Path) -> dict[tuple[str, ...], Row]:
    rows = list(csv.DictReader(read_text(path).splitlines()))
    return {tuple(row[name] for name in _KEY): row for row in rows}


if __name__ == "__main__":
    main()
