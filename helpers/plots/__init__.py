"""Every figure; each function takes arrays and tables and returns a figure, and none saves itself."""

from helpers.plots.data import durations as durations
from helpers.plots.data import mel_filters as mel_filters
from helpers.plots.data import padding as padding
from helpers.plots.data import ratings as ratings
from helpers.plots.data import recording as recording
from helpers.plots.data import speakers as speakers
from helpers.plots.data import spectrogram as spectrogram
from helpers.plots.data import waveforms as waveforms
from helpers.plots.errors import calibration as calibration
from helpers.plots.errors import error_by_speaker as error_by_speaker
from helpers.plots.errors import error_grid as error_grid
from helpers.plots.errors import joint as joint
from helpers.plots.errors import occlusion as occlusion
from helpers.plots.errors import residuals as residuals
from helpers.plots.networks import architecture as architecture
from helpers.plots.networks import kernels as kernels
from helpers.plots.networks import learning_curves as learning_curves
from helpers.plots.networks import max_pooling as max_pooling
from helpers.plots.scores import comparison as comparison
from helpers.plots.scores import costs as costs
from helpers.plots.scores import explored as explored
from helpers.plots.scores import intervals as intervals
from helpers.plots.scores import predicted_against_true as predicted_against_true
from helpers.plots.scores import trials as trials
from helpers.plots.style import save as save
from helpers.plots.style import show as show
