"""The exercises as files, and what their checks say; nbval runs the solutions."""

import ast
import re

import nbformat
import pytest

from helpers.storage import PROJECT
from notebooks.exercises.execute import EXERCISES, FOLDER, solved

STUDY = sorted(path.name for path in (PROJECT / "notebooks").glob("*.ipynb"))
SENTENCE = r"Exercise (\d)( is not done yet|: [^\n]+[^.\n])\."


def read(path):
    return nbformat.read(path, as_version=4)


def tagged(notebook, tag):
    return [cell.source for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


def told(check, names):
    """What a check says of an answer."""
    with pytest.raises(AssertionError) as error:
        exec(check, names)
    return str(error.value)


@pytest.fixture(scope="module")
def setup():
    """The names that the setup of a notebook defines, made once."""
    known = {}

    def names(stem):
        if stem not in known:
            known[stem] = {}
            (cell,) = [c for c in read(FOLDER / f"{stem}.ipynb").cells if c.id == "setup"]
            exec(cell.source, known[stem])
        return dict(known[stem])

    return names


def test_each_notebook_of_the_study_has_exercises_and_solutions():
    assert [path.name for path in EXERCISES] == STUDY
    assert sorted(path.name for path in (FOLDER / "solutions").glob("*.ipynb")) == STUDY


@pytest.mark.parametrize("path", EXERCISES, ids=lambda path: path.stem)
class TestEachNotebook:
    def test_it_has_a_setup_and_three_exercises_with_a_check_each(self, path):
        parts = [f"{part}-{i}" for i in (1, 2, 3) for part in ("text", "exercise", "check")]
        notebook = read(path)
        assert [cell.id for cell in notebook.cells] == ["title", "setup-text", "setup", *parts]
        for cell in notebook.cells:
            expected = [cell.id[:-2]] if cell.id[:-2] in ("exercise", "check") else []
            assert cell.metadata.get("tags", []) == expected
            assert cell.metadata.get("jupyter", {}).get("source_hidden", False) == (
                expected == ["check"]
            )
        for number in (1, 2, 3):
            assert notebook.cells[3 * number].source.startswith(f"## Exercise {number}: ")
        assert "def " not in tagged(notebook, "exercise")[0]
        assert "def " in tagged(notebook, "exercise")[2]

    def test_its_solution_is_the_same_with_other_answers(self, path):
        exercise, solution = read(path), read(FOLDER / "solutions" / path.name)
        expected = solved(exercise, solution)
        for cell, other in zip(expected.cells, solution.cells, strict=True):
            assert (cell.id, cell.source, cell.metadata) == (other.id, other.source, other.metadata)
        answers = zip(tagged(exercise, "exercise"), tagged(solution, "exercise"), strict=True)
        assert all("..." not in answer for _, answer in answers)

    def test_exercises_are_stored_without_outputs_and_solutions_with(self, path):
        exercise, solution = read(path), read(FOLDER / "solutions" / path.name)
        assert exercise.metadata.keys() == solution.metadata.keys()
        code = [cell for cell in exercise.cells if cell.cell_type == "code"]
        assert all(not cell.outputs and cell.execution_count is None for cell in code)
        code = [cell for cell in solution.cells if cell.cell_type == "code"]
        assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
        for cell in code:
            streams = {output.name for output in cell.outputs if "name" in output}
            assert streams <= {"stdout"} and len(cell.outputs) <= 1
            if cell.id.startswith("check"):
                assert cell.outputs[0].text.startswith(f"Exercise {cell.id[-1]} is right")

    def test_its_links_lead_somewhere(self, path):
        for each in (path, FOLDER / "solutions" / path.name):
            text = "".join(cell.source for cell in read(each).cells if "text" in cell.id)
            text += read(each).cells[0].source
            links = re.findall(r"\]\(([^)#]+)\)", text)
            assert links and all((each.parent / link).exists() for link in links)

    def test_its_checks_say_everything_in_one_sentence(self, path):
        for number, check in enumerate(tagged(read(path), "check"), start=1):
            for node in ast.walk(ast.parse(check)):
                if isinstance(node, ast.Assert):
                    parts = getattr(node.msg, "values", [node.msg])  # of an f-string
                    message = "".join(
                        part.value if isinstance(part, ast.Constant) else "1" for part in parts
                    )
                    assert re.fullmatch(SENTENCE, message)[1] == str(number), message
                    assert ". " not in message

    def test_unsolved_it_says_so(self, path, setup):
        exercise = read(path)
        pairs = zip(tagged(exercise, "exercise"), tagged(exercise, "check"), strict=True)
        for number, (stub, check) in enumerate(pairs, start=1):
            if "..." not in stub:
                continue  # someone has solved it here
            names = setup(path.stem)
            exec(stub, names)
            assert told(check, names) == f"Exercise {number} is not done yet."


#: Notebook, exercise, what is changed in its solution, and what its check then says.
WRONG = [
    ("01", 1, 'price = "b"', 'price = "a"', "compare the padding"),
    ("01", 2, "0.95", "0.9", "smallest k"),
    ("01", 3, 'each["rate"])', "16000 // 2)", "own sampling rate"),
    ("02", 1, '"16 ms": False', '"16 ms": True', "250 Hz wide"),
    ("02", 2, "10 ** (10 / 10)", "10 ** (10 / 20)", "is 5.0 dB"),
    ("02", 3, " * 2 / (high - low)", "", "equal areas"),
    ("03", 1, "total_of_188_frames = total", "total_of_188_frames = 2 * total", "do not grow"),
    ("03", 2, '["en", "en-us"]', '["en-us"]', "exactly one"),
    ("03", 3, " + ops.square(mean_t - mean_p)", "", "where 1 - CCC is"),
    ("04", 1, "> 2 * standard_error", "> standard_error", "two standard errors"),
    ("04", 2, ".mean(axis=2)", ".min(axis=2)", "is not how far"),
    ("04", 3, "10 ** rng.uniform(-4, -2)", "rng.uniform(1e-4, 1e-2)", "are below 0.001"),
    ("04", 3, "10 ** rng.uniform(-4, -2)", "rng.choice([1e-4, 1e-2])", "on a logarithmic scale"),
    ("04", 3, "rng.uniform(0.2, 0.7)", "rng.choice([0.2, 0.45, 0.7])", "the dropout is not spread"),
    ("05", 1, 'effect = "c"', 'effect = "a"', "mean absolute error was"),
    ("05", 2, "mae=error.abs()", "mae=error", "absolute errors"),
    (
        "05",
        3,
        "rows = [np.flatnonzero(speakers == name) for name in np.unique(speakers)]",
        "rows = np.arange(len(error))[:, None]",
        "as if clips were drawn",
    ),
    ("06", 1, '"high"] < 0', '"value"] < 0', "high end of its gain"),
    ("06", 2, "size=len(clips)", "size=1).repeat(len(clips)", "shift of its own"),
    ("06", 3, "[tilt, sounding.std(), sounding.max() - sounding.mean()]", "[1]", "beyond chance"),
    ("07", 1, '"faster": True', '"faster": False', "faster changes the valence"),
    ("07", 2, "level = 0.8", "level = 0.9", "from the smallest"),
    ("07", 3, 'table["problem"] == ""', 'table["valence"].notna()', "silence and noise"),
    ("08", 1, '"ccc": True', '"ccc": False', "ccc is"),
    (
        "08",
        2,
        "valence[higher], found[higher]",
        "valence[fold.test], found[fold.test]",
        "both folds",
    ),
    ("08", 3, "prediction - len", "prediction + len", "the wrong way"),
]


@pytest.mark.parametrize(("number", "exercise", "right", "wrong", "says"), WRONG)
def test_a_wrong_answer_is_told(number, exercise, right, wrong, says, setup):
    (path,) = [each for each in EXERCISES if each.stem.startswith(number)]
    solution = read(FOLDER / "solutions" / path.name)
    answer, check = (tagged(solution, tag)[exercise - 1] for tag in ("exercise", "check"))
    assert right in answer
    names = setup(path.stem)
    exec(answer.replace(right, wrong), names)
    message = told(check, names)
    assert re.fullmatch(SENTENCE, message) and re.search(says, message), message
