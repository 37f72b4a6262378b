"""The processes of one run without torchrun, which start at once."""

import os
import socket
from collections.abc import Callable
from multiprocessing.process import BaseProcess

from pipeline.config import Params
from tests import forked
from tests.train.conftest import Workplace
from tests.waiting import PATIENCE


def start_together(
    workplace: Workplace,
    name: str,
    recipe: Params,
    size: int,
    train: Callable[[Workplace, Params, str], object] = Workplace.train,
) -> list[BaseProcess]:
    """Train `recipe` into the folder `name` in `size` processes; each says to a log of its own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    variables = {
        "SLLAMA_CHECKPOINTS": os.environ["SLLAMA_CHECKPOINTS"],
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(size),
    }
    return [
        forked.start(
            workplace.folder / f"{name}-{rank}.log",
            {**variables, "RANK": str(rank)},
            train, workplace, recipe, name,
        )
        for rank in range(size)
    ]  # fmt: skip


def said(workplace: Workplace, name: str, rank: int = 0) -> str:
    """What a process of the run `name` has said so far."""
    return (workplace.folder / f"{name}-{rank}.log").read_text()


def train_together(
    workplace: Workplace,
    name: str,
    recipe: Params,
    size: int,
    train: Callable[[Workplace, Params, str], object] = Workplace.train,
) -> None:
    """Train `recipe` to its end in `size` processes."""
    for rank, process in enumerate(start_together(workplace, name, recipe, size, train)):
        process.join(PATIENCE)
        assert process.exitcode == 0, said(workplace, name, rank)
