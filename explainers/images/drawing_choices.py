"""Choices of how maps are drawn, by name; nothing is imported to list them."""

COLOUR_MAPS = {"inferno": "RdBu_r", "magma": "PRGn", "viridis": "PuOr_r", "cividis": "BrBG"}
"""Perceptually uniform colour maps, each with its diverging counterpart for signed scores;
people of any colour vision tell both ends of all of them apart."""

COLOUR_MAP = "inferno"

OPACITY = 0.85

SIGNS = ("signed", "positive", "negative", "absolute")
"""Signed scores as they are, or one part of them."""

DRAWINGS = ("overlay", "contour", "mask", "map")
"""Colours over the greyscale image, lines over the image, what the map keeps, the map alone."""

THEMES = {
    "light": {"page": "#ffffff", "text": "#1d2026", "soft": "#5c6370", "warning": "#9a4a00"},
    "dark": {"page": "#16181c", "text": "#e6e7ea", "soft": "#a2a8b3", "warning": "#f0a860"},
}
"""Colours of the page and of its words."""

FORMATS = ("png", "pdf", "svg", "jpg")
"""Kinds of files that figures are written as."""
