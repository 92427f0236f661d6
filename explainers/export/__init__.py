"""Export of learned explainers to files that run without this library, proved against torch."""

from explainers.export.exported import Exported
from explainers.export.onnx_file import export_onnx
from explainers.export.torch_file import export_torch

__all__ = ["Exported", "export_onnx", "export_torch"]
