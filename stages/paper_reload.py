"""Stage paper_reload: a trained model, as the released code's loader would give it back."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from pipeline.config import Params
from pipeline.errors import SllamaError
from pipeline.model.convert import reload_as_released
from pipeline.model.export import export_model
from pipeline.model.modeling_sllama import SLlamaForCausalLM
from pipeline.seeding import derive_seed
from pipeline.stage import Made, run_stage


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, help="folder of an intact model")
    parser.add_argument("--out", type=Path, required=True, help="folder of the damaged one")


def work(params: Params, options: Namespace) -> Made:
    model = SLlamaForCausalLM.from_pretrained(options.model)
    try:
        damaged = reload_as_released(model, derive_seed(params.seed, "released_loader"))
    except ValueError as error:
        raise SllamaError(
            f"{options.model}: {error}; take the reloaded variants out of the profile"
        ) from error
    export_model(damaged, options.out, options.model)
    return Made(options.out, params.model_dump(include={"seed"}))


if __name__ == "__main__":
    run_stage(__doc__ or "", arguments, work)
