"""Do generated digits help a classifier that has few real ones? Five seeds, whatever the result.

    python results/dcgan_augmentation.py        writes results/dcgan-augmentation.json

For each seed, FEW real digits with their labels are drawn from the training split. The same small classifier then
trains for the same number of steps on: these digits alone; with random shifts; with samples of a class-conditional
DCGAN that saw the same few digits and no others; with samples of one that saw all 8,000 labelled digits. It is measured
on the 2,000 held-out digits. The last DCGAN knows thousands of labels that the classifier does not have: its row is a
bound, no fair comparison.
"""

import statistics
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from vidgen_lab import create_model, fit
from vidgen_lab.core import Model
from vidgen_lab.core.manifest import command_line, environment
from vidgen_lab.data import Digits
from vidgen_lab.data.digits import LabelledImages
from vidgen_lab.training.state import write_json

FEW, SEEDS, GAN_STEPS, ALL_STEPS, CLASSIFIER_STEPS, BATCH = 200, range(5), 300, 800, 300, 64
Draw = Callable[[int, torch.Generator], tuple[Tensor, Tensor]]  # how many, generator -> images, labels


def conditional_gan(data: LabelledImages, steps: int, seed: int) -> Model:
    """A small class-conditional DCGAN on these digits."""
    model = create_model("dcgan", "ci", seed=seed, classes=10, batch_size=32)
    fit(model, data, steps=steps, seed=seed, device="cpu", progress=False)
    return model


def classify(draw: Draw, seed: int) -> float:
    """Trains the classifier on what `draw` gives, and returns its accuracy on held-out digits."""
    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Conv2d(1, 16, 3, stride=2, padding=1), nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Dropout(0.25), nn.Linear(32 * 64, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.01)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(CLASSIFIER_STEPS):
        images, labels = draw(BATCH, generator)
        loss = cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    held_out = Digits("test", 32)
    batch = held_out.__getitems__(list(range(len(held_out))))
    with torch.no_grad():
        return (network.eval()(batch["image"]).argmax(1) == batch["digit"]).float().mean().item()


def real(data: LabelledImages) -> Draw:
    """Rows of the few digits, with replacement."""

    def draw(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        batch = data.__getitems__(torch.randint(len(data), (n,), generator=generator).tolist())
        return batch["image"], batch["digit"]

    return draw


def shifted(data: LabelledImages) -> Draw:
    """The same, each digit moved by up to three pixels either way."""

    def draw(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        images, labels = real(data)(n, generator)
        moves = torch.randint(-3, 4, (n, 2), generator=generator).tolist()
        return torch.stack([image.roll(move, (1, 2)) for image, move in zip(images, moves, strict=True)]), labels

    return draw


def half_generated(draw: Draw, model: Model, seed: int, pool: int = 2000) -> Draw:
    """Half a batch from `draw`, half from a pool of generated digits with the labels that were asked for."""
    labels = torch.arange(pool) % 10
    images = model.sample(pool, condition={"digit": labels}, generator=torch.Generator().manual_seed(seed))

    def mixed(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        rows = torch.randint(pool, (n // 2,), generator=generator)
        own_images, own_labels = draw(n - n // 2, generator)
        return torch.cat([own_images, images[rows]]), torch.cat([own_labels, labels[rows]])

    return mixed


def main() -> None:
    """Trains all and writes the manifest."""
    torch.set_num_threads(1)
    train = Digits("train", 32)
    informed = conditional_gan(train, ALL_STEPS, seed=0)
    rows: dict[str, list[float]] = {}
    for seed in SEEDS:
        chosen = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))[:FEW]
        few = LabelledImages(train.images[chosen], train.labels[chosen])
        own = conditional_gan(few, GAN_STEPS, seed)
        draws = {
            "real": real(few),
            "shifts": shifted(few),
            "generated": half_generated(real(few), own, seed),
            "shifts-and-generated": half_generated(shifted(few), own, seed),
            "generated-by-all": half_generated(real(few), informed, seed),
        }
        for name, draw in draws.items():
            rows.setdefault(name, []).append(round(classify(draw, seed), 4))
        print(seed, {name: values[-1] for name, values in rows.items()}, flush=True)
    table = {}
    for name, values in rows.items():
        gains = [value - base for value, base in zip(values, rows["real"], strict=True)]
        table[name] = {
            "mean": statistics.mean(values),
            "least": min(values),
            "most": max(values),
            "gain": statistics.mean(gains),
            "seeds_that_gain": sum(gain > 0 for gain in gains),
            "values": values,
        }
    protocol = {
        "real_digits": FEW,
        "seeds": len(SEEDS),
        "gan_steps": GAN_STEPS,
        "gan_steps_all": ALL_STEPS,
        "classifier_steps": CLASSIFIER_STEPS,
        "batch_size": BATCH,
        "held_out": 2000,
    }
    manifest = {"command": f"python results/{command_line()}", **environment(), "protocol": protocol, "rows": table}
    write_json(Path(__file__).parent / "dcgan-augmentation.json", manifest)


if __name__ == "__main__":
    main()
