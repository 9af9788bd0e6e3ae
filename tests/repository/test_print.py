"""The book on paper. Without Chromium this is skipped, and the summary says so."""

import print_book
from pypdf import PdfReader


def test_pages_are_printed_into_one_file_with_formulas_filmstrips_and_folded_solutions(chromium, site, tmp_path):
    names = ["book/appendix/how-good", "notebooks/91_bug_hunt"]
    print_book.print_book(chromium, site, names, tmp_path / "book.pdf")
    book = PdfReader(tmp_path / "book.pdf")
    titles = [entry.title for entry in book.outline]
    first = book.get_destination_page_number(book.outline[1])
    assert len(titles) == 2 and titles[1].startswith("Lab") and 0 < first < len(book.pages)

    page, lab = ["\n".join(one.extract_text() for one in part) for part in (book.pages[:first], book.pages[first:])]
    fonts = [font.get_object() for one in book.pages[:first] for font in one["/Resources"]["/Font"].values()]
    assert any("MathJax_Math" in font["/FontDescriptor"]["/FontName"] for font in fonts if "/FontDescriptor" in font)
    assert sum(len(one.images) for one in book.pages[:first]) >= 2
    assert "Search" not in page  # the bar at the side stays away
    assert "127.0.0.1" not in str([note.get_object() for one in book.pages for note in one.get("/Annots", [])])
    assert "Show the solution" in lab and "Hide the solution" not in lab
