"""What is absent, malformed, not finite or of another run is refused, with its name."""

import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import SllamaError
from pipeline.report.inputs import read_inputs
from tests.report.run import Run, choice_task

NAN = float("nan")


def refusal(run: Run) -> str:
    with pytest.raises(SllamaError) as caught:
        read_inputs(run.params, **run.paths)
    return str(caught.value)


def test_everything_is_read(run: Run) -> None:
    inputs = read_inputs(run.write().params, **run.paths)
    assert list(inputs.tasks) == ["heldout", "blimp_filtered", "supplement_filtered"]
    assert inputs.choice_tasks["blimp_filtered"].null["uniform"].accuracy == 0.514
    assert inputs.text_tasks["heldout"].bits_per_byte == 1.23456
    assert inputs.missing_tasks["supplement_filtered"].reason.startswith("gated")


def test_a_task_without_its_file_is_named(run: Run) -> None:
    run.write()
    run.tasks["wug"] = choice_task({"adjectives": 0.5})
    message = refusal(run)
    assert "wug.json" in message
    assert "evaluate.tasks names wug" in message


def test_files_that_the_recipe_does_not_name_are_left_alone(run: Run) -> None:
    run.write()
    (run.paths["evaluate_dir"] / "stale.json").write_text("{broken")
    del run.tasks["heldout"]
    assert "heldout" not in read_inputs(run.params, **run.paths).tasks


Change = Callable[[Run], Any]
NOT_FINITE: dict[str, Change] = {
    "train_loss": lambda run: run.train.update(train_loss=NAN),
    "validation.loss": lambda run: run.train["validation"].update(loss=float("inf")),
    "tasks.blimp_filtered.accuracy": lambda run: run.tasks["blimp_filtered"].update(accuracy=NAN),
    "tasks.blimp_filtered.paradigms.passive_1.tie_rate": lambda run: run.tasks["blimp_filtered"][
        "paradigms"
    ]["passive_1"].update(tie_rate=NAN),
    "tasks.blimp_filtered.null.unigram.accuracy": lambda run: run.tasks["blimp_filtered"]["null"][
        "unigram"
    ].update(accuracy=NAN),
    "tasks.blimp_filtered.ci95.0": lambda run: run.tasks["blimp_filtered"].update(ci95=[NAN, 1.0]),
    "tasks.heldout.bits_per_byte": lambda run: run.tasks["heldout"].update(bits_per_byte=NAN),
}


@pytest.mark.parametrize("key", NOT_FINITE)
def test_a_nan_is_an_error_that_names_its_key(run: Run, key: str) -> None:
    NOT_FINITE[key](run)
    run.write()
    assert f"{key} is not a finite number" in refusal(run)


WRONG: dict[str, Change] = {
    "missing key steps": lambda run: run.train.pop("steps"),
    "missing key tasks.blimp_filtered.tie_rate": lambda run: run.tasks["blimp_filtered"].pop(
        "tie_rate"
    ),
    "missing key tasks.supplement_filtered.reason": lambda run: run.tasks[
        "supplement_filtered"
    ].pop("reason"),
    "missing key stand_in": lambda run: run.tokens.pop("stand_in"),
    "tasks.blimp_filtered.accuracy: input should be less": lambda run: run.tasks[
        "blimp_filtered"
    ].update(accuracy=66.8),
    "the components hold": lambda run: run.train.update(parameters=5),
    "no scores of the null scorer unigram": lambda run: run.tasks["blimp_filtered"]["null"].pop(
        "unigram"
    ),
    "uniform was scored on other paradigms": lambda run: run.tasks["blimp_filtered"]["null"][
        "uniform"
    ]["paradigms"].pop("passive_1"),
    "schema: input should be 1": lambda run: run.identity.update(schema=2),
    "a model of 7 parameters": lambda run: run.identity["model"].update(parameters=7),
    "tokens of demo, but the recipe names babylm-strict-small": lambda run: run.tokens.update(
        source="demo"
    ),
    "bytes: input should be a valid integer": lambda run: run.tokens["splits"]["test"].update(
        bytes="many"
    ),
}


@pytest.mark.parametrize("complaint", WRONG)
def test_wrong_input_is_one_clear_line(run: Run, complaint: str) -> None:
    WRONG[complaint](run)
    run.write()
    message = refusal(run)
    assert complaint in message
    assert "\n" not in message


def test_the_curve_of_another_run_is_refused(run: Run) -> None:
    """A run that was stopped has written its own over that of the finished one."""
    path = run.write().paths["history"]
    path.write_text("\n".join(path.read_text().splitlines()[:-1]))
    assert "they are of two runs" in refusal(run)


@pytest.mark.parametrize("part", ["model", "tokenizer"])
def test_results_of_two_models_are_not_mixed(run: Run, part: str) -> None:
    path = run.write().paths["evaluate_dir"] / "blimp_filtered.json"
    values = json.loads(path.read_text())
    values[part]["fingerprint"] = "of another"
    path.write_text(json.dumps(values))
    message = refusal(run)
    assert f"another {part} than in heldout.json" in message


@pytest.mark.parametrize(("part", "other"), [("dtype", "bfloat16"), ("scorer", "hf")])
def test_scores_of_another_precision_or_scorer_are_not_mixed(
    run: Run, part: str, other: str
) -> None:
    path = run.write().paths["evaluate_dir"] / "blimp_filtered.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {part: other}))
    assert f"another {part} than in heldout.json" in refusal(run)


def test_a_file_of_another_task_is_refused(run: Run) -> None:
    folder = run.write().paths["evaluate_dir"]
    (folder / "blimp_filtered.json").write_bytes((folder / "heldout.json").read_bytes())
    assert "holds no task blimp_filtered" in refusal(run)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["schema", "tasks", "blimp_filtered", "status", "n", "null", "reason"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(value=JSON, name=st.sampled_from(["train_metrics", "tokens", "task", "inside"]))
def test_no_json_gives_a_traceback(run: Run, value: Any, name: str) -> None:
    if name == "inside" and isinstance(value, dict):
        run.tasks["blimp_filtered"] = value
    run.write()
    if name in ("train_metrics", "tokens"):
        run.paths[name].write_text(json.dumps(value))
    elif name == "task":
        (run.paths["evaluate_dir"] / "blimp_filtered.json").write_text(json.dumps(value))
    else:
        run.tasks["blimp_filtered"] = choice_task({"passive_1": 0.5})
    with contextlib.suppress(SllamaError):
        assert set(read_inputs(run.params, **run.paths).tasks) == set(run.tasks)
