"""A causal transformer over tokens, and sampling from it one token at a time. [vaswani2017attention; radford2019gpt2]

    symbol   name     shape      meaning
    s        tokens   (B, L)     whole numbers from 0 to K - 1, in the order in which they are written
    y        label    (B,)       what the sequence shows; the start token tells it
    a        logits   (B, L, K)  a_i says which token comes at place i, and sees s_1 ... s_(i-1) and y only
    q, k, v  ...      (B, heads, L, D / heads)

Pre-norm blocks and the scale of their initial weights as in GPT-2; the last layer starts at 0, so that a fresh
transformer finds every token equally likely and its loss is ln K.
"""

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from vidgen_lab.core import ArgumentError
from vidgen_lab.nn.precision import full_precision

INIT_STD = 0.02  # of embeddings, positions and layers


class Cache:
    """Keys and values of one layer at all places so far, so that they are computed once: `(2, B, heads, L, d)`."""

    def __init__(self, batch: int, heads: int, length: int, width: int, like: Tensor) -> None:
        self.pairs = like.new_empty(2, batch, heads, length, width)
        self.filled = 0  # places that are known

    def extend(self, pair: Tensor) -> Tensor:
        """Adds the next place or places, `(2, B, heads, l, d)`; gives all places so far."""
        first, self.filled = self.filled, self.filled + pair.shape[3]
        self.pairs[:, :, :, first : self.filled] = pair
        return self.pairs[:, :, :, : self.filled]


def attend(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: float, causal: bool = False
) -> Tensor:
    """torch's attention; a CPU computes it in 32 bits, since its backward pass in 16 takes three times as long.

    `mask`: a bool, True where a place may look, or numbers that are added to the scores.
    """
    if query.dtype != torch.bfloat16 or query.device.type != "cpu":
        if mask is not None and mask.dtype != torch.bool:
            mask = mask.to(query.dtype)
        return scaled_dot_product_attention(query, key, value, mask, dropout, causal)
    with full_precision(query):
        seen = scaled_dot_product_attention(query.float(), key.float(), value.float(), mask, dropout, causal)
    return seen.to(query.dtype)


