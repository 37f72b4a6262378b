"""The files of one evaluation: results and per-item scores, of all tasks or of those so far."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import SllamaError
from pipeline.io import write_json, write_text


@dataclass(frozen=True)
class Outputs:
    """Where results (JSON) and, if they are wanted, per-item scores (JSON Lines) go."""

    results: Path
    items: Path | None

    def require_writable(self) -> None:
        """Raise SllamaError for what would otherwise fail when all is scored."""
        for path in self._files():
            if path.is_dir():
                raise SllamaError(f"{path}: a folder is there; name a file")
            above = next(folder for folder in path.absolute().parents if folder.exists())
            if not (above.is_dir() and os.access(above, os.W_OK)):
                raise SllamaError(f"{path}: {above} is no folder that can be written to")
        if self.items and self.items.resolve() == self.results.resolve():
            raise SllamaError(f"{self.items}: named for the results (--out) and for the items too")

    @property
    def unfinished(self) -> Path:
        """Where the results of the tasks so far are kept."""
        return _unfinished(self.results)

    def keep(self, results: dict[str, Any], lines: list[str]) -> None:
        """Write what the tasks so far gave beside the files, which stay as they are.

        Fine-tuning takes hours, and a process that is killed writes nothing any more.
        """
        kept = Outputs(self.unfinished, self.items and _unfinished(self.items))
        kept._write(results, lines)

    def write(self, results: dict[str, Any], lines: list[str]) -> None:
        """Write the files, and remove what was kept meanwhile."""
        self._write(results, lines)
        for path in self._files():
            _unfinished(path).unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        return [path for path in (self.results, self.items) if path]

    def _write(self, results: dict[str, Any], lines: list[str]) -> None:
        write_json(self.results, results)
        if self.items:
            write_text(self.items, "".join(lines))


def _unfinished(path: Path) -> Path:
    return path.with_name(f"{path.name}.unfinished")
