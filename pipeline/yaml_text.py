"""YAML text, with the numbers that DVC reads in it."""

import re
from typing import Any

import yaml

from pipeline.errors import SllamaError

_INT, _FLOAT = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"
_SAYS_ITS_BASE = re.compile(r"[-+]?0[box]")
# The numbers of YAML 1.2 as ruamel.yaml, by which DVC reads, takes them.
_NUMBERS = {
    _INT: r"[-+]?(0b[01_]+|0o[0-7_]+|0x[0-9a-fA-F_]+|[0-9_]+)$",
    _FLOAT: r"""
        [-+]?[0-9][0-9_]*(\.[0-9_]*([eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)$
        |[-+]?\.[0-9_]+([eE][-+][0-9]+)?$
        |[-+]?\.(inf|Inf|INF)$
        |\.(nan|NaN|NAN)$
    """,
}
# Values that fit their tag in form only, a date that no calendar has, say, raise the others.
_MALFORMED_YAML = (
    yaml.YAMLError, ValueError, TypeError, AttributeError, KeyError, RecursionError
)  # fmt: skip


class Loader(yaml.SafeLoader):
    """Takes for a number what YAML 1.2 does, and DVC with it, and reads the same value.

    By YAML 1.1, PyYAML's own, 010 is eight, 30:00 is 1,800 and 1e-05 is a text. Refuses a key that
    occurs twice, of which PyYAML drops the first value without a word.
    """

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """Return a whole number: decimal, unless it says 0b, 0o or 0x."""
        text = str(self.construct_scalar(node)).replace("_", "")
        return int(text, 0 if _SAYS_ITS_BASE.match(text) else 10)

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Return a mapping as it is written: what merge keys (<<) add to it comes later."""
        node = super().compose_mapping_node(anchor)
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    line = key.start_mark.line + 1
                    raise yaml.YAMLError(f"line {line}: key {key.value} occurs twice")
                seen.add((key.tag, key.value))
        return node


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _NUMBERS]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _tag, _pattern in _NUMBERS.items():
    Loader.add_implicit_resolver(_tag, re.compile(_pattern, re.X), list("-+.0123456789"))
Loader.add_constructor(_INT, Loader.construct_yaml_int)


def parse_yaml(text: str, origin: str, loader: type[Loader] = Loader) -> Any:
    """Return the value of YAML `text`; SllamaError says that `origin` is malformed."""
    try:
        return yaml.load(text, Loader=loader)  # noqa: S506
    except _MALFORMED_YAML as error:
        first_line = (str(error) or type(error).__name__).splitlines()[0]
        raise SllamaError(f"{origin}: not valid YAML ({first_line})") from error
