import pytest
import torch
import torch.nn.functional as F

from explainers.images.enlargement import smooth


def enlarged(grid, size, mode):
    return F.interpolate(grid[None], size, mode=mode, align_corners=False)[0]


@pytest.mark.parametrize("cells", [7, 14])
@pytest.mark.parametrize("size", [(224, 224), (427, 640)])
def test_bilinear_enlargement_becomes_a_bicubic_one(cells, size):
    grid = torch.rand(1, cells, cells)
    seen = enlarged(grid, (224, 224), "bilinear")  # by the method, then to the file's own size
    values = F.interpolate(seen[None], size, mode="bilinear", antialias=True)[0]
    expected = enlarged(grid, size, "bicubic").clamp(values.amin(), values.amax())
    torch.testing.assert_close(smooth(values), expected, rtol=0, atol=0.03)
    assert (smooth(values) - values).abs().max() > 0.03  # there was something to smooth


def test_values_that_no_grid_explains_stay_as_they_are():
    for values in (torch.rand(1, 224, 224), torch.rand(1, 40, 60), torch.rand(1, 3, 5)):
        assert torch.equal(smooth(values), values)


def test_constant_stays_constant():
    assert torch.equal(smooth(torch.full((1, 64, 64), 0.5)), torch.full((1, 64, 64), 0.5))
