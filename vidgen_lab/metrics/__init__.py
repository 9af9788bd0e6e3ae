"""How good is it? Numbers that carry their protocol."""

from vidgen_lab.metrics.scores import Measurement, class_shares, inception_score, modes_covered

__all__ = ["Measurement", "class_shares", "inception_score", "modes_covered"]
