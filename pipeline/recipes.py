"""Named sets of overrides on params.yaml: `python -m pipeline.recipes NAME`.

Prints them as options of `dvc exp run`; with --write, changes params.yaml and keeps its comments.
"""

import argparse
import difflib
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.config import PARAMS_FILE, load_params, parse_params
from pipeline.errors import SllamaError
from pipeline.io import parse_yaml, read_text, read_yaml, write_text

RECIPES = Path("recipes")
# What a shell leaves as it is, and DVC's parser of overrides takes for one word.
_PLAIN = re.compile(r"[\w./:@+-]+", re.ASCII)


def load_recipe(name: str, folder: Path = RECIPES) -> dict[str, Any]:
    """Return the overrides of a recipe; SllamaError names the nearest one if there is none."""
    path = folder / f"{name}.yaml"
    if not path.is_file():
        known = sorted(file.stem for file in folder.glob("*.yaml"))
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
        raise SllamaError(f"no recipe {name} in {folder} (did you mean {', '.join(near)}?)")
    overrides = read_yaml(path)
    if not isinstance(overrides, dict):
        raise SllamaError(f"{path}: a mapping of sections is expected")
    return overrides


def apply_overrides(values: Any, overrides: dict[str, Any]) -> None:
    """Merge nested `overrides` into the mapping `values` in place."""
    for key, value in overrides.items():
        if isinstance(value, dict) and isinstance(values.get(key), dict):
            apply_overrides(values[key], value)
        else:
            values[key] = value


def set_options(overrides: dict[str, Any]) -> list[str]:
    """Return the overrides as `-S key=value` words for `dvc exp run`.

    SllamaError: a text that would need quotes.
    """
    return [word for key, value in _leaves(overrides) for word in ("-S", f"{key}={_hydra(value)}")]


def write_params(overrides: dict[str, Any], params: Path = PARAMS_FILE) -> None:
    """Apply `overrides` to the file `params`; its comments and its order stay.

    SllamaError: no such file, or no YAML.
    """
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 100
    try:
        document = yaml.load(read_text(params))
    except YAMLError as error:
        raise SllamaError(f"{params}: not valid YAML ({str(error).splitlines()[0]})") from error
    apply_overrides(document, overrides)
    text = io.StringIO()
    yaml.dump(document, text)
    write_text(params, text.getvalue())


def _leaves(overrides: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in overrides.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _text(value: Any) -> str:
    if _PLAIN.fullmatch(str(value)) is None or not _comes_back(value):
        raise SllamaError(
            f"{value!r} needs quotes as an option; write the recipe into params.yaml: --write"
        )
    return str(value)


def _comes_back(value: Any) -> bool:
    """Tell whether YAML reads the word as the value: the text 2026 would become a number."""
    try:
        return bool(parse_yaml(str(value), "option") == value)
    except SllamaError:
        return False


def _hydra(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ",".join(_hydra(item) for item in value) + "]"
    return _text(value)


def main(argv: list[str] | None = None) -> None:
    """Print or write the overrides of one recipe."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="a file of recipes/, without .yaml")
    parser.add_argument(
        "--write", action="store_true", help="change params.yaml instead of printing"
    )
    arguments = parser.parse_args(argv)
    try:
        overrides = load_recipe(arguments.name)
        merged = load_params(PARAMS_FILE).model_dump()
        apply_overrides(merged, overrides)
        parse_params(merged, f"recipes/{arguments.name}.yaml on {PARAMS_FILE}")
        if arguments.write:
            write_params(overrides)
        else:
            print(" ".join(set_options(overrides)))
    except SllamaError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
