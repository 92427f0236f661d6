"""Styles of rows: no two methods alike, and baselines in grey."""

from explainers.report.row_styles import GREY, row_key, row_styles


def test_two_dozen_methods_all_differ():
    names = [f"method_{index}" for index in range(24)]
    found = row_styles(names, [])
    assert len({(style.colour, style.dash) for style in found.values()}) == 24
    assert not any(style.uninformative for style in found.values())


def test_baselines_are_thin_grey_and_dashed_wherever_they_stand():
    found = row_styles(["ones", "a", "random"], {"ones", "random"})
    assert list(found) == ["ones", "a", "random"]
    assert [found[name].colour == GREY for name in found] == [True, False, True]
    assert (found["ones"].dash, found["random"].dash, found["a"].dash) == ((1, 2), (2, 3), ())
    assert found["ones"].width < found["a"].width


def test_key_of_a_row_is_its_place():
    assert row_key("b", ["a", "b"]) == "row-1"
