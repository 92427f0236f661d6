"""Pictures of `explainers explain`: their kind, style and caveats."""

import pytest

from explainers.cli import main


@pytest.fixture
def photo(folder):
    return folder / "a/0.png"


def explain(config, output, *images, more=()):
    arguments = ["explain", "--config", str(config), "--output", str(output)]
    return main([*arguments, "--image", *map(str, images), *more])


def test_kind_of_file_and_style_are_chosen(config, photo, tmp_path):
    more = ["--format", "svg", "--drawing", "contour", "--theme", "dark", "--beside"]
    assert explain(config, tmp_path / "out", photo, more=more) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0.npz", "0.svg"]


def test_output_with_the_suffix_of_a_figure_is_one_figure_of_all(config, photo, tmp_path, capsys):
    output = tmp_path / "new/figure.pdf"
    assert explain(config, output, photo, photo, more=["--target", "1", "2"]) == 0
    assert [path.name for path in output.parent.iterdir()] == ["figure.pdf"]
    assert str(output) in capsys.readouterr().out


@pytest.mark.parametrize(
    ("output", "more", "message"),
    [
        ("figure.pdf", ["--format", "pdf"], "is one figure; with --format, name a folder"),
        ("photos/a/0.png", [], "is an image to explain; name another file"),
        ("out", ["--opacity", "2"], "opacity must be in [0, 1], got 2.0"),
        ("map.jpeg", [], "map.jpeg is no kind of figure that is written; end it in .png, .pdf"),
    ],
)
def test_what_cannot_be_drawn_is_said(config, photo, tmp_path, capsys, output, more, message):
    assert explain(config, tmp_path / output, photo, more=more) == 2
    assert message in capsys.readouterr().err


def test_class_that_the_network_rules_out_is_told(config, photo, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("explainers.images.labelled_maps.RULED_OUT", 1.0)
    assert explain(config, tmp_path / "out", photo) == 0
    assert "the network rules this class out" in capsys.readouterr().out


def test_example_of_a_package_is_explained_by_its_name(config, tmp_path, capsys):
    pytest.importorskip("skimage")
    pytest.importorskip("foolbox")
    arguments = ["explain", "--config", str(config), "--output", str(tmp_path / "out")]
    assert main([*arguments, "--example", "coffee"]) == 0
    assert (tmp_path / "out/coffee.png").is_file()
    assert main([*arguments, "--example", "cofee"]) == 2
    assert "unknown photograph 'cofee'; did you mean coffee" in capsys.readouterr().err
