"""Graphs of the models that draw pictures."""

from typing import Any

from torch import Tensor

from vidgen_lab.export.graph import Graph, Port, label, picture
from vidgen_lab.export.search import search


def gan(model: Any) -> dict[str, Graph]:
    latent = {"latent": Port(("batch", model.config.latent_dim))}
    output = {"image": picture(*model.config.shape)} if model.output == "image" else {"points": Port(("batch", 2))}
    return {"generator": Graph(model.generator, latent, output)}


def dcgan(model: Any) -> dict[str, Graph]:
    config = model.config
    low = {} if config.noise == "normal" else {"low": -1.0, "high": 1.0}
    inputs = {"latent": Port(("batch", config.latent_dim), **low)}
    if config.classes:
        inputs["digit"] = label(config.classes)
    outputs = {"image": picture(config.channels, config.size, config.size)}
    found = {"generator": Graph(model.generator, inputs, outputs)}
    if not config.classes and (config.halve, config.double) == ("stride", "transposed"):
        found["search"] = search(model)
    return found


def vqvae(model: Any) -> dict[str, Graph]:
    config, side = model.config, model.config.side
    image, codes = (
        {"image": picture(config.channels, config.size, config.size)},
        {"codes": Port(("batch", side, side), 0, model.num_codes - 1, whole=True)},
    )

    def encode(images: Tensor) -> Tensor:
        return model.codebook(model.encoder(images)).codes

    def decode(codes: Tensor) -> Tensor:
        return model.decoder(model.codebook.lookup(codes)).clamp(-1, 1)

    return {"encoder": Graph(encode, image, codes), "decoder": Graph(decode, codes, image)}
