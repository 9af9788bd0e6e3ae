"""CLIP-mini: vectors of length 1, the contrast between own and other captions, retrieval and the score."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from vidgen_lab import create_model
from vidgen_lab.core import ArgumentError, Draw, write_weights
from vidgen_lab.models.clip_mini import ClipMini, ClipMiniConfig, Scale, recall
from vidgen_lab.zoo import load_model

TINY = ClipMiniConfig(widths=(6, 8), text_dim=8, text_heads=2, text_layers=1, embedding_dim=6)
CAPTIONS = ["a red 3 moves left, fast", "a slow blue seven moves up-right", "a cyan 0 goes down slowly", "a green 8"]


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def clips(rows: int = 4) -> Tensor:
    return torch.rand(rows, 3, 4, 8, 8, generator=rng()) * 2 - 1


def batch() -> dict[str, object]:
    return {"video": clips(), "caption": CAPTIONS}


def built(**changes: object) -> ClipMini:
    torch.manual_seed(0)
    return ClipMini(replace(TINY, **changes))


def test_vectors_have_length_1_and_do_not_depend_on_the_rest_of_the_batch():
    model = built()
    for vectors, alone in (
        (model.embed_clips(clips()), model.embed_clips(clips()[1:2])),
        (model.embed_captions(CAPTIONS), model.embed_captions(CAPTIONS[1:2])),
    ):
        assert vectors.shape == (4, 6) and torch.allclose(vectors.norm(dim=1), torch.ones(4), atol=1e-6)
        assert torch.allclose(vectors[1], alone[0], atol=1e-5)
    assert torch.allclose(model.embed_captions(CAPTIONS)[3], model.embed_captions(["a green 8"])[0], atol=1e-5)
    assert model.embed_clips(torch.zeros(1, 3, 5, 10, 6)).shape == (1, 6)


def test_without_any_difference_the_loss_is_ln_b_and_perfect_pairs_reach_the_bound_of_their_scale():
    model, data = built(), batch()
    with torch.no_grad():
        model.scale.log.fill_(-50.0)
    assert model("contrast", data, Draw(0)).total.item() == pytest.approx(math.log(4), abs=1e-5)
    with torch.no_grad():
        model.scale.log.fill_(math.log(10.0))
    model.clip_encoder.forward = model.caption_encoder.forward = lambda _: torch.eye(4)
    bound = math.log(math.e**10 + 3) - 10
    assert model("contrast", data, Draw(0)).total.item() == pytest.approx(bound, rel=1e-3)


def test_the_loss_asks_for_the_caption_of_each_clip_and_for_the_clip_of_each_caption():
    model, data = built().eval(), batch()
    cosines = model.embed_clips(data["video"]) @ model.embed_captions(CAPTIONS).T
    logits = cosines / model.config.temperature
    by_hand = [-matrix.log_softmax(1).diagonal().mean() for matrix in (logits, logits.T)]
    assert by_hand[0].item() != pytest.approx(by_hand[1].item(), abs=1e-4)
    losses = model("contrast", data, Draw(0))
    assert torch.allclose(losses.total, sum(by_hand) / 2, atol=1e-5)
    assert losses.log["caption_found"].item() == recall(cosines)


def test_the_scale_is_learnt_and_stays_at_100_or_below():
    scale = Scale(0.07)
    assert scale(torch.ones(1)).item() == pytest.approx(1 / 0.07, rel=1e-5)
    with torch.no_grad():
        scale.log.fill_(9.0)
    assert scale(torch.ones(1)).item() == pytest.approx(100)
    model = built()
    with torch.no_grad():
        model.scale.log.fill_(9.0)
    assert model("contrast", batch(), Draw(0)).log["scale"].item() == pytest.approx(100)


def test_a_gradient_reaches_every_parameter():
    model = built()
    model("contrast", batch(), Draw(0)).total.backward()
    assert not [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]


def test_one_batch_is_learnt_by_heart_then_every_caption_finds_its_clip_and_fits_it_best():
    model, data = built(), batch()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for step in range(60):
        optimizer.zero_grad()
        loss = model("contrast", data, Draw(0, step)).total
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05
    model.train()
    with torch.no_grad():  # in train mode, whose batch statistics were learnt
        cosines = model.clip_encoder(data["video"]) @ model.caption_encoder(model._read(CAPTIONS)).T
    assert recall(cosines) == recall(cosines.T) == 1


def test_the_score_is_the_cosine_of_a_clip_and_its_own_caption():
    model = built()
    cosines = model.embed_clips(clips()) @ model.embed_captions(CAPTIONS).T
    assert torch.allclose(model.score(clips(), CAPTIONS), cosines.diagonal(), atol=1e-6)
    with pytest.raises(ArgumentError, match="4 clips and 3 captions"):
        model.score(clips(), CAPTIONS[:3])


def test_recall_counts_the_rows_whose_own_column_is_among_the_k_largest():
    cosines = torch.tensor([[0.9, 0.1, 0.2], [0.8, 0.5, 0.1], [0.7, 0.6, 0.5]])
    assert [recall(cosines, k) for k in (1, 2, 3)] == pytest.approx([1 / 3, 2 / 3, 1])
    assert recall(cosines.T, 1) == pytest.approx(2 / 3)
    twins = torch.tensor([[0.9, 0.9, 0.1], [0.8, 0.9, 0.9], [0.9, 0.9, 0.5]])  # equal ones: chance decides
    assert [recall(twins, k) for k in (1, 2, 3)] == pytest.approx([1 / 3, 2 / 3, 1])
    assert [recall(torch.zeros(3, 3), k) for k in (1, 2, 3)] == pytest.approx([1 / 3, 2 / 3, 1])
    for shape, k in (((2, 3), 1), ((3, 3), 0), ((3, 3), 4), ((3,), 1)):
        with pytest.raises(ArgumentError, match=r"give \(B, B\), and k from 1 to B"):
            recall(torch.zeros(shape), k)


def test_save_and_load_keep_every_vector(tmp_path):
    model = create_model("clip-mini", widths=(6, 8), text_dim=8, embedding_dim=6)
    write_weights(model, tmp_path / "clip.safetensors")
    loaded = load_model(tmp_path / "clip.safetensors")
    assert torch.equal(loaded.embed_clips(clips()), model.embed_clips(clips()))
    assert torch.equal(loaded.embed_captions(CAPTIONS), model.embed_captions(CAPTIONS))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"widths": ()}, r"widths=\(\): give the width"),
        ({"text_dim": 9}, "text_dim=9: must be a multiple of text_heads=2"),
        ({"temperature": 0.0}, "temperature=0.0: must be 0.01 or more"),
    ],
)
def test_sizes_that_cannot_be_say_why(changes, says):
    with pytest.raises(ArgumentError, match=says):
        replace(TINY, **changes)


def test_what_cannot_be_read_says_what_can():
    model = built()
    with pytest.raises(ArgumentError, match=r"give \(B, 3, T, H, W\)"):
        model.embed_clips(torch.zeros(2, 1, 4, 8, 8))
    with pytest.raises(ArgumentError, match='no word "rad" in the vocabulary; did you mean "red"'):
        model.embed_captions(["a rad 3"])
    with pytest.raises(ArgumentError, match="trains with captions; the batch has"):
        model("contrast", {"video": clips()}, Draw(0))
    with pytest.raises(ArgumentError, match="makes no samples; it gives embedding"):
        model.sample(2)
