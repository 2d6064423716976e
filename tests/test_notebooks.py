"""What must hold for the notebooks as files; nbval runs them."""

import ast
import re

import nbformat
import pandas as pd
import pytest
import soundfile

from helpers.storage import PROJECT
from tests.conftest import write_corpus

NOTEBOOKS = sorted((PROJECT / "notebooks").glob("*.ipynb"))
IGNORED = "nbval-ignore-output"


def code_cells(path):
    cells = nbformat.read(path, as_version=4).cells
    return [cell for cell in cells if cell.cell_type == "code"]


def folded(cell):
    return cell.metadata.get("jupyter", {}).get("source_hidden", False)


def text_of(cell):
    found = []
    for output in cell.outputs:
        found.append(output.get("text", ""))
        found += [str(value) for kind, value in output.get("data", {}).items() if "text" in kind]
    return "\n".join(found)


def data_columns(table):
    """Columns of a table in HTML: cells of a row; without rows, headings less that of the index."""
    rows = re.findall(r"<tr.*?</tr>", table, re.DOTALL)
    cells = [len(re.findall(r"<td", row)) for row in rows]
    return max(cells) or max(len(re.findall(r"<th[ >]", row)) for row in rows) - 1


def test_columns_are_counted_by_their_lowest_level_and_without_the_index():
    columns = pd.MultiIndex.from_product([["this corpus", "other"], ["mean", "low", "high"]])
    index = pd.MultiIndex.from_tuples([("a", 1), ("a", 2)])
    table = pd.DataFrame(0, index, columns)
    assert data_columns(table.to_html()) == 6
    assert data_columns(pd.DataFrame(columns=list("abcdefgh")).to_html()) == 8


def test_there_are_notebooks():
    assert [path.stem for path in NOTEBOOKS] == [
        "01_exploration",
        "02_preprocessing",
        "03_model",
        "04_tuning",
        "05_error_analysis",
        "06_improvements",
        "07_your_speech",
        "08_other_voices",
    ]


def test_at_least_three_fifths_of_the_code_cells_are_compared():
    cells = [cell for path in NOTEBOOKS for cell in code_cells(path)]
    ignored = [cell for cell in cells if IGNORED in cell.metadata.get("tags", [])]
    assert 1 - len(ignored) / len(cells) >= 0.6


@pytest.mark.parametrize(("notebook", "cells"), [(0, 8), (1, 6)])
def test_recordings_are_read_and_played_as_the_package_does(
    tmp_path, output, monkeypatch, notebook, cells
):
    """A FLAC that was streamed does not say its length, and soundfile alone cannot read it."""
    write_corpus(tmp_path / "speech")
    labels = tmp_path / "speech" / "labels.csv"
    for path in (tmp_path / "speech" / "audio").iterdir():
        soundfile.write(path.with_suffix(".flac"), *soundfile.read(path))
        path.unlink()
        content = bytearray(path.with_suffix(".flac").read_bytes())
        content[21:26] = bytes([content[21] & 0xF0, 0, 0, 0, 0])  # the number of samples
        path.with_suffix(".flac").write_bytes(content)
    labels.write_text(labels.read_text().replace(".wav", ".flac"))
    monkeypatch.setenv("VALENCE_CORPUS", str(tmp_path / "speech"))
    names = {}
    for cell in code_cells(NOTEBOOKS[notebook])[:cells]:
        exec(cell.source.replace("%matplotlib inline", ""), names)
    assert len(names["corpus"].clips) == 12
    if notebook == 1:
        assert len(names["recording"]) == round(names["clip"].duration * names["native_rate"])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
