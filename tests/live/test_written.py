"""Clips that are written in the page code by code: draws, logits and pictures beside torch."""

import numpy as np
import pytest
import torch

from vidgen_lab import viz, zoo
from vidgen_lab.export import rounded
from vidgen_lab.models.videogpt import Writer
from vidgen_lab.nn.transformer import sharpen

SIDE, GAP = 32, 2
STRIP = -2  # canvas of the frames; the last is the grid of codes
VIDEOGPT = "book/video/videogpt", "write"
FUSION = "book/video/fusion", "caption"


@pytest.fixture(scope="module")
def videogpt():
    """The weights that the page runs: in 8 bits."""
    return rounded(zoo.load_pretrained("videogpt"))


@pytest.fixture(scope="module")
def write(visit):
    figure = visit(*VIDEOGPT)
    begun = figure.seconds()
    figure.press()
    figure.first = figure.seconds() - begun
    return figure


def written(figure) -> dict:
    """Writes on until the clip is complete. Its codes and its frames."""
    figure.figure.get_by_label("Codes a second").press("End")
    figure.figure.get_by_role("button", name="Write").press("Enter")
    figure.page.wait_for_function(
        "(figure) => { const { shown } = document.querySelector(`${figure} .live-stage`); "
        "return shown.codes.length === 256 && shown.clip.codes === 256; }",
        arg=figure.selector,
    )
    return {"codes": figure.stage("stage.shown.codes"), "frames": frames_of(figure)}


def frames_of(figure) -> np.ndarray:
    """Those on the strip, `(T, H, W, 3)`."""
    strip = figure.pixels(figure.figure.locator(".live-stage canvas").count() + STRIP)
    return np.stack([strip[:SIDE, left : left + SIDE] for left in range(0, strip.shape[1], SIDE + GAP)])


def choose(figure, label: str, value: str) -> None:
    figure.figure.locator("label", has_text=label).locator("select").select_option(value)


def levels(clip: torch.Tensor) -> np.ndarray:
    """`(C, T, H, W)` to levels `(T, H, W, 3)`."""
    return viz.to_uint8(clip).transpose(1, 2, 3, 0).astype(int)


def test_draws_in_the_page_are_those_of_sharpened_logits(write):
    logits = 4 * torch.randn(5, 40, generator=torch.Generator().manual_seed(0))
    logits[1, 7] = logits[1, 3] = logits[1].max() + 1  # two are the likeliest
    for temperature, top_p in ((1.0, 1.0), (0.5, 0.9), (2.0, 0.3), (1.0, 0.05), (0.0, 0.5)):
        wanted = sharpen(logits, temperature, top_p=top_p).softmax(1)
        made = write.page.evaluate(
            """async ([root, rows, temperature, topP]) => {
                const { sharpen } = await import(`${root}/live/writer.mjs`);
                return rows.map((row) => Array.from(sharpen(Float32Array.from(row), temperature, topP)));
            }""",
            [write.site, logits.tolist(), temperature, top_p],
        )
        np.testing.assert_allclose(made, wanted.numpy(), atol=1e-6)
        assert (np.array(made) > 0).tolist() == (wanted > 0).tolist()


def test_a_code_is_drawn_as_often_as_its_share_says(write):
    counts = write.page.evaluate(
        """async (root) => {
            const { pick } = await import(`${root}/live/writer.mjs`);
            const { uniform } = await import(`${root}/live/live.mjs`);
            const [u, counts] = [uniform(3), [0, 0, 0, 0]];
            for (let k = 0; k < 10000; k++) counts[pick([0.1, 0, 0.6, 0.3], u())] += 1;
            return counts;
        }""",
        write.site,
    )
    assert counts[1] == 0 and sum(counts) == 10000
    np.testing.assert_allclose(np.array(counts) / 10000, [0.1, 0, 0.6, 0.3], atol=0.02)


