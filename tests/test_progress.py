import json
import logging
import re
import sys
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import progress
from pipeline.errors import SllamaError
from pipeline.progress import LogFormatter, Progress, logs_are_json, redact, track


def test_track_yields_everything_in_order() -> None:
    assert list(track(range(5), description="counting")) == [0, 1, 2, 3, 4]


def test_without_a_terminal_lines_tell_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(progress, "_PLAIN_INTERVAL_SECONDS", 0.0)
    with caplog.at_level(logging.INFO, logger="progress"), Progress("train", 4, "step") as bar:
        bar.advance(loss="3.5")
        bar.advance(2, loss="2.5")
    assert "train" in caplog.messages[-1]
    assert "3/4" in caplog.messages[-1]
    assert "loss=2.5" in caplog.messages[-1]
    assert capsys.readouterr().err == ""


SECRET = "hf_" + "q" * 34


def formatted(message: str, *values: object, as_json: bool = False, **fields: object) -> str:
    record = logging.LogRecord("pipeline.x", logging.INFO, "x.py", 1, message, values, None)
    record.__dict__.update(fields)
    return LogFormatter("train", as_json).format(record)


def test_a_line_has_time_stage_and_message() -> None:
    assert re.fullmatch(r"\d\d:\d\d:\d\d train: step 3 of 4", formatted("step %d of %d", 3, 4))


def test_json_lines_say_the_same() -> None:
    values = json.loads(formatted("step %d\nof %s", 3, "Ünïcode", as_json=True))
    assert values == {
        "time": values["time"],
        "level": "info",
        "stage": "train",
        "message": "step 3\nof Ünïcode",
    }
    assert datetime.fromisoformat(values["time"]).tzinfo is not None


@pytest.mark.parametrize("as_json", [False, True])
def test_no_secret_is_logged(monkeypatch: pytest.MonkeyPatch, as_json: bool) -> None:
    monkeypatch.setenv("WANDB_API_KEY", 'a"quoted\\value')
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "parallel-ly")
    try:
        raise ValueError(f"refused: {SECRET}")
    except ValueError:
        failure = sys.exc_info()
    line = formatted(
        "%s, %s, Authorization: Bearer abcdefgh.ijkl, https://me:pass@host/x, parallel-ly",
        SECRET,
        'a"quoted\\value',
        as_json=as_json,
        exc_info=failure,
    )
    text = f"{json.loads(line)}" if as_json else line
    for hidden in (SECRET, "quoted", "abcdefgh", "pass@"):
        assert hidden not in text
    for shown in ("https://***@host/x", "Bearer ***", "parallel-ly", "refused: ***"):
        assert shown in text


@given(st.text(max_size=40), st.text(max_size=40))
def test_a_secret_is_hidden_wherever_it_stands(before: str, after: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_TOKEN", "0123-the-token-3210")
        assert "0123-the-token-3210" not in redact(f"{before}0123-the-token-3210{after}")


def test_text_without_secrets_stays() -> None:
    text = "loss 3.25 at step 10; see https://host/x and basic English, bearer of news"
    assert redact(text) == text


def test_an_unknown_format_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLLAMA_LOG", "xml")
    with pytest.raises(SllamaError, match=r"SLLAMA_LOG=xml: no such format \(text, json\)"):
        logs_are_json()
