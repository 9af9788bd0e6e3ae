"""One step of the search that fills a hole, `models/inpainting.py`, with its gradient written out layer by layer.

What runs an ONNX file has no automatic differentiation, so the way back is part of the graph. A convolution's way back
is the transposed one with the same kernel, and the other way round: eq. (dcgan-adjoint).
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, leaky_relu, normalize, softplus

from vidgen_lab.core import ArgumentError
from vidgen_lab.export.graph import Graph, Port, picture
from vidgen_lab.models.inpainting import importance

LR, BETAS, EPS = 0.1, (0.9, 0.999), 1e-8  # of Adam, as `inpaint` runs it
STEPS = 150
WINDOW = 7  # side of the neighbourhood that makes a known pixel count


def there_and_back(layers: nn.Sequential, x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """What the layers make of x in eval mode, and the function that carries a gradient from there back to x."""
    ways = []
    for layer in layers:
        x, way = _one(layer, x)
        ways.append(way)

    def back(gradient: Tensor) -> Tensor:
        for way in reversed(ways):
            gradient = way(gradient)
        return gradient

    return x, back


def _one(layer: nn.Module, x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    match layer:
        case nn.ConvTranspose2d():
            return layer(x), lambda g: conv2d(g, layer.weight, None, layer.stride, layer.padding)
        case nn.Conv2d():
            return layer(x), lambda g: conv_transpose2d(g, layer.weight, None, layer.stride, layer.padding)
        case nn.BatchNorm2d():
            scale = layer.weight / (layer.running_var + layer.eps).sqrt()
            return layer(x), lambda g: g * scale[:, None, None]
        case nn.ReLU() | nn.LeakyReLU():
            slope = getattr(layer, "negative_slope", 0.0)
            return leaky_relu(x, slope), lambda g: torch.where(x > 0, g, slope * g)
        case nn.Tanh():
            y = x.tanh()
            return y, lambda g: g * (1 - y * y)
    raise ArgumentError(f"{type(layer).__name__}: its way back is not written out here.")


def search(model: Any) -> Graph:
    """A DCGAN's step: latents and Adam's means to the next ones, and the pictures and losses of those that came in."""
    config = model.config
    numbers, image = Port(("batch", config.latent_dim)), picture(config.channels, config.size, config.size)

    def step(
        latent: Tensor, mean: Tensor, square: Tensor, count: Tensor, images: Tensor, known: Tensor
    ) -> tuple[Tensor, ...]:
        weight = importance(known, WINDOW)
        generated, to_latent = there_and_back(model.generator.layers, latent[:, :, None, None])
        logits, to_picture = there_and_back(model.discriminator.layers, generated)
        away = generated - images
        loss = (weight * away.abs()).flatten(1).sum(1)  # eq. (dcgan-context)
        loss = loss - softplus(logits).flatten(1)[:, 0]  # eq. (dcgan-prior), log(1 - D)
        slope = to_latent(weight * away.sign() - to_picture(logits.sigmoid()))[:, :, 0, 0]
        first, second = BETAS
        mean = first * mean + (1 - first) * slope
        square = second * square + (1 - second) * slope * slope
        size = (square / (1 - second ** count[:, None])).sqrt() + EPS
        moved = latent - LR * mean / (1 - first ** count[:, None]) / size
        return config.latent_dim**0.5 * normalize(moved), mean, square, generated, loss

    square = Port(numbers.shape, 0.0, 1.0)
    inputs = {"latent": numbers, "mean": numbers, "square": square, "count": Port(("batch",), 1.0, STEPS)}
    inputs |= {"images": image, "known": Port(("batch", 1, config.size, config.size), 0.0, 1.0)}
    outputs = {"next_latent": numbers, "next_mean": numbers, "next_square": square}
    return Graph(step, inputs, outputs | {"generated": image, "loss": Port(("batch",))})
