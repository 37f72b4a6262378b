"""Select what the paper's pipeline runs: `python -m pipeline.paper PROFILE`.

Writes the section `selected` of paper/params.yaml; everything else in the file stays as it is.
"""

import argparse
import sys

from pipeline.errors import SllamaError
from pipeline.io import read_yaml
from pipeline.paper.settings import SETTINGS_FILE, load_settings
from pipeline.recipes import write_params


def main(argv: list[str] | None = None) -> None:
    """Write the selection of one profile."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("profile", help="a key of `profiles` in paper/params.yaml")
    arguments = parser.parse_args(argv)
    try:
        selection = load_settings().select(arguments.profile).model_dump()
    except SllamaError as error:
        sys.exit(f"error: {error}")
    if read_yaml(SETTINGS_FILE)["selected"] != selection:
        write_params({"selected": selection}, SETTINGS_FILE)
    runs = len(selection["trained"]) * len(selection["seeds"])
    print(f"paper, profile {arguments.profile}: {runs} training runs")


if __name__ == "__main__":
    main()
