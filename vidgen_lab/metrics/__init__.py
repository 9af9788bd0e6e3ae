"""How good is it? Numbers that carry their protocol."""

from vidgen_lab.metrics.divergence import jensen_shannon, optimal_discriminator, value
from vidgen_lab.metrics.scores import Measurement, class_shares, inception_score, modes_covered

__all__ = [
    "Measurement",
    "class_shares",
    "inception_score",
    "jensen_shannon",
    "modes_covered",
    "optimal_discriminator",
    "value",
]
