"""How good a model is: data sets of annotated hands, metrics, curves, submissions."""

from __future__ import annotations

from .measuring import Evaluation, measure
from .metrics import align, auc, distances, joint_errors, mean_of_joints, pck, pck_curve
from .placing import place_in_camera
from .predicting import Predictions, predict
from .readers import FORMATS, read_dataset
from .samples import Dataset, Sample
from .writing import write_curves, write_submission

__all__ = [
    "FORMATS",
    "Dataset",
    "Evaluation",
    "Predictions",
    "Sample",
    "align",
    "auc",
    "distances",
    "joint_errors",
    "mean_of_joints",
    "measure",
    "pck",
    "pck_curve",
    "place_in_camera",
    "predict",
    "read_dataset",
    "write_curves",
    "write_submission",
]
