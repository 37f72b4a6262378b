"""The documents as tests see them: pages, fenced blocks, commands."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.imports import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


class Block(NamedTuple):
    """A fenced block: the language behind its fence, and its text."""

    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    return [Block(*one) for one in found]


def commands(page: Path) -> Iterator[str]:
    """The commands of a page's bash blocks, one a line, without comments."""
    for block in blocks(page):
        if block.language == "bash":
            for line in block.text.replace("\\\n", " ").splitlines():
                bare = re.sub(r"(^|\s)#.*", "", line).strip()
                if bare:
                    yield re.sub(r"\s+", " ", bare)


def code_of(page: Path) -> str:
    """Fenced and indented blocks and code between backticks, as one text."""
    text = page.read_text()
    indented = re.findall(r"^    .*$", text, re.MULTILINE)
    spans = re.findall(r"`([^`\n]+)`", text)
    return "\n".join([*(block.text for block in blocks(page)), *indented, *spans])


def settings(line: str) -> list[str]:
    """The `key=value` words behind -S in a line of code, quotes removed."""
    found = re.findall(r"""-S\s+('[^']+'|"[^"]+"|[^\s"'`]+)""", line)
    return [shlex.split(word)[0] for word in found]
