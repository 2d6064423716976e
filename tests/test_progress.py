import sys
import time

import nbclient
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from helpers import progress


def test_a_bar_is_drawn_only_over_what_takes_long_and_only_where_wanted(monkeypatch, capsys):
    for disabled, terminal, drawn in (("1", True, False), ("", True, True), ("", False, False)):
        monkeypatch.setenv("TQDM_DISABLE", disabled)
        monkeypatch.setattr(sys.stderr, "isatty", lambda terminal=terminal: terminal)
        assert list(progress.bar(range(3), desc="quick")) == [0, 1, 2]
        assert "quick" not in capsys.readouterr().err
        for _ in progress.bar(range(2), desc="slow"):
            time.sleep(1.1)
        assert ("slow" in capsys.readouterr().err) == drawn


class Client(nbclient.NotebookClient):
    """Runs a cell, and keeps what was shown meanwhile."""

    def process_message(self, msg, cell, cell_index):
        if "data" in msg["content"]:
            self.shown.append(msg["content"]["data"].get("text/plain"))
        return super().process_message(msg, cell, cell_index)


SLOW = """import time
from helpers.progress import bar
print("before")
for _ in bar(range(2), desc="outer"):
    for _ in bar(range(2), desc="inner"):
        time.sleep(1.1)
print("after")"""


@pytest.mark.parametrize("disabled", ["", "1"])
def test_a_bar_in_a_notebook_is_text_of_which_nothing_to_see_is_stored(disabled, monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", disabled)
    notebook = new_notebook(cells=[new_code_cell(SLOW)])
    client = Client(notebook, kernel_name="python3")
    client.shown = []
    client.execute()
    nbformat.validate(notebook)
    outputs = notebook.cells[0].outputs
    text = "".join(each.text for each in outputs if each.output_type == "stream")
    assert text == "before\nafter\n"
    left = [each for each in outputs if each.output_type != "stream"]
    assert all(each.data == {} for each in left)
    drawn = {line.split(":")[0] for line in client.shown if line}
    assert (drawn, len(left)) == ((set(), 0) if disabled else ({"outer", "inner"}, 3))
