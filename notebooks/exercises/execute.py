"""Put the answers into the exercises and run them: writes the notebooks in ``solutions/``.

A notebook beside this file has the text, the setup and the checks; the notebook of the same name in
``solutions/`` has the answers, which are its cells with the tag ``exercise``. Edit each thing where
it is, and then run ``python -m notebooks.exercises.execute`` in the folder of the project.
"""

from __future__ import annotations

import copy
import os
from pathlib import Path

import nbformat
from tqdm import tqdm

from helpers.settings import Settings
from helpers.storage import write_file
from report import build

FOLDER = Path(__file__).resolve().parent
EXERCISES = sorted(FOLDER.glob("[0-9]*.ipynb"))


def main() -> None:
    """Write all solutions."""
    os.environ.update(build.for_kernels(Settings.from_env()))
    for path in EXERCISES:
        target = FOLDER / "solutions" / path.name
        solution = solved(*(nbformat.read(each, as_version=4) for each in (path, target)))
        with tqdm(total=len(solution.cells), desc=path.stem, unit="cell") as progress:
            build.execute(solution, progress)
        write_file(target, nbformat.writes(solution) + "\n")


def solved(
    exercise: nbformat.NotebookNode, answers: nbformat.NotebookNode
) -> nbformat.NotebookNode:
    """The exercise with the answers of a solution, and links as they are from its folder."""
    solution = copy.deepcopy(exercise)
    sources = {cell.id: cell.source for cell in answers.cells}
    for cell in solution.cells:
        if cell.cell_type == "markdown":
            cell.source = cell.source.replace("# Exercises", "# Solutions", 1)
            cell.source = cell.source.replace("](../", "](../../")
        elif "exercise" in cell.metadata.get("tags", []):
            cell.source = sources[cell.id]
    return solution


if __name__ == "__main__":
    main()
