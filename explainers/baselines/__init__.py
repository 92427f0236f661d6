"""Baselines of other authors: RISE, and adapters to the packages grad-cam and captum.

The adapters need `pip install "learned-explainers[compare]"`. Each answers as its package does;
ours are the default layer, the layout of tokens, the seeds, and that nothing stays on the
classifier.
"""

from explainers.baselines.captum import CAPTUM_METHODS, CaptumBaseline
from explainers.baselines.pytorch_grad_cam import CAM_METHODS, CAMBaseline
from explainers.baselines.rise import RISE

__all__ = ["CAM_METHODS", "CAPTUM_METHODS", "RISE", "CAMBaseline", "CaptumBaseline"]
