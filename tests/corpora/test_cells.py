"""The cells of tables as people's programs write them."""

import pytest

from helpers import corpora
from helpers.corpora import CorpusError
from helpers.corpora.cells import cells_of
from tests.corpora.conftest import reasons


def cells(tmp_path, text):
    """What is read of a table."""
    (tmp_path / "labels.csv").write_text(text, newline="")
    found = cells_of(tmp_path / "labels.csv")
    return [list(found), *found.values.tolist()]


ROWS = [["file", "valence", "speaker"], ["a.wav", "3", "x, y"], ["b.wav", "4", ""]]


@pytest.mark.parametrize(
    "text",
    [
        'file,valence,speaker\na.wav,3,"x, y"\nb.wav,4\n',
        'file,valence,speaker\na.wav,3,"x, y",\nb.wav,4,,\n',  # a separator at the end of rows
        'file,valence,speaker,,\na.wav,3,"x, y",,\n,,,,\nb.wav,4,,,\n,,,,',
        '\r\n\r\nfile,valence,speaker\r\na.wav,3,"x, y"\r\n\r\nb.wav,4,\r\n',
        "\n;;\nfile;valence;speaker\na.wav;3;x, y\n;;\nb.wav;4;\n;;\n;;\n",
        "sep=|\n\nfile|valence|speaker\na.wav|3|x, y\nb.wav|4|\n",
        "file\tvalence\tspeaker\ra.wav\t3\tx, y\rb.wav\t4\t\r",
    ],
)
def test_blank_lines_rows_and_columns_are_no_part_of_a_table(tmp_path, text):
    assert cells(tmp_path, text) == ROWS


def test_the_separator_is_the_one_between_names_of_columns(tmp_path):
    name = "notes (pitch, tempo, loudness, pauses, voice quality)"
    found = cells(tmp_path, f"file;valence;{name}\na.wav;3,5;high, fast\n")
    assert found == [["file", "valence", name], ["a.wav", "3,5", "high, fast"]]


def test_quotes_inside_cells_and_lines_inside_quotes_stay(tmp_path):
    text = 'file,valence,said\na.wav,3,"one\r\n""two"", three"\nb.wav,4,5" wide\n'
    assert cells(tmp_path, text)[1:] == [
        ["a.wav", "3", 'one\r\n"two", three'],
        ["b.wav", "4", '5" wide'],
    ]


@pytest.mark.parametrize(
    "rest",
    [
        "c.wav,1,x\nd.wav,5,y\n",
        'c.wav,1,"and so on\nd.wav,5,y\n',  # closes the other's quote
        "x" * 200_000,
        "",
    ],
)
def test_a_quote_that_is_never_closed_is_named_by_its_line(tmp_path, rest):
    with pytest.raises(CorpusError, match="labels.csv has a quote in line 3 that is never closed"):
        cells(tmp_path, f'file,valence,said\na.wav,3,x\nb.wav,4,"so on\n{rest}')


@pytest.mark.parametrize(
    ("row", "how"),
    [("b.wav,3,5", r" \(or, in R, write it with row.names = FALSE\)\."), ("b.wav,3,5,", r"\.")],
)
def test_more_cells_than_columns_are_named_by_their_line(tmp_path, row, how):
    said = "has more cells in line 4 than names of columns in line 2: put each cell that has a ','"
    with pytest.raises(CorpusError, match=f"{said} in quotes{how}"):
        cells(tmp_path, f"\nfile,valence\na.wav,3\n{row}\n")


@pytest.mark.parametrize("title", ["Ratings of my study", "Valence, all;;", "Study,2026,June,4"])
@pytest.mark.parametrize("separator", ";,")
def test_lines_above_the_names_of_columns_are_refused(tmp_path, title, separator):
    text = f"{title}\n\nfile,valence\na.wav,3\n".replace(",", separator)
    said = "labels.csv has the names of its columns in line 3: remove the lines above it"
    with pytest.raises(CorpusError, match=said):
        cells(tmp_path, text)


@pytest.mark.parametrize("text", ["", "\n\n", ";;\n", "sep=;\n\n"])
def test_an_empty_table_is_called_so(tmp_path, text):
    with pytest.raises(
        CorpusError, match="is empty: fill it, or remove it .an archive that it is from"
    ):
        cells(tmp_path, text)


def test_blank_rows_of_a_table_are_no_rejected_clips(corpus_folder):
    text = (corpus_folder / "labels.csv").read_text()
    (corpus_folder / "labels.csv").write_text(f"{text},,\n,,\n")
    assert reasons(corpora.load(corpus_folder)) == {}
