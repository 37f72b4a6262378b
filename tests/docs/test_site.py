"""The built site: strict, and without a request to anywhere else; `make docs` installs MkDocs."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.imports import ROOT

MKDOCS = ROOT / ".venv-docs/bin/mkdocs"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not MKDOCS.exists(), reason="`make docs` installs what builds the site"),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    subprocess.run(
        [MKDOCS, "build", "--strict", "--quiet", "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        check=True,
    )
    return folder


def test_generated_pages_are_there(site: Path) -> None:
    assert "train.min_learning_rate is above" in (site / "reference/params.html").read_text()
    assert "stages.encode" in (site / "reference/stages.html").read_text()


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 15
    for page in pages:
        text = page.read_text()
        loaded = re.findall(r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"?([^\" >]+)", text)
        loaded += re.findall(r"<link\b(?![^>]*canonical)[^>]*\bhref=\"?([^\" >]+)", text)
        assert loaded
        assert [one for one in loaded if re.match(r"(https?:)?//", one)] == []
        # The theme fetches these only for pages that have such blocks.
        assert 'class="mermaid"' not in text
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(?:@import|url\()\W*(?:https?:)?//", sheet.read_text()), sheet.name
