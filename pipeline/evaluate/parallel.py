"""Batches over the cores of a CPU: one thread each, so the number of cores changes no bit."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

_Batch = TypeVar("_Batch")
_Result = TypeVar("_Result")


def map_batches(
    function: Callable[[_Batch], _Result], batches: Iterable[_Batch], device: torch.device
) -> Iterator[_Result]:
    """Yield function(batch) in order, in inference mode; on a CPU, several batches at once.

    As many workers as torch has threads, each with one thread for its kernels: small kernels gain
    little from more, and lose much where the cores are busy.
    """
    workers = torch.get_num_threads() if device.type == "cpu" else 1

    def work(batch: _Batch) -> _Result:
        with torch.inference_mode():
            return function(batch)

    if workers == 1:
        yield from map(work, batches)
        return
    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        yield from pool.map(work, batches)
