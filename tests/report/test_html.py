"""The HTML report: whole in itself, well formed, nothing foreign run as markup."""

from html.parser import HTMLParser
from typing import Any

import pytest

from pipeline.report.document import compose
from pipeline.report.figures import draw_figures
from pipeline.report.html import render_html
from pipeline.report.inputs import read_inputs
from tests.report.conftest import Report
from tests.report.run import Run

VOID = {"meta", "link", "br", "img", "hr", "input", "wbr"}


class Page(HTMLParser):
    """Collects tags, identifiers and addresses; refuses tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._note(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._note(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def _note(self, tag: str, attrs: list[tuple[str, Any]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name in {"href", "src", "xlink:href", "data", "action"}:
                self.addresses.append(value)


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    run = Run(tmp_path_factory.mktemp("official")).write()
    inputs = read_inputs(run.params, **run.paths)
    figures = draw_figures(inputs)
    return render_html(compose(inputs, figures), figures)


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_it_is_well_formed(page: Page) -> None:
    assert page.open == []
    assert page.tags.count("table") == 9
    assert page.tags.count("svg") == 5


def test_nothing_comes_from_elsewhere(page: Page, html: str) -> None:
    assert "script" not in page.tags
    assert page.addresses
    assert all(address.startswith(("#", "data:")) for address in page.addresses)
    assert "@import" not in html
    assert "url(http" not in html


def test_identifiers_occur_once(page: Page) -> None:
    assert page.ids
    assert len(set(page.ids)) == len(page.ids)
    for address in page.addresses:
        if address.startswith("#"):
            assert address[1:] in page.ids


def test_foreign_text_is_escaped(run: Run, report: Report) -> None:
    run.recipe["report"]["title"] = "<script>alert(1)</script> $x$ & co"
    run.train["parameters_by_component"] = {"<img src=x>": 2_585_792}
    page = Page((report(run) / "report.html").read_text())
    assert "script" not in page.tags
    assert "img" not in page.tags
    assert "<script>alert(1)</script> $x$ & co: report of a run" in page.text
    assert "gated | needs <b>HF_TOKEN</b>" in page.text


def test_generated_text_is_escaped(run: Run, report: Report) -> None:
    run.use_every_kind()
    page = Page((report(run) / "report.html").read_text())
    assert page.tags.count("blockquote") == 4
    assert "i" not in page.tags
    assert "Who *saw*\nthe <i>dog</i>\ufffd? …" in page.text


def test_it_suits_dark_pages_paper_and_phones(html: str) -> None:
    for feature in ("prefers-color-scheme: dark", "@media print", "width=device-width"):
        assert feature in html
