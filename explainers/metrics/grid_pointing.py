"""Grid pointing game: how much of a map lies on the cell of its class in a mosaic of images."""

from explainers.metrics.energy_pointing import EnergyPointing


class GridPointing(EnergyPointing):
    """Mean share of a map's positive energy in the cell of its class in a mosaic, in percent.

    100 mean(sum of positive scores in the cell / sum of positive scores); higher is better. The
    chance level is the share of the mosaic that a cell covers, 25 for 2 x 2: that is what maps of
    ones score, and over all cells of a mosaic every map that does not depend on the class. `mask`
    is the cell (`datamodules.GridsDataModule`). GridPG of Rao, Boehle and Schiele, "Towards Better
    Understanding Attribution Methods", CVPR 2022 (https://arxiv.org/abs/2205.10435).
    """
