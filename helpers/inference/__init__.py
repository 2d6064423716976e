"""A trained network in one file, and the valence of any recording: notebook 7."""

from helpers.inference.cards import Card, card_markdown, coverage, coverage_table
from helpers.inference.command import main
from helpers.inference.intervals import conformal_margin
from helpers.inference.model_file import Model, load, save
from helpers.inference.predictions import curve, predict
from helpers.inference.pretrained import predict_pretrained
from helpers.inference.recorder import panel, recording_figure
from helpers.inference.speakers import relative
from helpers.models import HUMAN_VOICES, ModelError
