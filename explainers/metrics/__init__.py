"""Metrics of explanations, as torchmetrics: one file a metric."""

from collections.abc import Callable
from functools import partial

from torchmetrics import Metric

from explainers.metrics.average_drop import AverageDrop
from explainers.metrics.average_gain import AverageGain
from explainers.metrics.average_increase import AverageIncrease
from explainers.metrics.box_accuracy import BoxIoU, MaxBoxAccuracy
from explainers.metrics.box_sensitivity import BoxSensitivity
from explainers.metrics.class_sensitivity import ClassSensitivity
from explainers.metrics.compactness import Compactness, CompactnessOfPositive
from explainers.metrics.deletion import Deletion
from explainers.metrics.energy_pointing import EnergyPointing
from explainers.metrics.fidelity import Fidelity
from explainers.metrics.grid_pointing import GridPointing
from explainers.metrics.insertion import Insertion
from explainers.metrics.judged import JudgedAccuracy, JudgedProbability
from explainers.metrics.max_sensitivity import MaxSensitivity
from explainers.metrics.pair_pointing import EnergyOnOther, RightObject
from explainers.metrics.pointing import Pointing
from explainers.metrics.randomisation import ModelRandomisation, ModelRandomisationRank
from explainers.metrics.road import (
    RoadLeRF,
    RoadLeRFProbability,
    RoadMoRF,
    RoadMoRFProbability,
)
from explainers.metrics.segmentation import MeanAveragePrecision, MeanIoU, PixelAccuracy
from explainers.metrics.similarity_curves import SimilarityDeletion, SimilarityInsertion
from explainers.metrics.similarity_kept import SimilarityKept

__all__ = [
    "CHOICES",
    "AverageDrop",
    "AverageGain",
    "AverageIncrease",
    "BoxIoU",
    "BoxSensitivity",
    "ClassSensitivity",
    "Compactness",
    "CompactnessOfPositive",
    "Deletion",
    "EnergyOnOther",
    "EnergyPointing",
    "Fidelity",
    "GridPointing",
    "Insertion",
    "JudgedAccuracy",
    "JudgedProbability",
    "MaxBoxAccuracy",
    "MaxSensitivity",
    "MeanAveragePrecision",
    "MeanIoU",
    "ModelRandomisation",
    "ModelRandomisationRank",
    "PixelAccuracy",
    "Pointing",
    "RightObject",
    "RoadLeRF",
    "RoadLeRFProbability",
    "RoadMoRF",
    "RoadMoRFProbability",
    "SimilarityDeletion",
    "SimilarityInsertion",
    "SimilarityKept",
]

CHOICES: dict[str, Callable[[], Metric]] = {
    "average_drop": AverageDrop,
    "average_drop_50": partial(AverageDrop, 50),
    "average_drop_15": partial(AverageDrop, 15),
    "average_increase": AverageIncrease,
    "average_increase_50": partial(AverageIncrease, 50),
    "average_increase_15": partial(AverageIncrease, 15),
    "average_gain": AverageGain,
    "average_gain_50": partial(AverageGain, 50),
    "average_gain_15": partial(AverageGain, 15),
    "insertion": Insertion,
    "deletion": Deletion,
    "road_morf": RoadMoRF,
    "road_lerf": RoadLeRF,
    "road_morf_probability": RoadMoRFProbability,
    "road_lerf_probability": RoadLeRFProbability,
    "road_morf_10": partial(RoadMoRF, (10,)),
    "road_morf_30": partial(RoadMoRF, (30,)),
    "road_morf_50": partial(RoadMoRF, (50,)),
    "road_morf_70": partial(RoadMoRF, (70,)),
    "road_lerf_10": partial(RoadLeRF, (10,)),
    "road_lerf_30": partial(RoadLeRF, (30,)),
    "road_lerf_50": partial(RoadLeRF, (50,)),
    "road_lerf_70": partial(RoadLeRF, (70,)),
    "fidelity": Fidelity,
    "box_sensitivity": BoxSensitivity,
    "box_sensitivity_16": partial(BoxSensitivity, 16),
    "box_sensitivity_64": partial(BoxSensitivity, 64),
    "evalx_accuracy_5": partial(JudgedAccuracy, 5),
    "evalx_accuracy_15": partial(JudgedAccuracy, 15),
    "evalx_accuracy_50": partial(JudgedAccuracy, 50),
    "evalx_probability_5": partial(JudgedProbability, 5),
    "evalx_probability_15": partial(JudgedProbability, 15),
    "evalx_probability_50": partial(JudgedProbability, 50),
    "compactness": Compactness,
    "compactness_of_positive": CompactnessOfPositive,
    "max_sensitivity": MaxSensitivity,
    "class_sensitivity_second": ClassSensitivity,
    "class_sensitivity_random": partial(ClassSensitivity, "random"),
    "class_sensitivity_least_likely": partial(ClassSensitivity, "least_likely"),
    "model_randomisation": ModelRandomisation,
    "model_randomisation_rank": ModelRandomisationRank,
    "energy_pointing": EnergyPointing,
    "grid_pointing": GridPointing,
    "energy_on_other": EnergyOnOther,
    "right_object": RightObject,
    "similarity_kept_50": SimilarityKept,
    "similarity_kept_15": partial(SimilarityKept, 15),
    "similarity_insertion": SimilarityInsertion,
    "similarity_deletion": SimilarityDeletion,
    "pointing": Pointing,
    "box_iou": BoxIoU,
    "max_box_accuracy": MaxBoxAccuracy,
    "pixel_accuracy": PixelAccuracy,
    "mean_iou": MeanIoU,
    "mean_average_precision": MeanAveragePrecision,
}
"""The metrics by the names that configs and results give them."""
