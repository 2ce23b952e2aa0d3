"""ResNet-50 and the transformer encoder in plain PyTorch, as its own users would write them for speed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F


class Unit(nn.Module):
    """A residual unit with a bottleneck."""

    def __init__(self, inner: int, filters: int, strides: int):
        super().__init__()
        self.a, self.b = (
            nn.Conv2d(inner, filters, 1, bias=False),
            nn.Conv2d(filters, filters, 3, strides, 1, bias=False),
        )
        self.c = nn.Conv2d(filters, 4 * filters, 1, bias=False)
        self.na, self.nb, self.nc = nn.BatchNorm2d(filters), nn.BatchNorm2d(filters), nn.BatchNorm2d(4 * filters)
        self.short: nn.Module = nn.Identity()
        if strides != 1 or inner != 4 * filters:
            self.short = nn.Sequential(
                nn.Conv2d(inner, 4 * filters, 1, strides, bias=False), nn.BatchNorm2d(4 * filters)
            )

    def forward(self, x: Any) -> Any:
        h = F.relu(self.na(self.a(x)))
        h = F.relu(self.nb(self.b(h)))
        return F.relu(self.nc(self.c(h)) + self.short(x))


def resnet50(width: int = 64, units: tuple[int, ...] = (3, 4, 6, 3), classes: int = 1000) -> nn.Module:
    """ResNet-50 v1.5."""
    layers: list[nn.Module] = [nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    layers.append(nn.MaxPool2d(3, 2, 1))
    inner = width
    for stage, count in enumerate(units):
        for i in range(count):
            layers.append(Unit(inner, width << stage, 2 if stage and not i else 1))
            inner = 4 * (width << stage)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inner, classes))


class Encoder(nn.Module):
    """A transformer encoder with layer normalization before each part."""

    def __init__(self, depth: int = 12, width: int = 768, heads: int = 12, words: int = 30522):
        super().__init__()
        self.words = nn.Embedding(words, width)
        block = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(block, depth, nn.LayerNorm(width), enable_nested_tensor=False)
        self.head = nn.Linear(width, 2)

    def forward(self, x: Any) -> Any:
        return self.head(self.blocks(self.words(x)).mean(1))


def step_of(name: str, device: str, compiled: bool, small: bool = False) -> Callable[[Any, Any], Any]:
    """A training step ``(x, y) -> loss`` in bfloat16 with float32 weights.

    Args:
        name: ``"resnet50"`` or ``"encoder"``.
        device: torch's name of the device.
        compiled: whether ``torch.compile`` makes it one program.
        small: a model of a few thousand weights, for tests.
    """
    model: nn.Module
    if name == "resnet50":
        model = resnet50(4, (1, 1), 10) if small else resnet50()
        model = model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimizer: Any = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    else:
        model = (Encoder(1, 16, 2, 50) if small else Encoder()).to(device)
        optimizer = torch.optim.Adam(model.parameters(), 1e-4)
    kind = torch.device(device).type

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(kind, torch.bfloat16):
            loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return torch.compile(step) if compiled else step  # type: ignore[return-value]


def images(x: Any) -> Any:
    """A batch of (batch, size, size, 3) as torch's convolutions read it fastest."""
    return x.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
