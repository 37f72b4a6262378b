"""The DVC cache on an S3 server of this machine, by the commands that docs/cluster.md gives."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.imports import ROOT
from tests.integration.checkout import Checkout, copy_with_a_run

boto3 = pytest.importorskip("boto3", reason="pip install -r requirements-tests.txt")
server = pytest.importorskip("moto.server", reason="pip install -r requirements-tests.txt")
pytest.importorskip("dvc_s3", reason="pip install -r requirements-tests.txt")

pytestmark = pytest.mark.slow

BUCKET = "sllama-store"
ACCESS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "NO_PROXY": "127.0.0.1",
}


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a running server with an empty bucket."""
    for name, value in ACCESS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    running.start()
    try:
        host, port = running.get_host_and_port()
        address = f"http://{host}:{port}"
        boto3.client("s3", endpoint_url=address).create_bucket(Bucket=BUCKET)
        yield address
    finally:
        running.stop()


def documented(replaced: dict[str, str]) -> list[list[list[str]]]:
    """The blocks of commands of that section, as words, with its placeholders filled."""
    text = (ROOT / "docs" / "cluster.md").read_text()
    section = text.split("\n## A remote")[1].split("\n## ")[0]
    for before, after in replaced.items():
        assert before in section
        section = section.replace(before, after)
    blocks = re.findall(r"(?:^ {4}\S.*\n)+", section, re.MULTILINE)
    return [[line.split("  #")[0].split() for line in block.splitlines()] for block in blocks]


def outputs(checkout: Checkout) -> dict[str, bytes]:
    """What DVC tracks of the last stages, by path."""
    folder = checkout.folder
    paths = [*(folder / "results").rglob("*"), *(folder / "models").rglob("*")]
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in paths
        if path.is_file() and not path.name.endswith(".provenance.json")
    }


def test_a_fresh_clone_takes_all_outputs_from_the_remote(
    tmp_path: Path, endpoint: str, shared_run: Path
) -> None:
    share, take = documented({"BUCKET": BUCKET, "https://S3.EXAMPLE.COM": endpoint})
    first = copy_with_a_run(tmp_path, shared_run)
    for command in share:
        first.run(*command)

    clone = Checkout(tmp_path / "clone", tmp_path / "others")
    first.run("git", "clone", "--quiet", ".", str(clone.folder))
    assert not outputs(clone)
    said = "".join(clone.run(*command) for command in take)
    assert "Running stage" not in said
    assert "results/report/report.html" in outputs(clone)
    assert outputs(clone) == outputs(first)
    assert clone.run("git", "status", "--porcelain") == ""
