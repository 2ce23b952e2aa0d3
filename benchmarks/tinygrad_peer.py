"""The mlp and cnn workloads in tinygrad, for comparison: its JIT, its Adam; steps per second after a warm-up.

    PYTHON_WITH_TINYGRAD benchmarks/tinygrad_peer.py [--only mlp,cnn]        DEV=CPU or DEV=CL chooses tinygrad's device

tinygrad has no RMSprop, so the mlp trains with Adam here.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
from tinygrad import Context, Tensor, TinyJit, nn


class MLP:
    """784-256-128-10 with dropout."""

    def __init__(self) -> None:
        self.layers = [nn.Linear(784, 256), nn.Linear(256, 128), nn.Linear(128, 10)]

    def __call__(self, x: Tensor) -> Tensor:
        x = self.layers[0](x).relu().dropout(0.4)
        return self.layers[2](self.layers[1](x).relu().dropout(0.3))


class CNN:
    """The convolutional network of Keras's MNIST example."""

    def __init__(self) -> None:
        self.convolutions = [nn.Conv2d(1, 32, 3), nn.Conv2d(32, 64, 3)]
        self.dense = [nn.Linear(9216, 128), nn.Linear(128, 10)]

    def __call__(self, x: Tensor) -> Tensor:
        for convolution in self.convolutions:
            x = convolution(x).relu()
        x = x.max_pool2d((2, 2)).dropout(0.25).flatten(1)
        return self.dense[1](self.dense[0](x).relu().dropout(0.5))


WORKLOADS = {"mlp": (MLP, (128, 784), 100), "cnn": (CNN, (128, 1, 28, 28), 10)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(WORKLOADS))
    args = parser.parse_args()
    for name in args.only.split(","):
        make, shape, steps = WORKLOADS[name]
        model = make()
        optimizer = nn.optim.Adam(nn.state.get_parameters(model), lr=1e-3)

        @TinyJit
        def step(x: Tensor, y: Tensor, model=model, optimizer=optimizer) -> Tensor:
            optimizer.zero_grad()
            loss = model(x).sparse_categorical_crossentropy(y).backward()
            return loss.realize(*optimizer.schedule_step())

        rng = np.random.default_rng(0)
        images, labels = rng.random(shape, dtype=np.float32), rng.integers(0, 10, shape[0]).astype("int32")

        def run(count: int, step=step, images=images, labels=labels) -> float:
            start = time.perf_counter()
            for _ in range(count):
                loss = step(Tensor(images).realize(), Tensor(labels).realize())
            loss.item()
            return time.perf_counter() - start

        with Context(TRAINING=1):
            first = run(1)
            run(3)
            rates = [steps / run(steps) for _ in range(3)]
        print(f"tinygrad {name}: {statistics.median(rates):.2f} steps/s, first step {first:.1f} s", flush=True)


if __name__ == "__main__":
    main()
