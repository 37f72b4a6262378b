"""Joins the processes that torchrun started."""

import logging
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from math import gcd

import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from pipeline.config import TrainConfig
from pipeline.errors import SllamaError
from pipeline.train.device import uses_cuda
from pipeline.train.distributed import Ranks, answers

# How long a process waits within a step for one that does not answer, seconds.
TIMEOUT_VARIABLE = "SLLAMA_RANK_TIMEOUT"
_STEP_TIMEOUT = 50.0
# While process 0 writes, or another compiles, waiting is in order.
_PATIENT_TIMEOUT = timedelta(minutes=30)
_SPEAKING_SECONDS = 30.0


@contextmanager
def joined(config: TrainConfig) -> Iterator[Ranks]:
    """Join the processes that torchrun started, if it did, and be quiet in all but the first.

    SllamaError: they cannot share a step's micro-batches equally, or the node's GPUs.
    """
    size, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    if size == 1:
        yield Ranks()
        return
    _require_equal_shares(config, rank, size)
    backend = _take_device() if uses_cuda(config) else "gloo"
    step_timeout = _step_timeout()
    log = logging.getLogger("pipeline")
    level = log.level
    if rank > 0:
        log.setLevel(logging.ERROR)
    with answers():
        store = _fresh_store(rank, size)
        dist.init_process_group(
            backend, store=store, rank=rank, world_size=size, timeout=_PATIENT_TIMEOUT
        )
        steps = dist.new_group(backend=backend, timeout=step_timeout)
    try:
        yield Ranks(rank, size, steps)
    except SllamaError as error:
        if rank == 0:
            raise
        raise SllamaError(f"process {rank} of {size}: {error}") from error
    finally:
        log.setLevel(level)
    # Not after an error: with a process gone this could wait for ever.
    dist.destroy_process_group()


def _require_equal_shares(config: TrainConfig, rank: int, size: int) -> None:
    micro_batches = config.batch_size // config.micro_batch_size
    if micro_batches % size == 0:
        return
    if rank > 0:
        # Process 0 says it for all; torchrun would end it before that if this one went first.
        time.sleep(_SPEAKING_SECONDS)
        raise SystemExit(1)
    advice = f"take a number of processes that divides {micro_batches}"
    if config.batch_size % size == 0:
        fitting = gcd(config.micro_batch_size, config.batch_size // size)
        advice += f", or train.micro_batch_size: {fitting}"
    raise SllamaError(
        f"{size} processes cannot share equally the {micro_batches} micro-batches of a step "
        f"(train.batch_size {config.batch_size} / train.micro_batch_size "
        f"{config.micro_batch_size}); {advice}"
    )


def _step_timeout() -> timedelta:
    configured = os.environ.get(TIMEOUT_VARIABLE, str(_STEP_TIMEOUT))
    try:
        timeout = timedelta(seconds=float(configured))
    except (ValueError, OverflowError) as error:
        raise SllamaError(f"{TIMEOUT_VARIABLE} is a number of seconds, not {configured}") from error
    if timeout <= timedelta():
        raise SllamaError(f"{TIMEOUT_VARIABLE} is more than 0 seconds, not {configured}")
    return timeout


def _take_device() -> str:
    """Make this process's GPU the current one; return the backends for host and device."""
    local, found = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if local >= found:
        raise SllamaError(
            f"more processes than GPUs on this node ({found}); torchrun --nproc-per-node {found}"
        )
    torch.cuda.set_device(local)
    return "cpu:gloo,cuda:nccl"


def _fresh_store(rank: int, size: int) -> Store:
    """Return torchrun's store under a name that only the processes of this start know.

    After a restart the store still holds the addresses of the processes before, and how often a
    process was restarted differs between nodes. So process 0 makes up a name, and tells it to each
    process that greets it until all have come in by that name.
    """
    store: Store = next(rendezvous("env://", timeout=_PATIENT_TIMEOUT))[0]
    token = secrets.token_hex(8)
    if rank > 0:
        store.set(f"greeting/{rank}", token)
        name = store.get(f"answer/{token}").decode()
        store.set(f"{name}/{rank}", "here")
        return PrefixStore(name, store)
    missing = list(range(1, size))
    deadline = time.monotonic() + _PATIENT_TIMEOUT.total_seconds()
    while missing and time.monotonic() < deadline:
        for other in missing:
            if store.check([f"greeting/{other}"]):
                store.set(f"answer/{store.get(f'greeting/{other}').decode()}", token)
        missing = [other for other in missing if not store.check([f"{token}/{other}"])]
        time.sleep(0.01)
    if missing:
        raise SllamaError(f"processes {missing} of {size} did not come")
    return PrefixStore(token, store)
