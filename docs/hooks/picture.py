"""Draws docs/assets/picture.svg: the chain of stages, and the headline beside a scorer of nothing.

`python docs/hooks/picture.py` writes it. Published scores are those of
pipeline/report/published.yaml; the uniform scorer's were measured (docs/LOG.md, "The paper's
tables").
"""

from html import escape
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
PICTURE = ROOT / "docs/assets/picture.svg"
STAGES = ("download", "tokenizer", "encode", "train", "evaluate", "report")
PUBLISHED = ("SLlama (paper)", "GPT-BERT causal-focus (2025 baseline)", "BabyLlama (2024 baseline)")
MEASURED = (
    ("uniform scorer, a tie counts as right", "91.94"),
    ("uniform scorer, a tie is worth half", "51.41"),
)
# Colours that can be read on white and, by the media query, on black.
STYLE = """
text { font: 14px sans-serif; fill: #1f2328 } .small { font-size: 12px; fill: #59636e }
.box { fill: none; stroke: #59636e } .arrow { stroke: #59636e; marker-end: url(#tip) }
.tip { fill: #59636e } .published { fill: #8c959f } .measured { fill: #0969da }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .small { fill: #9198a1 } .box, .arrow { stroke: #9198a1 }
  .tip { fill: #9198a1 } .published { fill: #6e7681 } .measured { fill: #4493f8 }
}"""
_WIDTH = 760
_BAR = 4.0  # pixels a percent


def draw() -> str:
    """Return the SVG."""
    rows = _rows()
    bottom = 112 + 28 * len(rows)
    bars = [_bar(112 + 28 * number, *row) for number, row in enumerate(rows)]
    told = "; ".join(f"{name}: {score}" for name, score, _ in rows)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {bottom + 28}" '
            f'width="{_WIDTH}" height="{bottom + 28}" role="img" aria-label="{escape(told)}">',
            f"<style>{STYLE}\n</style>",
            '<defs><marker id="tip" markerWidth="8" markerHeight="8" refX="7" refY="4" '
            'orient="auto"><path class="tip" d="M0,0 L8,4 L0,8 z"/></marker></defs>',
            *_chain(),
            '<text x="0" y="98" font-weight="bold">BLiMP, accuracy in percent</text>',
            *bars,
            f'<text class="small" x="0" y="{bottom + 16}">grey: published; blue: measured here, '
            "Llama-2 tokenizer, 59,875 filtered pairs, mean of 67 paradigms</text>",
            "</svg>\n",
        ]
    )


def _rows() -> list[tuple[str, str, str]]:
    models = yaml.safe_load((ROOT / "pipeline/report/published.yaml").read_text("utf-8"))["models"]
    scores = {model["name"]: model["scores"]["blimp"] for model in models}
    rows = [(name, scores[name], "published") for name in PUBLISHED]
    rows += [(name, score, "measured") for name, score in MEASURED]
    return sorted(rows, key=lambda row: -float(row[1]))


def _chain() -> list[str]:
    made = []
    for number, stage in enumerate(STAGES):
        left = 1 + 130 * number
        made.append(f'<rect class="box" x="{left}" y="14" width="100" height="36" rx="6"/>')
        made.append(f'<text x="{left + 50}" y="37" text-anchor="middle">{stage}</text>')
        if number:
            made.append(f'<line class="arrow" x1="{left - 29}" y1="32" x2="{left - 2}" y2="32"/>')
    return made


def _bar(top: int, name: str, score: str, kind: str) -> str:
    length = float(score) * _BAR
    return (
        f'<text x="0" y="{top + 15}">{escape(name)}</text>'
        f'<rect class="{kind}" x="290" y="{top + 2}" width="{length:.1f}" height="18" rx="2"/>'
        f'<text x="{290 + length + 8:.1f}" y="{top + 16}">{score}</text>'
    )


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
