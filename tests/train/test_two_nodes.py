"""Two nodes, as two network namespaces with a cable between them."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.train.conftest import Workplace
from tests.train.ranks import train_together
from tests.train.support import params
from tests.train.torchrun import Launched, command, launch
from tests.waiting import PATIENCE, wait_for

pytestmark = pytest.mark.slow

RECIPE = params(micro_batch_size=2, steps=120, checkpoint_every=10, validate_every=60)
# Addresses kept for documentation: no machine has them.
ADDRESSES = ("192.0.2.1", "192.0.2.2")


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


@pytest.fixture
def nodes() -> Iterator[list[str]]:
    """Names of two namespaces that reach each other by ADDRESSES."""
    if shutil.which("ip") is None:
        pytest.skip("no ip command (iproute2)")
    names = [f"sllama-{os.getpid()}-{number}" for number in (0, 1)]
    ends = [f"sl{os.getpid()}n{number}" for number in (0, 1)]
    try:
        try:
            for name in names:
                ip("netns", "add", name)
            ip("link", "add", ends[0], "type", "veth", "peer", "name", ends[1])
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no right to make network namespaces: {error.stderr.strip()}")
        for name, end, address in zip(names, ends, ADDRESSES, strict=True):
            ip("link", "set", end, "netns", name)
            ip("-n", name, "link", "set", end, "name", "cable")
            ip("-n", name, "addr", "add", f"{address}/24", "dev", "cable")
            ip("-n", name, "link", "set", "cable", "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


def start(workplace: Workplace, nodes: list[str], number: int, name: str) -> Launched:
    options = (
        "--nnodes=2",
        "--nproc-per-node=1",
        f"--node-rank={number}",
        f"--master-addr={ADDRESSES[0]}",
        "--master-port=29500",
        f"--local-addr={ADDRESSES[number]}",
    )
    argv = command(workplace.folder, name, RECIPE, options)
    return launch(
        ["ip", "netns", "exec", nodes[number], *argv],
        workplace.folder / f"{name}-node{number}.log",
        GLOO_SOCKET_IFNAME="cable",
    )


def test_two_nodes_train_what_two_processes_do(workplace: Workplace, nodes: list[str]) -> None:
    train_together(workplace, "one-node", RECIPE, 2)
    both = [start(workplace, nodes, number, "two-nodes") for number in (0, 1)]
    for node in both:
        assert node.wait() == 0, node.log.read_text()
    assert workplace.outputs("two-nodes") == workplace.outputs("one-node")


def test_a_lost_node_ends_the_run_on_the_other(
    workplace: Workplace, nodes: list[str], checkpoints: Path
) -> None:
    both = [start(workplace, nodes, number, "run") for number in (0, 1)]
    wait_for(lambda: list(checkpoints.glob("*/step-*")))
    worker = both[1].worker(1)
    both[1].process.kill()
    worker.kill()
    both[1].process.wait(PATIENCE)
    assert both[0].process.wait(60) != 0
    (line,) = both[0].errors()
    assert "another process of this run is gone" in line
