"""Several processes that train one model together: who does what, and how their numbers meet.

torchrun starts them; without it there is one process, and nothing here does anything. Every process
holds the whole model and draws the same global batches. Of each step it computes an equal share of
the micro-batches, and the gradients are summed over the processes, so that the step is the one that
a single process would take, up to the order of a sum. Process 0 alone reads and writes files.

Windows, dropout masks and learning rates do not depend on the number of processes.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist

from pipeline.errors import SllamaError
from pipeline.train.checkpoint import Snapshot

# Elements summed at a time: bounds the copy of the gradients.
_BUCKET_ELEMENTS = 1 << 25


@dataclass(eq=False)
class Ranks:
    """This process among those of a run. `Ranks()` is a process on its own.

    `step_group` exchanges what a step needs, with little patience for a process that does not
    answer; the default group, for all else, is patient: files are written meanwhile.
    The methods that exchange something have to be called by all processes, in the same order;
    SllamaError: another process is gone, or does not answer.
    """

    rank: int = 0
    size: int = 1
    step_group: dist.ProcessGroup | None = None
    _compiled: bool = False

    @property
    def first(self) -> bool:
        """Whether this is the process that reads and writes files."""
        return self.rank == 0

    def share(self, count: int) -> range:
        """Return which of `count` things, a multiple of `size`, are this process's."""
        each = count // self.size
        return range(self.rank * each, (self.rank + 1) * each)

    def in_turn(self, count: int, patient: bool = False) -> Iterator[int]:
        """Yield which of `count` things are this process's: every `size`-th.

        After each the processes meet, so that one that falls silent is noticed as soon as within a
        step; `patient`: they do not.
        """
        for first in range(0, count, self.size):
            if first + self.rank < count:
                yield first + self.rank
            if self.size > 1 and not patient:
                if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
                    # What a device has still to do would be waited for after they met.
                    torch.cuda.synchronize()
                self.largest(0)

    def sum_(self, tensors: list[torch.Tensor]) -> None:
        """Replace each tensor by its sum over the processes: the same bits in all of them."""
        if self.size == 1:
            return
        if not self._compiled:
            # The first step compiles, which takes one process longer than another.
            self.wait()
            self._compiled = True
        with answers():
            for bucket in _buckets(tensors):
                flat = torch.cat([tensor.reshape(-1) for tensor in bucket])
                dist.all_reduce(flat, group=self.step_group)
                parts = torch.split(flat, [tensor.numel() for tensor in bucket])
                for tensor, part in zip(bucket, parts, strict=True):
                    tensor.copy_(part.view_as(tensor))

    def any(self, flag: bool) -> bool:
        """Tell whether `flag` is true in any process, without waiting for the device."""
        return self.largest(int(flag)) > 0

    def largest(self, number: int) -> int:
        """Return the largest `number` of the processes, without waiting for the device."""
        if self.size == 1:
            return number
        numbers = torch.tensor(number)
        with answers():
            dist.all_reduce(numbers, dist.ReduceOp.MAX, group=self.step_group)
        return int(numbers)

    def wait(self) -> None:
        """Wait until every process is here."""
        if self.size > 1:
            with answers():
                dist.all_reduce(torch.zeros(()))

    def wait_for_first(self) -> None:
        """Wait until process 0 is here, which waits for nobody and so notices who is stuck."""
        if self.size > 1:
            with answers():
                dist.broadcast(torch.zeros(()), src=0)

    def merge(self, values: torch.Tensor) -> torch.Tensor:
        """Return `values`, each entry from the one process where it is not 0, on the CPU."""
        merged = values.cpu()
        if self.size > 1:
            with answers():
                dist.all_reduce(merged)
        return merged

    def broadcast(self, snapshot: Snapshot | None) -> Snapshot:
        """Return the snapshot that process 0 passes; the others pass None."""
        if snapshot is not None and self.size == 1:
            return snapshot
        tensors = {} if snapshot is None else snapshot.tensors
        kinds = {name: [str(t.dtype), list(t.shape)] for name, t in tensors.items()}
        values = None if snapshot is None else snapshot.values
        with answers():
            header = json.loads(_broadcast_text(json.dumps([kinds, values])))
            received = {}
            for name, (dtype, shape) in header[0].items():
                empty = torch.empty(shape, dtype=getattr(torch, dtype.removeprefix("torch.")))
                tensor = tensors[name].cpu().contiguous() if self.first else empty
                dist.broadcast(tensor, src=0)
                received[name] = tensor
        return Snapshot(received, header[1])

    def require_equal(self, digest: str) -> None:
        """Raise SllamaError unless `digest`, of the weights, is the same in every process."""
        if self.size == 1:
            return
        with answers():
            equal = digest == _broadcast_text(digest)
        if self.any(not equal):
            raise SllamaError(
                "the processes of this run no longer hold the same weights; use machines of one "
                "kind, and run again to go on from the last checkpoint"
            )


@contextmanager
def answers() -> Iterator[None]:
    """Turn what a failing exchange raises into one line."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0].split(". ")[0]
        raise SllamaError(
            "another process of this run is gone or does not answer; its own message says why. "
            f"Run again to go on from the last checkpoint ({reason})"
        ) from error


def _broadcast_text(text: str) -> str:
    """Return the `text` of process 0."""
    encoded = torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)
    length = torch.tensor(len(encoded))
    dist.broadcast(length, src=0)
    if dist.get_rank() > 0:
        encoded = torch.empty(int(length), dtype=torch.uint8)
    dist.broadcast(encoded, src=0)
    return encoded.numpy().tobytes().decode()


def _buckets(tensors: list[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    bucket: list[Any] = []
    elements = 0
    for tensor in tensors:
        if bucket and elements + tensor.numel() > _BUCKET_ELEMENTS:
            yield bucket
            bucket, elements = [], 0
        bucket.append(tensor)
        elements += tensor.numel()
    yield bucket
