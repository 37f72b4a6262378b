"""Readers: from a benchmark's released files to items, one function per format.

A reader takes the data folder and the metadata of the task file. Field names and comparisons are
those of the BabyLM evaluation pipelines of 2025 and 2026. MissingDataError: the data is not there;
SllamaError: a file or a field is not as released.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pipeline.errors import SllamaError
from pipeline.evaluate.items import (
    Item,
    MissingDataError,
    is_text,
    jsonl_files,
    locate,
    number_of,
    read_archive,
    read_csv,
    read_parquet,
    read_rows,
    text_of,
)

Reader = Callable[[Path, dict[str, Any]], Iterator[Item]]

EYE_TRACKING = ("RTfirstfix", "RTfirstpass", "RTgopast", "RTrightbound")
SELF_PACED = "self_paced_reading_time"
READING_NUMBERS = (
    *EYE_TRACKING, SELF_PACED, "Subtlex_log10", "length", "context_length", "prev_length"
)  # fmt: skip
_READING_COLUMNS = {"item", "word", "prev_item", "prev_word", *READING_NUMBERS}


def minimal_pairs(data: Path, metadata: dict[str, Any]) -> Iterator[Item]:
    """Read BLiMP-like files: sentence_good against sentence_bad, one group per file.

    `prefix` (metadata) stands before each sentence: a space in stock lm-eval, nothing in the
    BabyLM pipelines since 2025.
    """
    prefix = metadata.get("prefix", "")
    for path, number, row, origin in _numbered(data, metadata):
        sentences = [text_of(row, key, origin) for key in ("sentence_good", "sentence_bad")]
        yield Item(
            identifier=f"{path.stem}_{number}",
            group=(path.stem,),
            options=tuple(("", prefix + sentence) for sentence in sentences),
        )


def ewok(data: Path, metadata: dict[str, Any]) -> Iterator[Item]:
    """Read EWoK, in memory: the benchmark data, then the folder of protected data, is looked into
    for its protected archive, a folder of its files, or the gated set as released (Parquet).

    `compare: targets` (2025) sets Target1 against Target2 after Context1; `compare: contexts`
    (2026) sets Target1 after Context1 against Target1 after Context2.
    """
    for domain, rows in _ewok_files(data, metadata):
        for number, row in enumerate(rows):
            origin = f"{domain}, item {number}"
            context, other_context, target, other_target = (
                text_of(row, key, origin) for key in ("Context1", "Context2", "Target1", "Target2")
            )
            other = (
                (context, f" {other_target}")
                if metadata["compare"] == "targets"
                else (other_context, f" {target}")
            )
            yield Item(f"{domain}_{number}", (domain,), ((context, f" {target}"), other))


def _ewok_files(data: Path, metadata: dict[str, Any]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    roots = [data, *filter(None, [metadata.get("protected")])]
    forms = [form for form in ("archive", "folder", "parquet") if form in metadata]
    for root in roots:
        for form in forms:
            try:
                place = locate(root, metadata[form])
            except MissingDataError:
                continue
            if form == "archive":
                yield from read_archive(place, metadata["password"])
            elif form == "folder":
                yield from ((path.stem, read_rows(path)) for path in jsonl_files(place))
            else:
                yield from _both_ways(read_parquet(place))
            return
    wanted = " nor ".join(metadata[form] for form in forms)
    raise MissingDataError(
        f"{wanted} is neither among the benchmark data nor in the folder of protected data "
        "(SLLAMA_PROTECTED_DATA)"
    )


def _both_ways(rows: list[dict[str, Any]]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield each domain's rows, each followed by itself with 1 and 2 exchanged."""
    domains: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        exchanged = dict(row)
        for name in ("Context", "Target"):
            exchanged |= {f"{name}1": row.get(f"{name}2"), f"{name}2": row.get(f"{name}1")}
        domains.setdefault(str(row.get("Domain")), []).extend([row, exchanged])
    yield from sorted(domains.items())


def entity_tracking(data: Path, metadata: dict[str, Any]) -> Iterator[Item]:
    """Read entity tracking: several continuations of one context, the first is right.

    Grouped by split, then by number of operations. `drop_nothing` (2026) leaves out items that
    have "nothing" among the options.
    """
    counts: dict[tuple[str, str], int] = {}
    for path, _, row, origin in _numbered(data, metadata):
        context, options = text_of(row, "input_prefix", origin), row.get("options")
        if not isinstance(options, list) or len(options) < 2 or "numops" not in row:
            raise SllamaError(f"{origin}: numops and at least two options are expected")
        if not all(is_text(option) for option in options):
            raise SllamaError(f"{origin}: an option is no text")
        if metadata.get("drop_nothing") and any("nothing" in option for option in options):
            continue
        group = (path.stem, f"{row['numops']}_ops")
        place = counts[group] = counts.get(group, -1) + 1
        yield Item(
            identifier=f"{'_'.join(group)}_{place}",
            group=group,
            options=tuple((context, option) for option in options),
        )