def test_logits_along_the_way_are_torchs_and_so_are_the_likeliest_codes(write, videogpt):
    """With given frames, and two copies, as guidance asks; the page reads what it wrote itself."""
    generator = torch.Generator().manual_seed(2)
    frames = torch.rand(1, 1, 4, SIDE, SIDE, generator=generator) * 2 - 1
    labels = torch.zeros(2, 20)
    labels[0, [4, 12, 19]] = 1
    made = write.page.evaluate(
        """async ([root, name, weights, labels, frames]) => {
            const { loadModel } = await import(`${root}/live/model.mjs`);
            const { Writer } = await import(`${root}/live/writer.mjs`);
            const model = await loadModel(name, weights, ["tell", "step"]);
            const inputs = { labels: Float32Array.from(labels), frames: Float32Array.from([...frames, ...frames]) };
            const told = await model.run("tell", { ...inputs, count: BigInt64Array.of(3n, 3n) });
            const writer = new Writer(model, told, 2);
            const rows = [];
            while (!writer.done) {
                const logits = await writer.logits([2, -1]);
                rows.push(Array.from(logits));
                writer.codes.push(logits.indexOf(Math.max(...logits)));
            }
            return [writer.codes, rows];
        }""",
        [
            write.site,
            "videogpt-cpu",
            zoo.shipped_hash("videogpt"),
            labels.flatten().tolist(),
            frames.flatten().tolist(),
        ],
    )
    codes = torch.tensor(made[0])
    with videogpt.inference():
        given = videogpt.prefix_encoder(frames.repeat(2, 1, 1, 1, 1), torch.tensor([3, 3]))
        asked, free = videogpt.prior(videogpt._vectors(codes.repeat(2, 1)), labels, given)
    wanted = 2 * asked - free
    np.testing.assert_allclose(made[1], wanted.numpy(), atol=1e-3)
    assert torch.equal(codes, wanted.argmax(1))


def test_a_greedy_clip_on_the_canvas_is_torchs(write, videogpt):
    figure = write.figure
    figure.get_by_label("Temperature").press("Home")
    choose(write, "Digit", "7")
    choose(write, "Direction", "2")
    figure.get_by_role("button", name="Stop").press("Enter")
    shown = written(write)
    condition = {name: torch.tensor([value]) for name, value in (("digit", 7), ("direction", 2), ("speed", 1))}
    with videogpt.inference():
        writer = Writer(videogpt, 1, condition, temperature=0, guidance=2.0)
        writer.write(256)
        clip = writer.clips(4)[0]
    assert shown["codes"] == torch.stack(writer.tokens, dim=1)[0].tolist()
    assert levels(clip).max() > 200
    assert np.abs(shown["frames"] - levels(clip)).max() <= 2
    assert not write.complaints and not write.left()


def test_given_frames_are_the_drawing_that_flies_and_stay_as_they_are(write, videogpt):
    figure = write.figure
    figure.get_by_label("Temperature").press("PageUp")
    choose(write, "Begins with", "3")
    figure.get_by_role("button", name="Stop").press("Enter")
    shown = written(write)
    prefix = torch.tensor(write.stage("stage.shown.asked.given")).view(1, 3, SIDE, SIDE)
    # Up and fast: two pixels a frame, and no fraction of a pixel.
    assert torch.equal(prefix[0, 1, :-2], prefix[0, 0, 2:]) and torch.equal(prefix[0, 2, :-2], prefix[0, 1, 2:])
    clip = videogpt.tokenizer.decode(torch.tensor(shown["codes"]).view(1, 4, 8, 8))[0]
    clip[:, :3] = prefix
    assert np.abs(shown["frames"] - levels(clip)).max() <= 2
    assert not write.complaints


