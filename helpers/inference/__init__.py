"""A trained network in one file, and the valence of any recording: notebook 7."""

from helpers.inference.cards import Card as Card
from helpers.inference.cards import conformal_margin as conformal_margin
from helpers.inference.cards import coverage as coverage
from helpers.inference.cards import distance as distance
from helpers.inference.cards import markdown as markdown
from helpers.inference.cards import of as of
from helpers.inference.cards import profile as profile
from helpers.inference.model_file import Model as Model
from helpers.inference.model_file import ModelError as ModelError
from helpers.inference.model_file import load as load
from helpers.inference.model_file import save as save
from helpers.inference.predictions import curve as curve
from helpers.inference.predictions import main as main
from helpers.inference.predictions import predict as predict
from helpers.inference.predictions import stream as stream
from helpers.inference.recorder import Recorder as Recorder
from helpers.inference.recorder import figure as figure
from helpers.inference.recorder import panel as panel
