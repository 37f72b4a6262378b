"""The held-out documents of the run's own corpus: the test split as text."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.evaluate.items import MissingDataError, read_jsonl, text_of


@dataclass(frozen=True)
class HeldoutDocument:
    """A document of the test split and the source it comes from."""

    source: str
    text: str


def heldout_documents(tokens: Path | None) -> list[HeldoutDocument]:
    """Return the test split in the folder `tokens` of the encode stage, in its order.

    MissingDataError: no folder was given, or it holds no test document. SllamaError: a line of
    the file is malformed.
    """
    if not tokens:
        raise MissingDataError("no folder of tokens was given (--tokens)")
    path = tokens / "test.jsonl"
    if not path.is_file():
        raise MissingDataError("the folder of tokens (--tokens) has no test.jsonl")
    documents = []
    for number, row in enumerate(read_jsonl(path), start=1):
        text = text_of(row, "text", f"{path}, line {number}")
        documents.append(HeldoutDocument(str(row.get("source", "")), text))
    if not documents:
        raise MissingDataError("the corpus has no test document (test.jsonl is empty)")
    return documents
