"""Learned explainers as files that run without this library, each proved against torch."""

from explainers.export.onnx_file import export_onnx
from explainers.export.proof import Exported
from explainers.export.torch_file import export_torch

__all__ = ["Exported", "export_onnx", "export_torch"]
