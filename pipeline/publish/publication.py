"""From a trained model and its results to a publication; by default only told, not done."""

import logging
from dataclasses import dataclass
from pathlib import Path

from pipeline.config import Params
from pipeline.io import write_text
from pipeline.progress import track
from pipeline.publish.card import checkpoint_card, model_card
from pipeline.publish.checks import check_files, check_reload
from pipeline.publish.folder import publish_to_folder, require_ours
from pipeline.publish.hub import publish_to_hub
from pipeline.publish.plan import CARD, MAIN, Plan, checkpoint_folders, plan_revisions
from pipeline.publish.records import RunRecord, read_run
from pipeline.publish.target import Target, parse_target

_log = logging.getLogger(__name__)

CARDS = "publish"


@dataclass(frozen=True)
class Request:
    """What to publish, and where to.

    model: folder of the train stage. results: folder with train/ and evaluate/; the cards are put
    into its publish/. tokens: tokens.json of the encoding. to: `owner/name`, or a folder.
    """

    params: Params
    model: Path
    results: Path
    tokens: Path
    to: str
    push: bool = False
    private: bool = False


def publish(request: Request) -> Plan:
    """Write the cards, check every revision, print the plan and, if asked to, carry it out.

    The model's folder stays as it is. SllamaError: whatever must not be published, or could not.
    """
    target = parse_target(request.to, request.model)
    if target.folder is not None:
        require_ours(target.folder)
    run = read_run(request.params, request.model, request.results, request.tokens)
    cards = _write_cards(run, request.model, target, request.results / CARDS)
    plan = plan_revisions(request.model, cards)
    for revision in track(plan.revisions, len(plan.revisions), "check", "revision"):
        check_files(revision)
        check_reload(revision)
    print("\n".join(plan.lines()))
    print(f"card: {cards[MAIN]}")
    if not request.push:
        print(f"nothing was published; --push publishes to {_shown(target)}")
        return plan
    if target.folder is None:
        publish_to_hub(plan, target.name, private=request.private)
    else:
        publish_to_folder(plan, target.folder)
    print(f"published to {_shown(target)}")
    _log.info("next: AutoModelForCausalLM.from_pretrained(%r, ...), as in the card", target.address)
    return plan


def _write_cards(run: RunRecord, model: Path, target: Target, folder: Path) -> dict[str, Path]:
    names = [checkpoint.name for checkpoint in checkpoint_folders(model)]
    texts = {name: checkpoint_card(run, target.name, name) for name in names}
    texts[MAIN] = model_card(run, target.name, target.address, names)
    for name, text in texts.items():
        write_text(folder / name / CARD, text)
    return {name: folder / name / CARD for name in texts}


def _shown(target: Target) -> str:
    return f"{target.name} on the Hub" if target.folder is None else f"the folder {target.folder}"
