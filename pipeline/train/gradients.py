"""Forward and backward pass of a micro-batch; on a GPU recorded once and replayed.

A step of a small model is hundreds of kernels of some microseconds each, and the host takes longer
to start one than the GPU to run it. As a CUDA graph they are started all at once.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from pipeline.train.batches import WindowReader
from pipeline.train.objective import Objective, compiler_errors

# Passes before the one that is recorded: they compile, choose kernels and take up memory.
_WARM_UP = 2

Offsets = npt.NDArray[np.int64]


def make_gradients(objective: Objective, reader: WindowReader, recordable: bool) -> "Gradients":
    """Return gradients, recorded where there is a GPU and each pass starts the same kernels."""
    recorded = recordable and objective.numerics.device.type == "cuda"
    return (RecordedGradients if recorded else Gradients)(objective, reader)


class Gradients:
    """Adds the gradients of micro-batches to those that the model's parameters have."""

    def __init__(self, objective: Objective, reader: WindowReader) -> None:
        self._objective = objective
        self._reader = reader

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self._objective.numerics.device

    def add(self, offsets: Offsets, parts: float) -> torch.Tensor:
        """Add 1 / `parts` of the gradient of the mean loss over the windows at `offsets`.

        Returns as much of the loss, on the device, which is not waited for.
        """
        return self._add(self._reader.place(offsets), parts)

    def forget(self) -> None:
        """Let go of memory that is kept between micro-batches."""

    def _add(self, starts: torch.Tensor, parts: float) -> torch.Tensor:
        part = self._objective(self._reader.cut(starts)) / parts
        with compiler_errors():
            part.backward()  # type: ignore[no-untyped-call]
        return part.detach()


class RecordedGradients(Gradients):
    """The same on a CUDA device, kernel by kernel, from one recording for each size."""

    def __init__(self, objective: Objective, reader: WindowReader) -> None:
        super().__init__(objective, reader)
        self._recordings: dict[tuple[int, float], _Recording] = {}

    def add(self, offsets: Offsets, parts: float) -> torch.Tensor:
        """Add 1 / `parts` of the gradient; the loss returned is overwritten by the next call."""
        starts = self._reader.place(offsets)
        size = len(offsets), parts
        if size not in self._recordings:
            self._recordings[size] = self._record(starts, parts)
        return self._recordings[size].replay(starts)

    def forget(self) -> None:
        """Let go of the recordings, and of the memory that each keeps for itself."""
        self._recordings.clear()

    def _record(self, starts: torch.Tensor, parts: float) -> "_Recording":
        parameters = [p for p in self._objective.parameters() if p.requires_grad]
        before = [None if p.grad is None else p.grad.clone() for p in parameters]
        starts = starts.clone()
        stream: Any = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UP):
                self._add(starts, parts)
            # The memory that the recording adds to must stay where it is from now on.
            for parameter, gradient in zip(parameters, before, strict=True):
                if parameter.grad is not None:
                    was = torch.zeros_like(parameter) if gradient is None else gradient
                    parameter.grad.copy_(was)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            loss = self._add(starts, parts)
        return _Recording(graph, starts, loss)


class _Recording:
    """A graph, the window offsets that it reads and the loss that it leaves behind."""

    def __init__(self, graph: Any, starts: torch.Tensor, loss: torch.Tensor) -> None:
        self._graph = graph
        self._starts = starts
        self._loss = loss

    def replay(self, starts: torch.Tensor) -> torch.Tensor:
        self._starts.copy_(starts)
        self._graph.replay()
        return self._loss
