"""Quantisers: from vectors to whole numbers and back, with a gradient that passes through.

    symbol   variable       shape          meaning
    z_e      latent         (B, D, *grid)  what the encoder says at each place
    e_k      codebook[k]    (K, D)         the K vectors that may be said
    k        codes          (B, *grid)     which of them is nearest, int64 from 0 to K - 1
    z_q      quantized      (B, D, *grid)  e_k at each place
    N_k      counts         (K,)           how often code k was hit of late
    m_k      sums           (K, D)         the sum of the vectors that hit it, of late

`VectorQuantizer` learns its codebook, from running means or from a gradient; `FiniteScalarQuantizer` rounds each
coordinate and has nothing to learn. Both are called in the same way and give a `Quantized`. Statistics are those of
the batch of all processes, so that every process ends with the same codebook; with gradient accumulation they are
those of each micro-batch. Equations: book/foundations/vqvae.md.
"""

from math import prod, sqrt
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, mse_loss

from vidgen_lab.core import ArgumentError, Draw
from vidgen_lab.nn.precision import full_precision
from vidgen_lab.nn.processes import processes, rank, sum_over_processes


class Quantized(NamedTuple):
    """What a quantiser returns. The sum of `terms` belongs to the loss; `log` holds numbers worth a curve."""

    latent: Tensor  # (B, D, *grid), for the decoder
    codes: Tensor  # (B, *grid) int64
    terms: dict[str, Tensor]
    log: dict[str, Tensor]


def straight_through(latent: Tensor, quantized: Tensor) -> Tensor:
    """The value of `quantized`, the gradient of `latent`."""
    return latent + (quantized - latent).detach()  # eq. (vqvae-straight-through)


class VectorQuantizer(nn.Module):
    """The nearest of K learned vectors. vandenoord2017vqvae

    Args:
        num_codes, dim: K and D.
        beta: weight of the commitment term, which moves the encoder alone.
        decay: of the running means that make the codebook; None: the codebook is a parameter with a loss term.
        data_start: whether the codebook starts as K vectors of the first batch, else as normal noise.
        revive_below: a code whose running count falls below this share of an even one, N / K, becomes a random vector
            of the batch; 0: never.
    """

    def __init__(
        self,
        num_codes: int,
        dim: int,
        *,
        beta: float = 0.25,
        decay: float | None = 0.99,
        data_start: bool = True,
        revive_below: float = 0.3,
    ) -> None:
        super().__init__()
        self.num_codes, self.dim, self.beta, self.decay, self.revive_below = num_codes, dim, beta, decay, revive_below
        self.data_start = data_start
        codebook = torch.randn(num_codes, dim)
        if decay is None:
            self.codebook = nn.Parameter(codebook)
        else:
            self.register_buffer("codebook", codebook)
            self.register_buffer("sums", codebook.clone())
        # Buffers, so that a reloaded quantiser goes on where it was.
        self.register_buffer("counts", torch.ones(num_codes))
        self.register_buffer("steps", torch.tensor(0))

    def forward(self, latent: Tensor, draw: Draw | None = None) -> Quantized:
        """`(B, D, *grid)` to a `Quantized`. In train mode the codebook learns afterwards, and `draw` is needed."""
        rows = latent.movedim(1, -1)  # (B, *grid, D)
        with full_precision(latent):
            flat = rows.reshape(-1, self.dim).float()  # (N, D)
            if self.training and self.data_start and self.steps == 0:
                self._start(flat.detach(), _needed(draw))
            codes = self.nearest(flat.detach())  # (N,)
            quantized = embedding(codes, self.codebook)  # (N, D)
            terms = {"commitment": self.beta * mse_loss(flat, quantized.detach())}  # eq. (vqvae-commitment)
            if self.decay is None:
                terms["codebook"] = mse_loss(quantized, flat.detach())  # eq. (vqvae-codebook)
            passed = straight_through(flat, quantized)
            counts = sum_over_processes(_count(codes, self.num_codes))
            if self.training:
                self._learn(flat.detach(), codes, counts, _needed(draw))
        passed = passed.view(rows.shape).movedim(-1, 1)
        return Quantized(passed, codes.view(rows.shape[:-1]), terms, usage(counts))

    def nearest(self, flat: Tensor) -> Tensor:
        """Codes `(N,)` of vectors `(N, D)`."""
        # |z - e|^2 = |z|^2 - 2 z.e + |e|^2, and |z|^2 is the same for all codes.
        half_norms = self.codebook.detach().square().sum(1) / 2
        return torch.addmm(half_norms, flat, self.codebook.detach().T, beta=-1).argmax(1)  # eq. (vqvae-nearest)

    def lookup(self, codes: Tensor) -> Tensor:
        """Vectors `(B, D, *grid)` of codes `(B, *grid)`."""
        return embedding(codes, self.codebook).movedim(-1, 1)

    @torch.no_grad()
    def _start(self, flat: Tensor, draw: Draw) -> None:
        """The codebook becomes K rows of the batch; where it has fewer, they come again, with a little noise."""
        total = len(flat) * processes()
        order = draw.shared().uniform("start", (total,)).argsort()
        place = torch.arange(self.num_codes, device=flat.device)
        noise = draw.shared().normal("start noise", (self.num_codes, self.dim)) * (0.01 / sqrt(self.dim))
        again = (place >= total).unsqueeze(1)
        self._put(_rows_of_all(flat, order[place % total]) + again * noise, slice(None), total / self.num_codes)

    @torch.no_grad()
    def _learn(self, flat: Tensor, codes: Tensor, counts: Tensor, draw: Draw) -> None:
        """One step of the running means, then the revival of codes that are hardly hit."""
        decay = 0.99 if self.decay is None else self.decay
        seen = self.steps.item()
        decay = min(decay, (1 + seen) / (10 + seen))  # a fresh encoder moves fast: forget fast
        self.steps += 1
        self.counts.lerp_(counts, 1 - decay)  # eq. (vqvae-ema)
        if self.decay is not None:
            sums = sum_over_processes(torch.zeros_like(self.sums).index_add_(0, codes, flat))
            self.sums.lerp_(sums, 1 - decay)  # eq. (vqvae-ema)
            self.codebook.copy_(self.sums / smoothed(self.counts).unsqueeze(1))  # eq. (vqvae-ema)
        even = len(flat) * processes() / self.num_codes
        dead = self.counts < self.revive_below * even
        if dead.any():
            chosen = draw.shared().randint("revival", (self.num_codes,), 0, len(flat) * processes())
            self._put(_rows_of_all(flat, chosen[dead]), dead, even)

    def _put(self, vectors: Tensor, where: Tensor | slice, count: float) -> None:
        """Replaces some codes by vectors, as if each had been hit `count` times of late."""
        self.codebook.data[where] = vectors
        self.counts[where] = count
        if self.decay is not None:
            self.sums[where] = vectors * count


