"""The networks and what they are made of: notebook 3. Importing it loads Keras."""

from helpers.models.backend import Tensor as Tensor
from helpers.models.backend import jit_compile as jit_compile
from helpers.models.backend import keras as keras
from helpers.models.backend import limit_threads as limit_threads
from helpers.models.backend import seed_everything as seed_everything
from helpers.models.conv_max_pool import ConvMaxPool as ConvMaxPool
from helpers.models.layers import ClipStatistics as ClipStatistics
from helpers.models.layers import RandomSpeed as RandomSpeed
from helpers.models.layers import RatingMean as RatingMean
from helpers.models.layers import SoundingFrames as SoundingFrames
from helpers.models.networks import KERNELS as KERNELS
from helpers.models.networks import MOMENTUM as MOMENTUM
from helpers.models.networks import RECOMMENDED_MEL as RECOMMENDED_MEL
from helpers.models.networks import RECOMMENDED_SPEED as RECOMMENDED_SPEED
from helpers.models.networks import RECOMMENDED_TRAINING as RECOMMENDED_TRAINING
from helpers.models.networks import attention_cnn as attention_cnn
from helpers.models.networks import clip_statistics as clip_statistics
from helpers.models.networks import cnn_blstm as cnn_blstm
from helpers.models.networks import parallel_cnn as parallel_cnn
from helpers.models.networks import recommended as recommended
from helpers.models.networks import statistics_network as statistics_network
from helpers.models.networks import without_weights as without_weights
