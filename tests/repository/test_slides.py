"""Slides made of the chapters' pictures."""

import re
from pathlib import Path

import pytest
import slides

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", slides.chapters())
def test_a_deck_has_each_picture_and_film_of_its_chapter_with_its_words(name, tmp_path):
    text = slides.write(name, out=tmp_path).read_text()
    source = (ROOT / f"{name}.md").read_text()
    figures = re.findall(r"^```\{(image|clip)\} ", source, re.M)
    assert len(figures) == text.count('class="figure"') > 0
    assert text.count("<video") == figures.count("clip")
    assert text.count("<section") == len(figures) + 1
    described = re.findall(r'class="figure"[^>]*(?:alt|aria-label)="(\w+\W+\w+[^"]*)"', text)
    assert len(described) == len(figures)


@pytest.mark.parametrize("name", slides.chapters())
def test_a_deck_loads_nothing_and_shows_no_markup(name, tmp_path):
    text = re.sub(r'src="data:[^"]*"', "", slides.write(name, out=tmp_path).read_text())
    assert not re.search(r"\b(?:src|href)=", text)
    shown = re.sub(r"<(style|script)>.*?</\1>|<[^>]+>", "", text, flags=re.S)
    assert not re.search(r"\{\w+\}|```|\$", shown), re.search(r".{40}(\{\w+\}|```|\$).{40}", shown)


def test_a_slide_has_the_heading_the_picture_and_what_the_page_says_next(tmp_path):
    (tmp_path / "a.png").write_bytes(b"picture")
    source = (
        "# Title\n\n> Why?\n\n## First\n\n```{image} a.png\n:alt: Two dots.\n:class: dark-light\n```\n\n"
        "Two dots, *far* apart.\nThere are {result}`x:y` of them.\n\n## Second\n"
    )
    title, question, (slide,) = slides.read(source, tmp_path)
    assert (title, question) == ("Title", "Why?")
    assert slide == slides.Slide("First", (tmp_path / "a.png").resolve(), "Two dots.", "Two dots, far apart.")
    assert 'src="data:image/png;base64,cGljdHVyZQ=="' in slides.deck(title, question, [slide])
