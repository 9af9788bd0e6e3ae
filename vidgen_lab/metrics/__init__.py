"""How good is it? Numbers that carry their protocol."""

from vidgen_lab.metrics import ladder
from vidgen_lab.metrics.attributes import attribute_accuracy
from vidgen_lab.metrics.codes import bits_per_code, code_perplexity, code_usage, gaussian_distortion
from vidgen_lab.metrics.divergence import jensen_shannon, optimal_discriminator, value
from vidgen_lab.metrics.frechet import frechet_bias, frechet_distance, frechet_infinity
from vidgen_lab.metrics.kid import kernel_distance
from vidgen_lab.metrics.nearest import nearest
from vidgen_lab.metrics.pixels import best_of, diversity, psnr, ssim
from vidgen_lab.metrics.scaling import PowerLaw, fit_power_law
from vidgen_lab.metrics.scores import Measurement, class_shares, difference, inception_score, modes_covered
from vidgen_lab.metrics.video import ContentAndMotion, content_and_motion

__all__ = [
    "ContentAndMotion",
    "Measurement",
    "PowerLaw",
    "attribute_accuracy",
    "best_of",
    "bits_per_code",
    "class_shares",
    "code_perplexity",
    "code_usage",
    "content_and_motion",
    "difference",
    "diversity",
    "fit_power_law",
    "frechet_bias",
    "frechet_distance",
    "frechet_infinity",
    "gaussian_distortion",
    "inception_score",
    "jensen_shannon",
    "kernel_distance",
    "ladder",
    "modes_covered",
    "nearest",
    "optimal_discriminator",
    "psnr",
    "ssim",
    "value",
]
