import time

from helpers import progress


def test_a_bar_is_drawn_only_over_what_takes_long_and_only_where_wanted(monkeypatch, capsys):
    for disabled, drawn in (("1", False), ("", True)):
        monkeypatch.setenv("TQDM_DISABLE", disabled)
        assert list(progress.bar(range(3), desc="quick")) == [0, 1, 2]
        assert "quick" not in capsys.readouterr().err
        for _ in progress.bar(range(3), desc="slow"):
            time.sleep(1.1)
        assert ("slow" in capsys.readouterr().err) == drawn


def test_no_bar_is_drawn_in_the_notebooks_that_are_compared(tmp_path, monkeypatch):
    import nbclient
    from nbformat.v4 import new_code_cell, new_notebook

    monkeypatch.setenv("TQDM_DISABLE", "1")
    code = "import time\nfrom helpers.progress import bar\nfor i in bar([1, 2, 3]): time.sleep(1.1)"
    notebook = new_notebook(cells=[new_code_cell(code)])
    nbclient.NotebookClient(notebook, kernel_name="python3").execute()
    assert notebook.cells[0].outputs == []