class TestEachNotebook:
    def test_a_cell_that_is_not_compared_asserts_something_or_the_folded_one_below_does(self, path):
        cells = code_cells(path)
        for cell, below in zip(cells, [*cells[1:], None], strict=True):
            tags = cell.metadata.get("tags", [])
            assert not {"nbval-skip", "raises-exception"} & set(tags)
            if IGNORED in tags:
                checks = cell.source + (f"\n{below.source}" if below and folded(below) else "")
                assert re.search(r"^\s*assert ", checks, re.M), cell.source

    def test_what_only_stores_checks_or_names_versions_is_folded(self, path):
        for cell in code_cells(path):
            body = ast.parse(cell.source.replace("%matplotlib", "#")).body
            only_checks = all(isinstance(each, ast.Assert) for each in body)
            behind = re.search(r"^(save_results|pd.Series\(versions)\(", cell.source, re.M)
            shown_on_purpose = cell.outputs or "np.allclose" in cell.source
            assert folded(cell) or not (behind or (only_checks and not shown_on_purpose))
            if folded(cell) and cell.outputs:
                assert "versions" in cell.source

    def test_no_check_stands_between_a_call_and_its_picture_or_table(self, path):
        for cell in code_cells(path):
            if cell.outputs and not folded(cell) and "name" not in cell.outputs[0]:
                checks = re.findall(r"^assert .*", cell.source, re.M)
                assert not checks or "= models." in cell.source, checks

    def test_no_raw_value_is_an_output(self, path):
        for cell in code_cells(path):
            last = ast.parse(cell.source.replace("%matplotlib", "#")).body[-1]
            if isinstance(last, ast.Expr):
                value = last.value
                assert isinstance(value, ast.Call | ast.Name | ast.Subscript | ast.IfExp), last
                text = ast.unparse(value)
                assert not re.match(r"(len|round|float|list)\(|(mel|options|input_shape)$", text)
                assert not re.search(r"\.(tolist|to_dict)\(\)$", text)

    def test_it_was_run_from_top_to_bottom_without_errors_or_warnings(self, path):
        cells = code_cells(path)
        assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
        for output in (output for cell in cells for output in cell.outputs):
            assert output.output_type != "error" and output.get("name") != "stderr"

    def test_its_pictures_are_described(self, path):
        outputs = [output for cell in code_cells(path) for output in cell.outputs]
        pictures = [each for each in outputs if "image/png" in each.get("data", {})]
        described = [each.metadata.get("image/png", {}).get("alt", "") for each in pictures]
        assert all(len(text) > 30 for text in described)
        assert [each.data["text/plain"] for each in pictures] == described

    def test_captions_stand_above_tables_and_beneath_figures(self, path):
        cells = nbformat.read(path, as_version=4).cells
        numbers = {"Table": [], "Figure": []}
        for before, cell, after in zip(["", *cells], cells, [*cells[1:], ""], strict=False):
            found = re.findall(r"\*\*(Table|Figure) (\d+)\.\*\*", cell.source)
            for kind, number in found if cell.cell_type == "markdown" else []:
                numbers[kind].append(int(number))
                if kind == "Table":
                    assert cell.source.split("\n\n")[-1].startswith(f"**Table {number}.**")
                    assert any("text/html" in each.get("data", {}) for each in after.outputs)
                else:
                    assert cell.source.startswith(f"**Figure {number}.**")
                    assert any("image/png" in each.get("data", {}) for each in before.outputs)
        assert all(each == list(range(1, len(each) + 1)) for each in numbers.values())

    def test_its_tables_have_at_most_seven_columns_beside_their_index(self, path):
        outputs = [output for cell in code_cells(path) for output in cell.outputs]
        stored = "".join(each.get("data", {}).get("text/html", "") for each in outputs)
        for table in re.findall(r"<table.*?</table>", stored, re.DOTALL):
            assert data_columns(table) <= 7, table

    def test_it_shows_no_times_which_differ_from_run_to_run(self, path):
        timed = [cell for cell in code_cells(path) if re.search(r"\.seconds\b", cell.source)]
        assert all("save_results(" in cell.source and not text_of(cell) for cell in timed)

    def test_it_holds_no_paths_of_the_machine_that_ran_it(self, path):
        stored = "\n".join(text_of(cell) for cell in code_cells(path))
        assert str(PROJECT) not in stored and not re.search(r"/(home|root|Users|tmp)/", stored)
        assert " at 0x" not in stored

    def test_it_is_light(self, path):
        assert path.stat().st_size < 1.5e6

    def test_it_closes_with_an_answer_in_numbers_and_links_to_its_exercises(self, path):
        cells = nbformat.read(path, as_version=4).cells
        (start,) = [i for i, cell in enumerate(cells) if cell.source.startswith("## Conclusion")]
        answers = [text_of(cell) for cell in cells[start:] if "Markdown(" in cell.source]
        assert any(re.search(r"\d", answer) for answer in answers)
        assert f"(exercises/{path.name})" in "".join(cell.source for cell in cells[start:])

    def test_its_links_lead_somewhere(self, path):
        cells = nbformat.read(path, as_version=4).cells
        links = re.findall(
            r"\]\(([^)#]+)\)", "".join(c.source for c in cells if c.cell_type == "markdown")
        )
        for link in links:
            assert link.startswith("https://") or (path.parent / link).exists(), link

    def test_it_defines_nothing_that_belongs_in_the_package(self, path):
        assert not any(re.search(r"^(def|class) ", c.source, re.M) for c in code_cells(path))