def global_piqa(data: Path, metadata: dict[str, Any]) -> Iterator[Item]:
    """Read GlobalPIQA in English: a prompt and its solutions, two or four, one of them right.

    From the table as released, or from the .jsonl file that the BabyLM pipeline makes of it.
    """
    folder = locate(data, metadata["folder"])
    for number, row in enumerate(_rows(folder)):
        origin = f"{folder.name}, item {number}"
        prompt, identifier = (text_of(row, key, origin) for key in ("prompt", "example_id"))
        given = [row.get(f"solution{place}") for place in range(4)]
        solutions = given[: sum(map(bool, given))]
        label = str(row.get("label"))
        if not (len(solutions) > 1 and all(solutions) and all(map(is_text, solutions))):
            raise SllamaError(f"{origin}: two solutions at least are expected, none left out")
        if label not in map(str, range(len(solutions))):
            raise SllamaError(f"{origin}: label is not the number of a solution")
        options = tuple((prompt, f" {solution}") for solution in solutions)
        yield Item(identifier, (folder.name,), options, int(label))


def _rows(folder: Path) -> Iterator[dict[str, Any]]:
    tables = sorted(folder.glob("[!.]*eng_latn.tsv"))
    if tables:
        yield from read_csv(tables[0], "\t")
    else:
        yield from (row for path in jsonl_files(folder) for row in read_rows(path))


def comps(data: Path, metadata: dict[str, Any]) -> Iterator[Item]:
    """Read COMPS: one property after the concept that has it and after one that has not."""
    for path, number, row, origin in _numbered(data, metadata):
        subtask = path.stem.removeprefix("comps_").replace("-", "_")
        phrase = " " + text_of(row, "property_phrase", origin)
        prefixes = [
            text_of(row, key, origin) for key in ("prefix_acceptable", "prefix_unacceptable")
        ]
        options = tuple((prefix, phrase) for prefix in prefixes)
        yield Item(f"{subtask}_{number}", (subtask,), options)


def wug(data: Path, metadata: dict[str, Any]) -> Iterator[Item]:
    """Read a wug test: two inflections of a made-up word, and how many people preferred each."""
    for path, number, row, origin in _numbered(data, metadata):
        sentences = text_of(row, "sentences", origin).split("\t")
        if len(sentences) != 2 or not all(map(str.strip, sentences)):
            raise SllamaError(f"{origin}: two sentences are expected")
        yield Item(
            identifier=f"{path.stem}_{number}",
            group=(path.stem,),
            options=tuple(("", sentence) for sentence in sentences),
            extra={"ratio": number_of(row, "ratio", origin)},
        )


def reading(data: Path, metadata: dict[str, Any]) -> Iterator[Item]:
    """Read reading times: each word after its context and, if there is one, the word before."""
    path = locate(data, metadata["folder"]) / "reading_data.csv"
    if not path.is_file():
        raise MissingDataError(f"{metadata['folder']}/{path.name} is not among the benchmark data")
    rows = list(read_csv(path))
    missing = sorted(_READING_COLUMNS - rows[0].keys()) if rows else ["rows"]
    if missing:
        raise SllamaError(f"{path}: has no {', '.join(missing)}; fetch the released file again")
    for number, row in enumerate(rows):
        # One sentence begins with the word "None". CSV readers, the official one too, take it for
        # a missing value: its second word has it back, its third has no word before.
        options = [(row["item"] or "None", f" {row['word']}")]
        if row["prev_item"] not in {"", "None"}:
            options.append((row["prev_item"], f" {row['prev_word']}"))
        yield Item(str(number), ("reading",), tuple(options), extra=dict(row))


def _numbered(
    data: Path, metadata: dict[str, Any]
) -> Iterator[tuple[Path, int, dict[str, Any], str]]:
    """Yield file, number and row of each item of a folder, and what messages call it.

    `first` (metadata): no more than so many of each file.
    """
    for path in jsonl_files(locate(data, metadata["folder"])):
        for number, row in enumerate(read_rows(path)[: metadata.get("first")]):
            yield path, number, row, f"{path}, item {number}"


READERS: dict[str, Reader] = {
    "minimal_pairs": minimal_pairs,
    "ewok": ewok,
    "entity_tracking": entity_tracking,
    "global_piqa": global_piqa,
    "comps": comps,
    "wug": wug,
    "reading": reading,
}
