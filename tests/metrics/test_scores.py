from dataclasses import replace

import pytest
import torch
from torchmetrics.image.inception import InceptionScore

from vidgen_lab.core import ArgumentError
from vidgen_lab.metrics import Measurement, class_shares, difference, inception_score, modes_covered

STATED = {"network": "none"}


class Logits(torch.nn.Module):
    """Hands logits to torchmetrics as they are."""

    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        return logits


def test_the_inception_score_is_one_when_all_samples_look_alike():
    logits = torch.randn(1, 10, generator=torch.Generator().manual_seed(0)).expand(50, 10)
    assert inception_score(logits, STATED).value == pytest.approx(1)


def test_the_inception_score_is_k_when_k_classes_are_sure_and_equally_often():
    logits = 100 * torch.eye(10).repeat(7, 1)
    assert inception_score(logits, STATED).value == pytest.approx(10)
    half = torch.cat([logits, torch.zeros(70, 10)])  # the classifier has no idea of the other half
    assert inception_score(half, STATED).value == pytest.approx(10**0.5)


def test_the_inception_score_drops_with_a_missing_class():
    logits = 100 * torch.eye(10).repeat(7, 1)
    assert inception_score(logits[logits.argmax(1) < 8], STATED).value == pytest.approx(8)


def test_scores_refuse_nan_and_single_samples():
    with pytest.raises(ArgumentError, match="NaN"):
        inception_score(torch.full((4, 10), float("nan")), STATED)
    with pytest.raises(ArgumentError, match="2 samples or more"):
        inception_score(torch.zeros(1, 10), STATED)
    with pytest.raises(ArgumentError, match="6 samples"):
        inception_score(torch.zeros(5, 10), STATED, splits=3)
    with pytest.raises(ArgumentError, match="does not name the classifier"):
        inception_score(torch.zeros(5, 10), {})


def test_splits_are_scored_apart_and_averaged_as_torchmetrics_does():
    logits = torch.randn(300, 10, generator=torch.Generator().manual_seed(0)) * 3
    parts = [inception_score(part, STATED).value for part in logits.split(100)]
    measured = inception_score(logits, STATED, splits=3, name="IS-digits")
    assert measured.value == pytest.approx(sum(parts) / 3)
    assert measured.name == "IS-digits" and measured.protocol == {"network": "none", "samples": 300, "splits": 3}
    peer = InceptionScore(feature=Logits(), splits=1)
    peer.update(logits)
    assert inception_score(logits, STATED).value == pytest.approx(peer.compute()[0].item(), abs=1e-4)


def test_a_measurement_keeps_its_interval_in_a_manifest_only_if_it_has_one():
    bare = Measurement("KID", 0.5, {"clips": 10}, reference=0.1)
    assert bare.as_json() == {"value": 0.5, "real": 0.1, "protocol": {"clips": 10}}
    assert replace(bare, interval=(0.4, 0.6)).as_json()["interval"] == [0.4, 0.6]


def test_class_shares_sum_to_one():
    logits = torch.eye(4)[[0, 0, 3, 1]]
    assert class_shares(logits).tolist() == [0.5, 0.25, 0.0, 0.25]


def test_a_mode_counts_only_with_enough_points_close_to_it():
    centres = torch.tensor([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]])
    points = torch.cat([torch.zeros(90, 2), torch.tensor([[5.0, 0.1]]).repeat(9, 1), torch.tensor([[0.0, 4.0]])])
    assert modes_covered(points, centres, radius=0.5) == (2, pytest.approx(0.99))
    assert modes_covered(points, centres, radius=0.5, share=0.1)[0] == 1


def test_results_of_one_protocol_are_compared():
    a, b = Measurement("FD", 3.0, {"seed": 0, "clips": 8}), Measurement("FD", 1.0, {"clips": 8, "seed": 0})
    assert difference(a, b) == 2
    assert difference(b, a) == -2


def test_results_of_two_protocols_are_not_compared_and_the_error_names_the_keys():
    a = Measurement("FD", 3.0, {"clips": 2000, "frames": 16, "network": "digits-3d"})
    b = Measurement("FD", 1.0, {"clips": 500, "frames": 16, "seed": 0})
    with pytest.raises(ArgumentError) as error:
        difference(a, b)
    assert "clips (2000 and 500)" in str(error.value)
    assert "network ('digits-3d' and not stated), seed (not stated and 0)" in str(error.value)
    assert "frames" not in str(error.value)


def test_two_metrics_are_not_compared():
    with pytest.raises(ArgumentError, match="FD and KID are two metrics"):
        difference(Measurement("FD", 3.0), Measurement("KID", 1.0))
