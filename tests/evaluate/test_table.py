from pipeline.evaluate.catalog import GLUE
from pipeline.evaluate.table import result_table
from tests.report.run import choice_task, finetune_task, judgement_task, missing_task, text_task


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


def test_the_mean_of_all_tasks_of_glue_is_the_last_row() -> None:
    tasks = {f"glue_{name}": finetune_task() for name in GLUE}
    tasks["glue_wsc"]["honest"]["score"] = tasks["glue_wsc"]["official"]["score"] = 0.1
    last = result_table({"scorer": "sllama-fast", "tasks": tasks}).splitlines()[-1]
    assert " ".join(last.split()) == "glue sllama-fast mean of 7 61.43 honest, 70.00 official"
    tasks["glue_wsc"] = missing_task()
    assert "mean of" not in result_table({"scorer": "sllama-fast", "tasks": tasks})
