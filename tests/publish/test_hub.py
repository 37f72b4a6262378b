"""Against a local server that speaks the Hub's language, by the real client."""

import logging
from pathlib import Path

import pytest
from huggingface_hub import HfApi

from pipeline.errors import SllamaError
from pipeline.publish import publish
from pipeline.publish.hub import publish_to_hub
from pipeline.publish.plan import Plan
from tests.publish.fake_hub import FakeHub
from tests.publish.support import MODEL_FILES, Workplace

REVISIONS = ["chck_2M", "chck_10M", "main"]
NAMES = sorted([*MODEL_FILES, "README.md"])


@pytest.fixture
def plan(workplace: Workplace) -> Plan:
    return publish(workplace.request("me/toy"))


def api(hub: FakeHub, token: str) -> HfApi:
    return HfApi(endpoint=hub.address, token=token)


def test_checkpoints_are_branches_and_the_model_comes_last(
    plan: Plan, hub: FakeHub, token: str
) -> None:
    publish_to_hub(plan, "me/toy", api(hub, token), private=True)
    assert [commit.branch for commit in hub.commits] == REVISIONS
    assert all(commit.files == NAMES for commit in hub.commits)
    # So that the Hub refuses where someone else was there meanwhile.
    assert [commit.parent for commit in hub.commits] == [FakeHub().head(name) for name in REVISIONS]
    assert hub.private
    assert hub.branches is not None
    for revision in plan.revisions:
        for file in revision.files:
            assert hub.branches[revision.name][file.path] == file.source.read_bytes()
    assert hub.tokens == {f"Bearer {token}"}


def test_publishing_again_uploads_nothing_twice(plan: Plan, hub: FakeHub, token: str) -> None:
    publish_to_hub(plan, "me/toy", api(hub, token))
    publish_to_hub(plan, "me/toy", api(hub, token))
    assert [commit.branch for commit in hub.commits] == REVISIONS


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/create", 401, r"me/toy: the token is not accepted \(401\); set HF_TOKEN"),
        ("/create", 403, r"me/toy: the token may not write there \(403\)"),
        ("/commit/", 403, r"me/toy: the token may not write there \(403\)"),
        ("/tree/", 404, r"me/toy: no such repository or owner \(404\)"),
        ("/commit/", 409, r"me/toy: changed by someone else meanwhile \(409\); run again"),
        ("/commit/", 412, r"me/toy: changed by someone else meanwhile \(412\); run again"),
        ("/commit/", 400, r"me/toy: the Hub answered 400"),
    ],
)
def test_a_refusal_is_one_clear_line(
    plan: Plan, hub: FakeHub, token: str, path: str, status: int, says: str
) -> None:
    hub.refuse[path] = status
    with pytest.raises(SllamaError, match=says) as caught:
        publish_to_hub(plan, "me/toy", api(hub, token))
    assert "\n" not in str(caught.value)
    assert token not in str(caught.value)
    assert "main" not in {commit.branch for commit in hub.commits}


def test_without_network_it_says_so(plan: Plan, token: str) -> None:
    nobody = HfApi(endpoint="http://127.0.0.1:9", token=token)
    with pytest.raises(SllamaError, match="me/toy: the Hub cannot be reached") as caught:
        publish_to_hub(plan, "me/toy", nobody)
    assert "\n" not in str(caught.value)


def test_without_a_token_nothing_is_tried(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(SllamaError, match="no token; set HF_TOKEN"):
        publish(workplace.request("me/toy", push=True))


def test_files_that_are_not_the_models_are_left_alone(plan: Plan, hub: FakeHub, token: str) -> None:
    publish_to_hub(plan, "me/toy", api(hub, token))
    assert hub.branches is not None
    hub.branches["main"]["pytorch_model.bin"] = b"old"
    with pytest.raises(SllamaError, match=r"revision main: holds pytorch_model\.bin"):
        publish_to_hub(plan, "me/toy", api(hub, token))
    assert hub.branches["main"]["pytorch_model.bin"] == b"old"


def test_checkpoints_of_another_run_are_not_left_among_these(
    plan: Plan, hub: FakeHub, token: str
) -> None:
    publish_to_hub(plan, "me/toy", api(hub, token))
    assert hub.branches is not None
    shorter = Plan(tuple(revision for revision in plan.revisions if revision.name != "chck_10M"))
    with pytest.raises(SllamaError, match="me/toy: has revisions chck_10M, which this model"):
        publish_to_hub(shorter, "me/toy", api(hub, token))
    assert len(hub.commits) == len(REVISIONS)
    del hub.branches["chck_10M"]
    hub.branches["experiment"] = {}
    publish_to_hub(shorter, "me/toy", api(hub, token))


def test_what_arrives_damaged_is_noticed(plan: Plan, hub: FakeHub, token: str) -> None:
    hub.damage = "model.safetensors"
    with pytest.raises(SllamaError, match=r"model\.safetensors is not there as it was sent"):
        publish_to_hub(plan, "me/toy", api(hub, token))


def test_the_token_is_printed_nowhere(
    plan: Plan,
    hub: FakeHub,
    token: str,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    with caplog.at_level(logging.DEBUG):
        publish_to_hub(plan, "me/toy", api(hub, token))
    shown = capfd.readouterr()
    assert token not in shown.out + shown.err + caplog.text
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or token.encode() not in path.read_bytes()
