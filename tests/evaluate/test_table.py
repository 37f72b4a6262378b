from pipeline.evaluate.catalog import GLUE
from pipeline.evaluate.table import result_table
from tests.report.run import (
    age_task,
    choice_task,
    finetune_task,
    judgement_task,
    missing_task,
    reading_task,
    text_task,
)


def test_figures_stand_in_columns_and_long_reasons_widen_none() -> None:
    pairs = choice_task({"passive_1": 0.7})
    tasks = {
        "pairs": pairs,
        "comps": missing_task("no such file " * 20),
        "wug": judgement_task(),
        "glue_mrpc": finetune_task(),
        "heldout": text_task(),
    }
    lines = result_table({"scorer": "sllama-fast", "tasks": tasks}).splitlines()
    header, model, uniform = lines[:3]
    for line, shown in ((model, "70.00"), (uniform, "51.40")):
        assert line[: header.index("accuracy") + len("accuracy")].endswith(shown)
    assert len(header) < 120
    missing = next(line for line in lines if line.startswith("comps"))
    assert missing.split()[1:4] == ["sllama-fast", "missing", "no"]
    assert "f1 70.00 honest, 80.00 official" in "\n".join(lines)
    assert "1.2346 bits/byte" in "\n".join(lines)


def test_what_a_constant_answer_gets_is_in_the_units_of_the_model_above_it() -> None:
    tasks = {"glue_mrpc": finetune_task()}
    _, model, constant = result_table({"scorer": "sllama-fast", "tasks": tasks}).splitlines()
    assert model.split()[3:6] == ["f1", "70.00", "honest,"]
    assert constant.split() == ["glue_mrpc", "constant", "f1", "81.00"]


def test_what_is_undefined_says_so() -> None:
    undefined = {"score": None, "ci95": None}
    tasks = {"wug": judgement_task() | undefined, "reading": reading_task() | undefined}
    tasks["aoa"] = age_task() | undefined | {"official": 0.0, "p_value": None}
    shown = result_table({"scorer": "sllama-fast", "tasks": tasks}).splitlines()
    wug, reading, aoa = (line for line in shown if "sllama-fast" in line)
    assert "score undefined, tie_rate" in wug
    assert "score undefined, eye_tracking" in reading
    assert aoa.endswith("score undefined, official 0.0000, p_value undefined")


def test_the_mean_of_all_tasks_of_glue_is_the_last_row() -> None:
    tasks = {f"glue_{name}": finetune_task() for name in GLUE}
    tasks["glue_wsc"]["honest"]["score"] = tasks["glue_wsc"]["official"]["score"] = 0.1
    last = result_table({"scorer": "sllama-fast", "tasks": tasks}).splitlines()[-1]
    assert " ".join(last.split()) == "glue sllama-fast mean of 7 61.43 honest, 70.00 official"
    tasks["glue_wsc"] = missing_task()
    assert "mean of" not in result_table({"scorer": "sllama-fast", "tasks": tasks})
