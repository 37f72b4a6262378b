"""Stage paper_plan: one resolved recipe for each run behind the paper's tables."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from pipeline.config import ModelConfig, Params
from pipeline.model.count import count_parameters
from pipeline.paper.plan import write_plan
from pipeline.paper.settings import SETTINGS_FILE, load_settings
from pipeline.stage import Made, run_stage
from pipeline.train.build import build_config


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--settings", type=Path, default=SETTINGS_FILE)
    parser.add_argument("--out", type=Path, required=True, help="folder of the resolved recipes")


def work(params: Params, options: Namespace) -> Made:
    settings = load_settings(options.settings)
    for line in write_plan(settings, options.out, _count, options.params):
        print(line)
    return Made(options.out, settings.selected.model_dump())


def _count(model: ModelConfig, vocabulary: int) -> int:
    special = dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"))
    return count_parameters(build_config(model, {"vocab_size": vocabulary, **special}))


if __name__ == "__main__":
    run_stage(__doc__ or "", arguments, work)
