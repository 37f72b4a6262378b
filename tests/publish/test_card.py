"""The model card: valid front matter, every figure from the records, its limits said."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.publish import publish
from pipeline.publish.card import limits
from pipeline.report.inputs import read_inputs
from tests.publish.support import Workplace


def card(workplace: Workplace, revision: str = "main", to: str = "me/toy") -> str:
    publish(workplace.request(to))
    return (workplace.run.folder / "results/publish" / revision / "README.md").read_text()


def front_matter(text: str) -> dict[str, Any]:
    _, matter, _ = text.split("---\n", 2) if text.startswith("---\n") else ("", "", "")
    values: dict[str, Any] = yaml.safe_load(matter)
    return values


def test_the_front_matter_is_what_the_hub_reads(workplace: Workplace) -> None:
    text = card(workplace)
    from huggingface_hub import ModelCardData

    values = front_matter(text)
    assert values["license"] == "apache-2.0"
    assert values["library_name"] == "transformers"
    assert values["datasets"] == ["BabyLM-community/BabyLM-2026-Strict-Small"]
    assert "custom_code" in values["tags"]
    (result,) = values["model-index"][0]["results"]
    figures = {metric["name"]: metric["value"] for metric in result["metrics"]}
    assert figures["accuracy %, a tie of n options worth 1/n"] == 57.64
    assert figures["accuracy % of the uniform scorer, which knows nothing"] == 51.4
    data = ModelCardData(**values)
    assert {result.dataset_name for result in data.eval_results or []} == {"blimp_filtered"}


def test_it_says_what_was_measured_and_how(workplace: Workplace) -> None:
    text = card(workplace)
    for said in (
        "2,585,792 parameters",
        "| blimp_filtered | uniform | 51.40 |",
        "Accuracy gives a tie half a point",
        "First-wins takes the first of them",
        "Tie rate %",
        "13.13 passes over the training split: the BabyLM Challenge allows 10",
        "| seed | 1 |",
        f"| commit | {'c' * 40} |",
        "A processor, 2 cores",
        "| torch | 2.13.0 |",
        "embedding",
        "learning\\_rate: 0.0004".replace("\\", ""),
        "address = 'me/toy'",
        "trust_remote_code=True",
        "`chck_2M`, `chck_10M`",
        "Apache-2.0",
        "research use, do not relicense",
        "10.18653/v1/2025.emnlp-main.1198",
    ):
        assert said in text, said


def test_a_stand_in_is_said_in_every_card_and_table(workplace: Workplace) -> None:
    workplace.run.use_stand_in()
    workplace.write()
    text = card(workplace)
    assert "> **STAND-IN DATA: babylm-standin" in text
    assert text.count("STAND-IN DATA") > 5
    assert "stand-in-data" in front_matter(text)["tags"]
    assert "datasets" not in front_matter(text)
    assert "STAND-IN DATA" in card(workplace, "chck_2M")


def test_a_checkpoints_card_claims_no_score(workplace: Workplace) -> None:
    text = card(workplace, "chck_10M")
    assert "after 10 million words" in text
    assert "not scored" in text
    assert "model-index" not in front_matter(text)
    assert "57.64" not in text


def test_the_last_start_of_a_resumed_run_is_not_its_time(workplace: Workplace) -> None:
    workplace.provenance |= {"loop_seconds": 90.0, "tokens_per_second": 1_000}
    workplace.write()
    assert "training time" in card(workplace)
    workplace.provenance["resumed_after_step"] = 7
    workplace.write()
    text = card(workplace)
    assert "after step 7" in text
    assert "training time" not in text
    assert "tokens a second" not in text


def test_uncommitted_changes_are_said(workplace: Workplace) -> None:
    workplace.provenance["dirty"] = True
    workplace.write()
    assert "with changes that were not committed" in card(workplace)


def test_in_a_folder_the_card_loads_the_folder(workplace: Workplace) -> None:
    assert "address = 'out/main'" in card(workplace, to="./out")


def said_limits(workplace: Workplace) -> str:
    workplace.write()
    return "\n".join(limits(read_inputs(workplace.run.params, **workplace.run.paths)))


def test_a_toy_says_that_it_is_one(workplace: Workplace) -> None:
    assert "Toy size" not in said_limits(workplace)
    workplace.run.use_demo()
    assert "its scores say nothing of the architecture" in said_limits(workplace)


@pytest.mark.parametrize(("accuracy", "expected"), [(0.9, False), (0.53, True)])
def test_no_better_than_a_scorer_that_knows_nothing(
    workplace: Workplace, accuracy: float, expected: bool
) -> None:
    task = workplace.run.tasks["blimp_filtered"]
    task |= {"accuracy": accuracy, "ci95": [accuracy - 0.01, accuracy + 0.01]}
    says = "blimp_filtered: no better than unigram, which knows nothing"
    assert (says in said_limits(workplace)) is expected


def test_names_cannot_break_the_card(workplace: Workplace, tmp_path: Path) -> None:
    text = card(workplace, to="./out *|<b>`")
    assert "# out \\*\\|\\<b\\>\\`" in text
