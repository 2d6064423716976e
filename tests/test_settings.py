import pytest

from helpers.settings import PROFILES, Settings, SettingsError
from helpers.storage import OutputError


def test_without_any_choice_the_study_is_quick_and_on_the_demo_corpus():
    chosen = Settings.from_env()
    assert (chosen.corpus, chosen.profile) == (None, "quick")
    assert chosen.filters < PROFILES["full"]["filters"] == 200


def test_an_unknown_profile_is_named_with_those_there_are(monkeypatch):
    monkeypatch.setenv("VALENCE_PROFILE", "fast")
    with pytest.raises(SettingsError, match="'fast': set it to one of quick, full"):
        Settings.from_env()


def test_figures_and_results_go_below_the_output_folder(output):
    chosen = Settings.from_env()
    assert chosen.figures("x") == output.resolve() / "figures" / "x"
    assert chosen.results("x").is_dir()


def test_an_output_folder_of_nobody_is_named(monkeypatch):
    monkeypatch.setenv("VALENCE_OUTPUT", "~nobody-of-this-name/study")
    with pytest.raises(OutputError, match="VALENCE_OUTPUT names nobody's folder"):
        Settings.from_env()


@pytest.mark.parametrize(
    ("written", "scale"),
    [("1,9", (1, 9)), (" -3 3 ", (-3, 3)), ("0, 1.5", (0, 1.5)), ("", None), (" ", None)],
)
def test_a_scale_is_two_numbers(monkeypatch, written, scale):
    monkeypatch.setenv("VALENCE_SCALE", written)
    assert Settings.from_env().scale == scale


@pytest.mark.parametrize("written", ["1", "1,5,9", "low,high", "9,1", "5,5", "nan,1", "1-9"])
def test_a_scale_that_is_not_two_numbers_is_named(monkeypatch, written):
    monkeypatch.setenv("VALENCE_SCALE", written)
    with pytest.raises(SettingsError, match=f"VALENCE_SCALE is {written!r}: set it to the lowest"):
        Settings.from_env()
