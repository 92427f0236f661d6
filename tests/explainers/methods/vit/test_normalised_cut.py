"""The cut of a graph of tokens against planted clusters and a slow solver of another kind."""

import numpy as np
import pytest
import torch

from explainers.methods.vit.normalised_cut import affinities, correlated, cut, seed_positive


def clusters(sizes, width=24, noise=0.1):
    """Tokens (1 n d) around orthogonal directions (their cosines stay below 0.2), and whose each is."""
    member = torch.cat([torch.full((size,), index) for index, size in enumerate(sizes)])
    member = member[torch.randperm(len(member))]
    tokens = torch.eye(width, dtype=torch.float64)[member] * 3
    return (tokens + noise * torch.randn_like(tokens))[None], member


def token_cut(tokens, tau, binary=True):
    """The same for one image (n d), pair by pair, by the eigenvectors of the matrix D^-1 (D - A)."""
    count = len(tokens)
    graph = np.full((count, count), 1e-5)
    for i in range(count):
        for j in range(count):
            lengths = np.linalg.norm(tokens[i]) * np.linalg.norm(tokens[j])
            cosine = tokens[i] @ tokens[j] / lengths
            if cosine > tau:
                graph[i, j] = 1.0 if binary else cosine
    degrees = np.diag(graph.sum(axis=1))
    values, vectors = np.linalg.eig(np.linalg.solve(degrees, degrees - graph))
    chosen = np.argsort(values.real)[1]
    vector = vectors[:, chosen].real
    vector = vector / np.sqrt(vector @ degrees @ vector)
    return vector * np.sign(vector[np.argmax(np.abs(vector))]), values[chosen].real


@pytest.mark.parametrize("binary", [True, False])
def test_planted_clusters_come_back(binary):
    tokens, member = clusters([40, 12])
    found = cut(affinities(tokens, 0.2, binary))
    assert not found.arbitrary.any()
    foreground = seed_positive(found.vectors)[0] > 0
    planted = member == 1  # the smaller has the larger entries
    assert (foreground & planted).sum() / (foreground | planted).sum() == 1


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("tau", [0.1, 0.25])
def test_equals_a_slow_solver_of_another_kind(tau, binary):
    tokens = torch.randn(3, 30, 8, dtype=torch.float64) + 0.3
    found = cut(affinities(tokens, tau, binary))
    vectors = seed_positive(found.vectors)
    for index in range(3):
        vector, value = token_cut(tokens[index].numpy(), tau, binary)
        np.testing.assert_allclose(vectors[index].numpy(), vector, rtol=0, atol=1e-9)
        assert found.values[index].item() == pytest.approx(value, abs=1e-10)


@pytest.mark.parametrize("binary", [True, False])
def test_vector_solves_the_generalised_problem(binary):
    tokens = torch.randn(4, 50, 10, dtype=torch.float64)
    graphs = affinities(tokens, 0.2, binary)
    vectors, values, _ = cut(graphs)
    degrees = graphs.sum(dim=2).diag_embed()
    left = (degrees - graphs) @ vectors[..., None]
    residual = left - values[:, None, None] * degrees @ vectors[..., None]
    assert residual.abs().amax() < 1e-8
    # v is D-normal and D-orthogonal to the constant vector, which belongs to lambda = 0.
    norms = (vectors[:, None] @ degrees @ vectors[..., None]).flatten()
    torch.testing.assert_close(norms, torch.ones_like(norms), rtol=0, atol=1e-10)
    assert (degrees @ vectors[..., None]).sum(dim=1).abs().amax() < 1e-8


def test_permuting_tokens_permutes_the_vector():
    tokens = torch.randn(2, 40, 6, dtype=torch.float64) + 0.2
    order = torch.randperm(40)
    before = seed_positive(cut(affinities(tokens, 0.2)).vectors)
    after = seed_positive(cut(affinities(tokens[:, order], 0.2)).vectors)
    torch.testing.assert_close(after, before[:, order], rtol=0, atol=1e-9)


def test_graph_is_of_directions_joined_faintly_where_not_alike():
    # cosines: 1 and 0.8 (alike at 0.5), 0.6 x 0 + 0.8 x 0 = 0 to the third axis (not)
    tokens = torch.tensor([[[2.0, 0, 0], [0.8, 0.6, 0], [0, 0, 5.0]]])
    binary, cosines = (affinities(tokens, 0.5, binary)[0] for binary in (True, False))
    expected = torch.tensor([[1, 1, 1e-5], [1, 1, 1e-5], [1e-5, 1e-5, 1]], dtype=torch.float64)
    torch.testing.assert_close(binary, expected, rtol=0, atol=0)
    expected[0, 1] = expected[1, 0] = 0.8
    torch.testing.assert_close(cosines, expected, rtol=0, atol=1e-7)


def test_sign_of_the_weights_makes_no_difference_to_the_graph():
    tokens, weights = torch.randn(1, 20, 6), torch.randn(6)
    assert torch.equal(affinities(tokens * weights, 0.2), affinities(-tokens * weights, 0.2))
    assert torch.equal(affinities(tokens * weights, 0.2), affinities(tokens * weights.abs(), 0.2))


@pytest.mark.parametrize(
    "tokens",
    [
        torch.ones(1, 9, 4),  # all alike
        torch.eye(9)[None],  # none alike
        torch.zeros(1, 9, 4),  # no directions at all
        torch.randn(1, 2, 4),  # two patches: nothing to compare the cut with
        torch.randn(1, 1, 4),
    ],
    ids=["complete", "empty", "zero", "two", "one"],
)
def test_graph_without_a_cut_of_its_own_is_arbitrary(tokens):
    both = cut(affinities(tokens, 0.2))
    assert both.arbitrary.all()
    assert both.vectors.shape == tokens.shape[:2]


def test_arbitrary_graphs_do_not_touch_their_batch_mates():
    tokens, _ = clusters([6, 3], width=9)
    both = cut(affinities(torch.cat([tokens, torch.ones_like(tokens)]), 0.2))
    assert both.arbitrary.tolist() == [False, True]
    alone = cut(affinities(tokens, 0.2))
    torch.testing.assert_close(both.vectors[:1], alone.vectors, rtol=0, atol=1e-12)


def test_sign_is_that_of_the_seed_or_of_the_correlation():
    vectors = torch.tensor([[0.1, 0.2, -0.9], [0.9, -0.2, -0.1], [0.5, -0.5, 0.0]])
    expected = torch.tensor([[-0.1, -0.2, 0.9], [0.9, -0.2, -0.1], [-0.5, 0.5, 0.0]])
    torch.testing.assert_close(seed_positive(vectors), expected)
    torch.testing.assert_close(seed_positive(-vectors), expected)
    # centred: (1, 0, -1): its products with the rows are 1.0, 1.0, 0.5 and the negatives of these
    scores = torch.tensor([[12.0, 11.0, 10.0]]).expand(3, -1)
    torch.testing.assert_close(correlated(vectors, scores), vectors)
    torch.testing.assert_close(correlated(-vectors, scores), vectors)
