"""Parts of methods that explain the similarity of two embeddings."""

from explainers.methods.similarity.similarity_explainer import SimilarityExplainer

__all__ = ["SimilarityExplainer"]