class Attention(nn.Module):
    """Each place looks at itself and at those before it, or at all: `(B, L, D) -> (B, L, D)`.

    Args:
        bias: of the queries, keys and values.
        dropout: of the weights with which a place looks at others.
    """

    def __init__(self, dim: int, heads: int, causal: bool = True, bias: bool = True, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads, self.causal, self.dropout = heads, causal, dropout
        self.project = nn.Linear(dim, 3 * dim, bias=bias)
        self.out = nn.Linear(dim, dim)

    def forward(self, x: Tensor, cache: Cache | None = None, mask: Tensor | None = None) -> Tensor:
        """`mask`: as `attend` takes it, broadcasts to (B, heads, L, places); None: as above."""
        projected = rearrange(self.project(x), "b l (three h d) -> three b h l d", three=3, h=self.heads)
        query, pair = projected[0], projected[1:]
        key, value = pair if cache is None else cache.extend(pair)
        # A whole sequence needs the mask. The one new place of a cached step may see all that is there.
        causal = self.causal and cache is None and mask is None
        dropout = self.dropout if self.training else 0.0
        seen = attend(query, key, value, mask, dropout, causal)  # eq. (vqvae-attention)
        return self.out(rearrange(seen, "b h l d -> b l (h d)"))


class CrossAttention(nn.Module):
    """Each place looks at all places of a memory: `(B, L, D)` and `(B, M, E)` to `(B, L, D)`.

    The memory's keys and values are computed once, by `remember`, and serve every place that is written.
    """

    def __init__(self, dim: int, memory_dim: int, heads: int, bias: bool = True, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query = nn.Linear(dim, dim, bias=bias)
        self.memory = nn.Linear(memory_dim, 2 * dim, bias=bias)
        self.out = nn.Linear(dim, dim)

    def remember(self, memory: Tensor) -> Tensor:
        """Keys and values of a memory: `(B, M, E) -> (2, B, heads, M, d)`."""
        return rearrange(self.memory(memory), "b m (two h d) -> two b h m d", two=2, h=self.heads)

    def forward(self, x: Tensor, pair: Tensor, mask: Tensor | None = None) -> Tensor:
        """`pair`: of `remember`; `mask`: True where a place may look, a bool that broadcasts to (B, heads, L, M)."""
        query = rearrange(self.query(x), "b l (h d) -> b h l d", h=self.heads)
        seen = attend(query, *pair, mask, self.dropout if self.training else 0.0)
        return self.out(rearrange(seen, "b h l d -> b l (h d)"))

    def weights(self, x: Tensor, pair: Tensor, mask: Tensor | None = None) -> Tensor:
        """How much each place looks at each of the memory, `(B, heads, L, M)`; each row sums to 1."""
        query = rearrange(self.query(x), "b l (h d) -> b h l d", h=self.heads)
        scores = query @ pair[0].transpose(2, 3) / query.shape[3] ** 0.5
        return (scores if mask is None else scores.masked_fill(~mask, -torch.inf)).softmax(3)


class Block(nn.Module):
    """Attention between places, then an MLP at each place, both added to what was there: `(B, L, D) -> (B, L, D)`."""

    def __init__(self, dim: int, heads: int, dropout: float = 0.0, causal: bool = True) -> None:
        super().__init__()
        self.norm_attention, self.norm_mlp = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention = Attention(dim, heads, causal)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, cache: Cache | None = None, mask: Tensor | None = None) -> Tensor:
        x = x + self.dropout(self.attention(self.norm_attention(x), cache, mask))
        return x + self.dropout(self.mlp(self.norm_mlp(x)))


class Positions(nn.Module):
    """A learned vector for each place of a box, `(T' H' W', D)`: a third tells the moment, a third the row, a third the
    column. eq. (videogpt-positions)"""

    def __init__(self, shape: tuple[int, int, int], dim: int) -> None:
        super().__init__()
        self.tables = nn.ParameterList(0.01 * torch.randn(length, dim // 3) for length in shape)

    def forward(self) -> Tensor:
        time, rows, columns = self.tables
        shape = len(time), len(rows), len(columns), -1
        places = (time[:, None, None], rows[None, :, None], columns[None, None])
        return torch.cat([table.expand(shape) for table in places], dim=3).flatten(0, 2)


class Norm(nn.Module):
    """Layer norm whose scale and shift depend on a condition: `(B, L, D)` and `(B, V)` to `(B, L, D)`.

    Without values (V = 0) it is a plain layer norm.
    """

    def __init__(self, dim: int, values: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim, elementwise_affine=not values)
        self.affine = nn.Linear(values, 2 * dim, bias=False) if values else None
        if self.affine is not None:
            nn.init.zeros_(self.affine.weight)  # at first the condition changes nothing

    def forward(self, x: Tensor, condition: Tensor | None) -> Tensor:
        if self.affine is None:
            return self.norm(x)
        scale, shift = self.affine(condition).unsqueeze(1).chunk(2, dim=2)
        return self.norm(x) * (1 + scale) + shift  # eq. (videogpt-label-norm)


class CausalTransformer(nn.Module):
    """Tokens to logits, `(B, L) -> (B, L, K)`; the logits of a place see the tokens before it and no other.

    Args:
        num_tokens: K, how many different tokens there are.
        length: L, the longest sequence.
        dim, heads, layers: width, attention heads (a divisor of the width) and blocks.
        dropout: of the embeddings, and of what each part of a block adds.
        num_labels: labels that a sequence may be asked for; 0: none.
    """

    def __init__(
        self,
        num_tokens: int,
        length: int,
        *,
        dim: int,
        heads: int,
        layers: int,
        dropout: float = 0.0,
        num_labels: int = 0,
    ) -> None:
        super().__init__()
        if dim % heads:
            raise ArgumentError(
                f"heads={heads} does not divide dim={dim}. Nearest: dim={max(1, round(dim / heads)) * heads}."
            )
        self.num_tokens, self.length, self.num_labels = num_tokens, length, num_labels
        self.start = nn.Embedding(max(1, num_labels), dim)  # the token in front of the first: one a label
        self.embedding = nn.Embedding(num_tokens, dim)
        self.positions = nn.Parameter(torch.zeros(length, dim))
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(dim, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, num_tokens)
        self._initialise()

    def _initialise(self) -> None:
        for name, parameter in self.named_parameters():
            if name.startswith("head") or name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif "norm" not in name:
                # 2 x layers terms are added up along the blocks: each starts that much smaller.
                adds = name.endswith(("attention.out.weight", "mlp.2.weight"))
                nn.init.normal_(parameter, std=INIT_STD / (2 * len(self.blocks)) ** 0.5 if adds else INIT_STD)

    def forward(self, tokens: Tensor, label: Tensor | None = None) -> Tensor:
        """Logits of all places at once, as training needs them.

        Args:
            tokens: `(B, L)`, L at most `self.length`. The last token is seen by none.
            label: `(B,)`; needed if there are labels.
        """
        if tokens.shape[1] > self.length:
            raise ArgumentError(
                f"tokens has {tokens.shape[1]} places; this transformer was built for length={self.length} at most."
            )
        before = torch.cat([self._start(len(tokens), label), self.embedding(tokens[:, :-1])], 1)  # (B, L, D)
        x = self.dropout(before + self.positions[: tokens.shape[1]])
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))

    def caches(self, batch: int) -> list[Cache]:
        """Empty caches, one a layer, for `batch` sequences."""
        heads = self.blocks[0].attention.heads
        width = self.positions.shape[1] // heads
        return [Cache(batch, heads, self.length, width, like=self.positions) for _ in self.blocks]

    def step(self, caches: list[Cache], last: Tensor | None = None, label: Tensor | None = None) -> Tensor:
        """Logits `(B, K)` of the next place, from its predecessor and what the caches keep.

        Args:
            caches: of `self.caches`, empty before the first place. Each step adds one place.
            last: the token just written, `(B,)`; None at the first place.
            label: `(B,)`; used at the first place only, where the start token tells it.
        """
        place = caches[0].filled
        if (last is None) != (place == 0):
            raise ArgumentError(f"place {place}: give last=None at place 0 and there only; else the token before.")
        if place == self.length:
            raise ArgumentError(f"all {self.length} places are written. Build the transformer with a greater length.")
        x = self._start(caches[0].pairs.shape[1], label) if last is None else self.embedding(last[:, None])  # (B, 1, D)
        x = self.dropout(x + self.positions[place])
        for block, cache in zip(self.blocks, caches, strict=True):
            x = block(x, cache)
        return self.head(self.norm(x))[:, 0]

    def _start(self, batch: int, label: Tensor | None) -> Tensor:
        """The embedding in front of the first token, `(B, 1, D)`."""
        if (label is None) != (self.num_labels == 0):
            raise ArgumentError(
                f"num_labels={self.num_labels}: " + ("give label (B,)." if self.num_labels else "leave label out.")
            )
        if label is None:
            label = torch.zeros(batch, dtype=torch.long, device=self.positions.device)
        return self.start(label)[:, None]


def sample_tokens(
    transformer: CausalTransformer,
    n: int,
    length: int | None = None,
    *,
    label: Tensor | None = None,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Writes n sequences token by token, `(n, length)`; call it in eval mode and without gradients.

    Args:
        length: places to write; None: as many as the transformer has.
        label: `(n,)`; needed if there are labels.
        temperature, top_k, top_p: see `sharpen`.
        generator: a CPU generator; the same seed gives the same tokens.
    """
    caches, tokens = transformer.caches(n), []
    for _ in range(transformer.length if length is None else length):
        logits = transformer.step(caches, tokens[-1] if tokens else None, label)  # (n, K)
        shares = sharpen(logits, temperature, top_k, top_p).softmax(1).cpu()
        drawn = torch.multinomial(shares, 1, generator=generator)[:, 0]  # eq. (vqvae-likelihood)
        tokens.append(drawn.to(logits.device))
    return torch.stack(tokens, 1)


def sharpen(logits: Tensor, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None) -> Tensor:
    """Logits `(B, K)` to draw from: divided by the temperature, and minus infinity where a token is ruled out.

    Args:
        temperature: below 1 favours likely tokens; 0 leaves the likeliest alone (the first of equals).
        top_k: keep the k likeliest tokens (and what equals the k-th).
        top_p: keep the likeliest tokens until their probabilities sum to p, after temperature and top_k; at least
            one. [holtzman2020curious]
    """
    if not temperature >= 0:
        raise ArgumentError(f"temperature={temperature}: must be 0 or more; 1 samples as trained.")
    if top_k is not None and top_k < 1:
        raise ArgumentError(f"top_k={top_k}: keep 1 token or more, or None for all.")
    if top_p is not None and not 0 < top_p <= 1:
        raise ArgumentError(f"top_p={top_p}: must be above 0 and at most 1, or None for all tokens.")
    if temperature == 0:
        likeliest = torch.zeros_like(logits, dtype=torch.bool).scatter_(1, logits.argmax(1, keepdim=True), True)
        return logits.masked_fill(~likeliest, -torch.inf)
    logits = logits / temperature  # eq. (vqvae-temperature)
    if top_k is not None:
        least = logits.topk(min(top_k, logits.shape[1])).values[:, -1:]  # (B, 1)
        logits = logits.masked_fill(logits < least, -torch.inf)
    if top_p is not None and top_p < 1:
        shares, order = logits.softmax(1).sort(dim=1, descending=True, stable=True)
        beyond = shares.cumsum(1) - shares >= top_p  # what is likelier suffices already
        logits = logits.masked_fill(torch.zeros_like(beyond).scatter_(1, order, beyond), -torch.inf)
    return logits
