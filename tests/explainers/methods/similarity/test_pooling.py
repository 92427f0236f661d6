import pytest
import torch

from explainers.methods.similarity.pooling import POOLS, over_positions, per_channel


@pytest.mark.parametrize("name", POOLS)
def test_located_maps_have_the_pooled_features_as_means(name):
    maps = torch.rand(2, 3, 4, 5, dtype=torch.float64)
    pool = POOLS[name]
    located = pool.located(maps)
    assert located.shape == maps.shape
    expected = pool.pooled(maps)
    if name == "flatten":
        expected = per_channel(expected, maps)
    torch.testing.assert_close(located.mean(dim=(2, 3)), expected, rtol=0, atol=1e-12)


def test_known_values():
    maps = torch.tensor([[[[1.0, 3.0]]]], dtype=torch.float64)
    assert POOLS["mean"].pooled(maps).item() == 2
    assert POOLS["max"].pooled(maps).item() == 3
    # The cube root of (1 + 27) / 2.
    assert POOLS["gem"].pooled(maps).item() == pytest.approx(14 ** (1 / 3), rel=1e-12)
    assert POOLS["flatten"].pooled(maps).tolist() == [[1, 3]]


def test_maximum_taken_twice_is_shared():
    maps = torch.tensor([[[[2.0, 2.0, 1.0]]]])
    assert POOLS["max"].located(maps).tolist() == [[[[3, 3, 0]]]]


def test_values_of_kept_positions_go_back_to_them():
    maps = torch.arange(12.0).view(1, 2, 2, 3)
    assert torch.equal(over_positions(maps.flatten(1), maps), maps)
    assert over_positions(torch.rand(1, 2), maps).shape == (1, 2, 1, 1)
