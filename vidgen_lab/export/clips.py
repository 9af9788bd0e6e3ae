"""Graphs of the models that draw clips from noise."""

from typing import Any

from torch import Tensor

from vidgen_lab.core import ArgumentError
from vidgen_lab.export.graph import Graph, Port, label_ports, picture


def vgan(model: Any) -> dict[str, Graph]:
    config = model.config
    if config.first_frame:
        raise ArgumentError("this VGAN goes on from a first frame; vidgen export knows the one that starts from noise.")
    channels, frames, *sides = config.shape

    def streams(latent: Tensor, *labels: Tensor) -> tuple[Tensor, ...]:
        return tuple(model.generator(latent, dict(zip(config.labels, labels, strict=True))).values())

    inputs = {"latent": Port(("batch", config.latent_dim)), **label_ports(config.labels)}
    outputs = {
        "video": picture(channels, frames, *sides),
        "foreground": picture(channels, frames, *sides),
        "mask": Port(("batch", 1, frames, *sides), 0.0, 1.0),
        "background": picture(channels, 1, *sides),
    }
    return {"generator": Graph(streams, inputs, outputs)}


def _mocogan_frames(model: Any) -> Graph:
    """Content, its labels and motion codes to a clip: what MoCoGAN and its forms in continuous time share."""
    config, labels = model.config, model.config.content_labels

    def frames(content: Tensor, motion: Tensor, *given: Tensor) -> Tensor:
        return model.generator(model.generator.codes(content, motion, None, dict(zip(labels, given, strict=True))))

    inputs = {
        "content": Port(("batch", config.content_dim)),
        "motion": Port(("batch", "frames", config.motion_dim), std=0.5),
        **label_ports(labels),
    }
    return Graph(frames, inputs, {"video": picture(config.channels, "frames", config.size, config.size)})


def _no_categories(model: Any) -> None:
    if model.config.categories:
        raise ArgumentError(f"this {model.name} has categories; vidgen export knows the one with labels.")


def mocogan(model: Any) -> dict[str, Graph]:
    _no_categories(model)
    config, labels = model.config, model.config.motion_labels

    def motion(start: Tensor, noise: Tensor, *given: Tensor) -> Tensor:
        return model.generator.motion_codes(start, noise, dict(zip(labels, given, strict=True)))

    inputs = {
        "start": Port(("batch", config.motion_dim)),
        "noise": Port(("batch", "frames", config.motion_dim), std=config.noise),
        **label_ports(labels),
    }
    codes = {"motion": Port(("batch", "frames", config.motion_dim), -1.0, 1.0)}
    return {"motion": Graph(motion, inputs, codes), "frames": _mocogan_frames(model)}


def mocogan_ode(model: Any) -> dict[str, Graph]:
    """The start of a path, the slope that a solver follows, and frames of the states that it passes."""
    _no_categories(model)
    config, labels, path = model.config, model.config.motion_labels, model.generator.motion
    if config.order > 1:
        raise ArgumentError(f"order={config.order}: vidgen export knows equations of order 1.")
    state = Port(("batch", config.motion_dim))

    def start(noise: Tensor, *given: Tensor) -> Tensor:
        return model.generator.path(noise, [0.0], None, dict(zip(labels, given, strict=True)))[:, 0]

    def slope(states: Tensor) -> Tensor:
        return path.pace * path.equation.f(states)  # in a frame, eq. (latent-times)

    inputs = {"noise": Port(("batch", config.start_dim or config.motion_dim)), **label_ports(labels)}
    return {
        "start": Graph(start, inputs, {"state": state}),
        "slope": Graph(slope, {"state": state}, {"slope": state}),
        "frames": _mocogan_frames(model),
    }


def mocogan_sde(model: Any) -> dict[str, Graph]:
    """The start of a path, a frame's steps along it, and frames of the states that it passes. Who runs it draws the
    noise, so one start has as many futures as noise is drawn for."""
    _no_categories(model)
    config, labels, path = model.config, model.config.motion_labels, model.generator.motion
    width, steps = config.motion_dim, path.noise_steps([1.0])
    state = Port(("batch", width))

    def start(noise: Tensor, *given: Tensor) -> Tensor:
        nothing = noise.new_empty(noise.shape[0], 0, width)
        return model.generator.path(noise, [0.0], nothing, dict(zip(labels, given, strict=True)))[:, 0]

    def frame(states: Tensor, noise: Tensor) -> Tensor:
        return path.walk(states, [1.0], config.noise * noise)[:, 0]

    inputs = {"noise": Port(("batch", config.start_dim or width)), **label_ports(labels)}
    return {
        "start": Graph(start, inputs, {"state": state}),
        "frame": Graph(frame, {"state": state, "noise": Port(("batch", steps, width))}, {"next": state}),
        "frames": _mocogan_frames(model),
    }
