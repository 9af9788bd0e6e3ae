"""How good is it? Numbers that carry their protocol."""

from vidgen_lab.metrics.divergence import jensen_shannon, optimal_discriminator, value
from vidgen_lab.metrics.frechet import frechet_distance, frechet_infinity
from vidgen_lab.metrics.scores import Measurement, class_shares, difference, inception_score, modes_covered

__all__ = [
    "Measurement",
    "class_shares",
    "difference",
    "frechet_distance",
    "frechet_infinity",
    "inception_score",
    "jensen_shannon",
    "modes_covered",
    "optimal_discriminator",
    "value",
]
