"""The networks and what they are made of: notebook 3. Importing it loads Keras."""

from helpers.models.backend import (
    Tensor,
    as_graph,
    jit_compile,
    keras,
    limit_threads,
    seed_everything,
)
from helpers.models.conv_max_pool import ConvMaxPool, KernelSizeError
from helpers.models.layers import (
    MELODY,
    QUANTILES,
    RHYTHM,
    ClipStatistics,
    RatingMedian,
    quantiles,
)
from helpers.models.model_file import (
    FORMAT,
    HUMAN_VOICES,
    MEMBER,
    ModelError,
    Stored,
    read,
    refused,
)
from helpers.models.networks import (
    KERNELS,
    MOMENTUM,
    RECOMMENDED_MEL,
    RECOMMENDED_NETWORKS,
    RECOMMENDED_TRAINING,
    THREE_VIEWS_TRAINING,
    attention_cnn,
    clip_statistics,
    cnn_blstm,
    parallel_cnn,
    parallel_cnn_size,
    recommended,
    statistics_network,
    three_views,
)