class FiniteScalarQuantizer(nn.Module):
    """Rounds each of a few coordinates to one of its levels; the codebook is their grid. mentzer2024fsq

    Nothing is learned, no loss is added, and no code can die.

    Args:
        levels: L_i of each coordinate, 2 to 1000; D is their number, K their product.
    """

    def __init__(self, levels: tuple[int, ...]) -> None:
        super().__init__()
        if not levels or min(levels) < 2 or max(levels) > 1000:  # beyond, `bound` lets an extra number through
            raise ArgumentError(f"levels={levels}: give 2 to 1000 for each coordinate, for instance levels=(8, 6, 5).")
        self.num_codes, self.dim = prod(levels), len(levels)
        self.register_buffer("levels", torch.tensor(levels), persistent=False)
        steps = [prod(levels[:i]) for i in range(len(levels))]  # the first coordinate counts ones
        self.register_buffer("steps", torch.tensor(steps), persistent=False)

    def forward(self, latent: Tensor, draw: Draw | None = None) -> Quantized:
        """`(B, D, *grid)` to a `Quantized` without terms; `draw` is not used."""
        rows = latent.movedim(1, -1).float()  # (B, *grid, D)
        bounded = self.bound(rows)
        rounded = straight_through(bounded, bounded.round())  # eq. (vqvae-fsq)
        codes = ((rounded.detach().round().long() + self.levels // 2) * self.steps).sum(-1)
        passed = (rounded / (self.levels // 2)).movedim(-1, 1)
        counts = sum_over_processes(_count(codes.flatten(), self.num_codes))
        return Quantized(passed, codes, {}, usage(counts))

    def bound(self, rows: Tensor) -> Tensor:
        """`(..., D)` into intervals that round to L_i whole numbers, from -(L_i // 2) on."""
        half = (self.levels - 1) * (1 + 1e-3) / 2
        offset = (self.levels % 2 == 0) * 0.5  # an even number of levels has no middle one: shift by a half
        return (rows + (offset / half).atanh()).tanh() * half - offset

    def lookup(self, codes: Tensor) -> Tensor:
        """Vectors `(B, D, *grid)` in [-1, 1] of codes `(B, *grid)`."""
        digits = codes.unsqueeze(-1) // self.steps % self.levels
        return (digits / (self.levels // 2) - 1).movedim(-1, 1)


def check_codes(codes: Tensor, num_codes: int) -> None:
    """Raises ArgumentError if a code from outside is not one of 0 to K - 1. An exported graph does not ask."""
    if torch.compiler.is_compiling():
        return
    low, high = codes.min().item(), codes.max().item()
    if low < 0 or high >= num_codes:
        raise ArgumentError(f"codes run from {low} to {high}: this codebook has codes from 0 to {num_codes - 1}.")


def smoothed(counts: Tensor, eps: float = 1e-5) -> Tensor:
    """Laplace smoothing: no count is 0, and their sum is kept. `(K,)`"""
    total = counts.sum()
    return (counts + eps) / (total + len(counts) * eps) * total  # eq. (vqvae-ema)


def usage(counts: Tensor) -> dict[str, Tensor]:
    """Perplexity and share of the codes that occur, of one batch. Both rise with its size."""
    share = counts / counts.sum()
    entropy = -torch.xlogy(share, share).sum()
    return {"perplexity": entropy.exp(), "usage": (counts > 0).float().mean()}  # eq. (vqvae-perplexity)


def _count(codes: Tensor, num_codes: int) -> Tensor:
    return torch.zeros(num_codes, device=codes.device).index_add_(0, codes, torch.ones_like(codes, dtype=torch.float))


def _needed(draw: Draw | None) -> Draw:
    if draw is None:
        raise ArgumentError("draw=None: in train mode a codebook learns and needs a Draw. Give one, or call eval().")
    return draw


def _rows_of_all(flat: Tensor, index: Tensor) -> Tensor:
    """Rows `index` of the batch of all processes, the same in each; every process gives those that it holds."""
    if processes() == 1:
        return flat[index]
    index = index - rank() * len(flat)
    own = (index >= 0) & (index < len(flat))
    return sum_over_processes(flat[index.clamp(0, len(flat) - 1)] * own.unsqueeze(1))
