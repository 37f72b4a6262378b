"""What evaluate writes is what the report reads: every kind of task, and a missing one."""

import json
import shutil
from pathlib import Path

import numpy as np

from pipeline.evaluate.run import EvaluationRequest, run_evaluation
from pipeline.report.document import compose
from pipeline.report.inputs import read_inputs
from pipeline.report.tables import Table
from tests.evaluate.test_aoa import model as checkpoints  # noqa: F401  (a fixture)
from tests.evaluate.test_aoa import write_children, write_words
from tests.evaluate.test_finetune import made_up, write
from tests.evaluate.test_run import write_tokens
from tests.evaluate.toys import make_config
from tests.report.run import Run

TASKS = ["heldout", "demo_pairs", "wug_past", "reading", "glue_rte", "aoa", "comps"]


def write_benchmarks(data: Path, demo: Path) -> None:
    shutil.copytree(demo / "demo", data / "demo")
    generator = np.random.default_rng(0)
    judged = [
        {"sentences": f"A dog is {'loud ' * (i % 3)}.\tA cat.", "ratio": i / 10} for i in range(9)
    ]
    write(data / "wug_past_tense" / "wug_past_tense.jsonl", judged)
    for split, seed in (("train", 0), ("valid", 1)):
        write(data / "full_eval" / "glue_filtered" / f"rte.{split}.jsonl", made_up(40, seed))
    write_words(data)
    write_children(data)
    measures = ["RTfirstfix", "RTfirstpass", "RTgopast", "RTrightbound", "self_paced_reading_time"]
    predictors = ["Subtlex_log10", "length", "context_length", "prev_length"]
    rows = [",".join([*measures, *predictors, "item", "word", "prev_item", "prev_word"])]
    for number in range(60):
        figures = [f"{value:.3f}" for value in generator.normal(size=9)]
        rows.append(",".join([*figures, "These" + " dogs" * (number % 4), "are", "These", "dogs"]))
    (data / "reading").mkdir()
    (data / "reading" / "reading_data.csv").write_text("\n".join(rows) + "\n")


def test_the_report_shows_every_task_that_evaluate_makes(
    checkpoints: Path,  # noqa: F811
    benchmarks: Path,
    tmp_path: Path,
) -> None:
    write_benchmarks(tmp_path / "data", benchmarks)
    tokens = write_tokens(tmp_path / "tokens")
    run = Run(tmp_path / "run").write()
    folder = run.paths["evaluate_dir"]
    run.recipe["evaluate"]["null_scorers"] = ["uniform", "unigram"]
    for task in TASKS:
        request = EvaluationRequest(
            tasks=[task],
            out=folder / f"{task}.json",
            config=make_config(tasks=[task], null_scorers=["uniform", "unigram"]),
            model=checkpoints,
            data=tmp_path / "data",
            tokens=tokens,
        )
        run.tasks[task] = run_evaluation(request)["tasks"][task]
    run.tasks = {task: run.tasks[task] for task in TASKS}
    parameters = json.loads((folder / "comps.json").read_text())["model"]["parameters"]
    run.train |= {"parameters": parameters, "parameters_by_component": {"all": parameters}}
    run.paths["train_metrics"].write_text(json.dumps(run.train))
    document = compose(read_inputs(run.params, **run.paths), figures={})
    shown = {
        block.caption: {row.cells[0] for row in block.rows}
        for block in document.sections[0].blocks
        if isinstance(block, Table)
    }
    assert shown == {
        "Benchmarks": {"demo_pairs", "comps"},
        "Missing": {"comps"},
        "Agreement with people": {"wug_past", "reading", "aoa"},
        "Fine-tuning": {"glue_rte"},
        "Held-out text": {"heldout"},
    }
