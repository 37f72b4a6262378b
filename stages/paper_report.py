"""Stage paper_report: the paper's tables and figures from the runs that paper/params.yaml names."""

from argparse import ArgumentParser, Namespace
from dataclasses import fields
from pathlib import Path

from pipeline.config import Params
from pipeline.paper.build import write_tables
from pipeline.paper.inputs import Folders
from pipeline.paper.plan import require_current
from pipeline.paper.settings import SETTINGS_FILE, load_settings
from pipeline.stage import Made, run_stage


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--settings", type=Path, default=SETTINGS_FILE)
    parser.add_argument("--results", type=Path, required=True, help="train/, evaluate/, items/ ...")
    parser.add_argument("--models", type=Path, required=True, help="their provenance lies there")
    parser.add_argument("--plan", type=Path, required=True, help="the resolved recipes")
    parser.add_argument("--tokens", type=Path, required=True, help="tokens.json of the encoding")
    parser.add_argument("--ledger", type=Path, required=True, help="figures of runs not here (CSV)")
    parser.add_argument("--speed", type=Path, required=True, help="steps timed in turn (JSON)")
    parser.add_argument("--out", type=Path, required=True, help="folder of the tables")
    parser.add_argument("--metrics", type=Path, required=True, help="the means, by variant")
    parser.add_argument("--runs", type=Path, required=True, help="every run, unrounded (CSV)")


def work(params: Params, options: Namespace) -> Made:
    settings = load_settings(options.settings)
    require_current(settings, options.plan, options.params)
    folders = Folders(**{part.name: getattr(options, part.name) for part in fields(Folders)})
    print(write_tables(settings, folders, options.out, options.metrics, options.runs))
    return Made(options.out, settings.selected.model_dump())


if __name__ == "__main__":
    run_stage(__doc__ or "", arguments, work)
