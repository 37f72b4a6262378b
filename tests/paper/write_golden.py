"""Write the golden tables anew: python -m tests.paper.write_golden; then read the difference."""

import tempfile
from pathlib import Path

from tests.paper.made_up import write_all

GOLDEN = Path(__file__).parent / "golden"
NAMES = (
    "tables/tables.md",
    "tables/headline.tex",
    "tables/headline.csv",
    "tables/audit.csv",
    "runs.csv",
)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = write_all(Path(folder))
        for name in NAMES:
            (GOLDEN / Path(name).name).write_text((made / name).read_text())


if __name__ == "__main__":
    main()
