"""Old module paths, which earlier configs, checkpoints and programs name, and where they are now."""

import importlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from types import ModuleType

MOVED = {
    "explainers.ablation": "explainers.methods.token_ablation",
    "explainers.activation_map": "explainers.methods.activation_map",
    "explainers.agreement": "explainers.images.agreement",
    "explainers.alarms": "explainers.training.mask_collapse",
    "explainers.allocator": "explainers.classifier.freed_memory",
    "explainers.ascent": "explainers.methods.cam.batched_adam",
    "explainers.attention": "explainers.heads.attention_head",
    "explainers.attention_map": "explainers.methods.attention_map",
    "explainers.baselines.cam": "explainers.baselines.pytorch_grad_cam",
    "explainers.bundle_reader": "explainers.training.bundle_files",
    "explainers.card": "explainers.bundle.card",
    "explainers.cdam": "explainers.methods.cdam",
    "explainers.channels": "explainers.methods.cam.channel_maps",
    "explainers.checkpoints": "explainers.callbacks.durable_checkpoints",
    "explainers.class_names": "explainers.classifier.class_names",
    "explainers.commands.choice": "explainers.commands.explainer_choice",
    "explainers.commands.references": "explainers.commands.reference_images",
    "explainers.compare": "explainers.evaluation.comparison",
    "explainers.compared_pictures": "explainers.report.panel",
    "explainers.comparisons": "explainers.commands.compare",
    "explainers.concept": "explainers.classifier.concept",
    "explainers.conditioned": "explainers.heads.conditioned_head",
    "explainers.configs": "explainers.bundle.from_config",
    "explainers.costs": "explainers.evaluation.costs",
    "explainers.curves": "explainers.evaluation.response_curves",
    "explainers.decoder": "explainers.heads.decoding_head",
    "explainers.described": "explainers.classifier.serialisation",
    "explainers.drawing": "explainers.images.drawing",
    "explainers.embeddings": "explainers.methods.similarity.similarity_explainer",
    "explainers.fam": "explainers.methods.fam",
    "explainers.feature_cache": "explainers.callbacks.feature_cache",
    "explainers.figures": "explainers.report.figures",
    "explainers.finetuning": "explainers.training.trained_weights",
    "explainers.folding": "explainers.classifier.batch_norm_folding",
    "explainers.hub": "explainers.bundle.hub",
    "explainers.interrupt": "explainers.callbacks.graceful_stop",
    "explainers.intervals": "explainers.evaluation.bootstrap",
    "explainers.keeping": "explainers.training.masking_objective",
    "explainers.lcam": "explainers.methods.lcam",
    "explainers.learned": "explainers.training.learned_explainer",
    "explainers.look": "explainers.images.drawing_style",
    "explainers.losses": "explainers.training.losses",
    "explainers.map_records": "explainers.callbacks.map_records",
    "explainers.masking": "explainers.images.pixel_removal",
    "explainers.masking_network": "explainers.training.masking_network",
    "explainers.matches": "explainers.evaluation.retrieval",
    "explainers.metrics.base": "explainers.metrics.image_mean",
    "explainers.metrics.keeping": "explainers.metrics.perturbations",
    "explainers.metrics.similarity": "explainers.metrics.map_similarity",
    "explainers.normalised_cut": "explainers.methods.vit.normalised_cut",
    "explainers.one_graph": "explainers.export.graph",
    "explainers.opticam": "explainers.methods.opticam",
    "explainers.pictures": "explainers.callbacks.panel_logger",
    "explainers.pooling": "explainers.methods.similarity.pooling",
    "explainers.predicted_maps": "explainers.callbacks.map_writer",
    "explainers.processes": "explainers.training.distributed",
    "explainers.ptame": "explainers.methods.ptame",
    "explainers.ptame_plus": "explainers.methods.ptame_plus",
    "explainers.rcut": "explainers.methods.rcut",
    "explainers.refinement": "explainers.methods.cam.mask_refinement",
    "explainers.relevance": "explainers.methods.relevance_propagation",
    "explainers.report_figures": "explainers.report.comparison_figures",
    "explainers.row_styles": "explainers.report.row_styles",
    "explainers.schedule": "explainers.training.one_cycle",
    "explainers.scored": "explainers.evaluation.scored",
    "explainers.scores": "explainers.evaluation.records",
    "explainers.scoring": "explainers.evaluation.scoreboard",
    "explainers.selectors": "explainers.methods.cam.target_scores",
    "explainers.self_attention": "explainers.methods.vit.self_attention",
    "explainers.sizes": "explainers.classifier.input_size",
    "explainers.stages": "explainers.classifier.features",
    "explainers.standing": "explainers.report.summary",
    "explainers.sweep": "explainers.evaluation.responses",
    "explainers.tame": "explainers.methods.tame",
    "explainers.tokens": "explainers.methods.vit.transformer",
    "explainers.trained": "explainers.training.trained",
    "explainers.training_clock": "explainers.callbacks.training_clock",
    "explainers.trivial": "explainers.evaluation.uninformative",
    "explainers.weights": "explainers.classifier.weight_files",
}
"""By old path. Those whose name is a package's now (`explainers.classifier`) are answered by it."""


class MovedModules(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports the module at the new path where the old one is asked for."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """A spec for an old path; None for any other."""
        return importlib.machinery.ModuleSpec(name, self) if name in MOVED else None

    def exec_module(self, module: ModuleType) -> None:
        """Stand the module at the new path in the old one's place: its classes are the same."""
        sys.modules[module.__name__] = importlib.import_module(MOVED[module.__name__])


def install() -> None:
    """Let old paths be imported; once is enough."""
    if not any(isinstance(finder, MovedModules) for finder in sys.meta_path):
        sys.meta_path.append(MovedModules())
