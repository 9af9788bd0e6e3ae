"""How the GANs of the DCGAN family begin: weights from normal distributions. [radford2016dcgan]"""

from torch import nn


def initialise(network: nn.Module, std: float, norm_std: float = 0.02) -> None:
    """Convolution weights from N(0, std^2), scales of batch norms from N(1, norm_std^2), shifts and biases 0."""
    for layer in network.modules():
        if isinstance(layer, nn.modules.conv._ConvNd):
            nn.init.normal_(layer.weight, 0.0, std)
        elif isinstance(layer, nn.modules.batchnorm._BatchNorm):
            nn.init.normal_(layer.weight, 1.0, norm_std)
        else:
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