def test_writing_is_quick_and_light(write):
    """The first picture within 1.5 s, 30 codes a second or more; with what runs it the model is below 6 MB."""
    assert write.first < 1.5
    begun = write.seconds()
    figure = write.figure
    figure.get_by_role("button", name="Another").press("Enter")
    figure.get_by_role("button", name="Stop").press("Enter")
    written(write)
    assert write.seconds() - begun < 256 / 30
    sizes = write.page.evaluate(
        """async ([root, files]) => Promise.all(
            files.map(async (file) => (await (await fetch(root + file)).arrayBuffer()).byteLength))""",
        [write.site, write.asked("/live/", "/onnxruntime/")],
    )
    assert any(url.endswith("videogpt-cpu-step.onnx") for url in write.asked())
    assert 5e6 < sum(sizes) < 6e6


@pytest.fixture(scope="module")
def fusion():
    return rounded(zoo.load_pretrained("fusion"))


@pytest.fixture(scope="module")
def caption(visit):
    figure = visit(*FUSION)
    figure.press()
    return figure


def type_in(figure, words: str) -> None:
    text = figure.figure.get_by_role("textbox")
    text.fill(words)
    text.press("Enter")


def test_a_clip_of_a_caption_with_guidance_is_torchs(caption, fusion):
    figure = caption.figure
    figure.get_by_label("Temperature").press("Home")
    figure.get_by_label("Caption guidance").press("ArrowRight")
    type_in(caption, "A green 7 flies down-left, slowly.")
    figure.get_by_role("button", name="Stop").press("Enter")
    shown = written(caption)
    condition = {"caption": ["a green 7 flies down-left slowly"]}
    with fusion.inference():
        clip = fusion.sample(1, condition=condition, temperature=0, guidance=2.5)[0]
    assert levels(clip).max() > 150
    assert np.abs(shown["frames"] - levels(clip)).max() <= 2
    assert not caption.complaints and not caption.left()


def test_unknown_words_are_named_with_the_vocabulary_and_the_clip_stays(caption, fusion):
    alert = caption.figure.get_by_role("alert")
    before = caption.stage("stage.shown.codes")
    for words, wanted in (
        ("a purple 3 dances left", "No “purple” and no “dances” in the vocabulary. It has: a 0 1 2"),
        ("", "The caption has no word. The vocabulary: a 0 1"),
        ("a red 3 and 4", "No “and” in"),
        ("a red 3 4", "asks for 2 digits; this model moves 1."),
        ("a " * 9, "has 9 words; give 8 at most."),
    ):
        type_in(caption, words)
        assert wanted in alert.text_content()
        assert caption.stage("stage.shown.codes") == before
    type_in(caption, "a red 3 goes up")
    assert alert.text_content() == ""


def test_a_drawn_first_frame_with_and_without_a_caption_is_torchs_and_stays(caption, fusion):
    figure = caption.figure
    figure.get_by_label("Frames guidance").press("ArrowRight")
    choose(caption, "Its colour", "magenta")
    choose(caption, "First frames", "mine")
    for told in (1, 0):
        choose(caption, "It is", str(told))
        stop = figure.get_by_role("button", name="Stop")
        stop.press("Enter")
        shown = written(caption)
        image = torch.tensor(caption.stage("stage.shown.asked.given")).view(1, 3, SIDE, SIDE)
        assert image[0, 0].max() == 1 and image[0, 1].max() == -1 and torch.equal(image[0, 0], image[0, 2])
        condition = {"image": image, **({"caption": ["a red 3 goes up"]} if told else {})}
        strengths = {"frames_guidance": 1.5, **({"guidance": 2.5} if told else {})}
        with fusion.inference():
            clip = fusion.sample(1, condition=condition, temperature=0, **strengths)[0]
        assert np.abs(shown["frames"] - levels(clip)).max() <= 2
    assert not caption.complaints


def test_the_beginning_of_a_clip_can_be_kept(caption):
    before = frames_of(caption)
    choose(caption, "First frames", "more")
    caption.figure.get_by_role("button", name="Stop").press("Enter")
    after = written(caption)["frames"]
    assert after.shape == before.shape and (after[:4] == before[:4]).all() and (after[4:] != before[4:]).any()
