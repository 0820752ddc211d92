"""A step of many small kernels, launched at once: CUDA graphs.

On a GPU, the minibatches of a dictionary are so quickly computed that launching their kernels one
by one takes longer. So the kernels of a step are recorded once and launched together from then on.
A recorded step reads and writes the same memory each time: what it is given is copied there.
"""

from collections.abc import Callable, Sequence

import torch

TensorStep = Callable[..., None]


def captured(
    step: TensorStep, device: str, generators: Sequence[torch.Generator] = ()
) -> TensorStep:
    """Return a function that does what a step does, on CUDA from one recording of its kernels.

    Parameters
    ----------
    step : callable
        Takes tensors, changes others in place and returns nothing. It must not read a value back
        to the CPU. Numbers that are not tensors stay those of the second call.
    device : str
        The device of all tensors; on any other than CUDA, `step` is returned.
    generators : sequence of torch.Generator
        The generators that `step` draws random numbers with.

    Returns
    -------
    callable
        Its first call runs `step`, the second records it. Tensors of other shapes than those of the
        first call, such as a last short minibatch, are not replayed: `step` runs.
    """
    place = torch.device(device)
    return _Captured(step, place, generators) if place.type == "cuda" else step


class _Captured:
    """A step and, from the second call on, its graph."""

    def __init__(
        self, step: TensorStep, device: torch.device, generators: Sequence[torch.Generator]
    ) -> None:
        self.step, self.device, self.generators = step, device, generators
        self.inputs: list[torch.Tensor] | None = None
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, *given: torch.Tensor) -> None:
        if self.inputs is None:
            self.inputs = [tensor.clone() for tensor in given]
            self.step(*given)  # libraries choose their kernels, which must not happen in a capture
        elif [tensor.shape for tensor in given] != [tensor.shape for tensor in self.inputs]:
            self.step(*given)
        else:
            for kept, tensor in zip(self.inputs, given, strict=True):
                kept.copy_(tensor)
            if self.graph is None:
                self.graph = self._recorded(self.inputs)
            self.graph.replay()

    def _recorded(self, inputs: list[torch.Tensor]) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        for generator in self.generators:
            graph.register_generator_state(generator)
        stream = torch.cuda.Stream(self.device)
        # another thread may pin memory meanwhile
        with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            self.step(*inputs)
        return graph
