"""The typed config of a comparison, and the parser that reads it from YAML and command line."""

import ast
import re
from argparse import ArgumentParser as PlainParser
from argparse import Namespace as PlainNamespace
from dataclasses import dataclass, fields
from typing import Any, Literal, NoReturn, NotRequired, TypedDict

from jsonargparse import ActionConfigFile, ArgumentParser, Namespace  # type: ignore[attr-defined]

from explainers.errors import InputError, did_you_mean, shown
from explainers.from_config import read_yaml
from explainers.shipped import config_path


class ClassDescription(TypedDict):
    """A class and the arguments to build it with.

    Args:
        class_path: dotted name of the class.
        init_args: its arguments by name; those that are objects themselves are described likewise.
    """

    class_path: str
    # As Any alone, the parser would complete descriptions among them by their defaults.
    init_args: NotRequired[dict[str, dict[str, Any] | Any] | None]


class TrainedSeeds(TypedDict):
    """Several trainings of one method, which make one row.

    Args:
        seeds: bundles, folders or hub names.
    """

    seeds: list[str]


@dataclass(frozen=True)
class ComparisonConfig:
    """Config of a comparison: keys of the YAML file, each of them an option too.

    Args:
        classifier: the model to explain: a name, or the arguments of FrozenClassifier.
        data: class_path and init_args of a datamodule, whose test split is explained.
        methods: class_path and init_args of explainers, by the name of their row; without the
            classifier, which is the above. Or seeds: bundles of several trainings, as one row.
        metrics: names of the metrics.
        chunk_size: images in the classifier at once.
        panel_images: images drawn in panel.png.
        references: nearest compares each image with the nearest other one by the classifier's
            embedding.
        map_normalisation: of the maps that metrics see: minmax stretches each to [0, 1], answered
            takes the method's own maps.
        fills: take each metric that removes pixels under each of these; black, mean, blur, noise.
        baseline: name of the row that differences of all others are paired with.
        judge: folder of the masked-input surrogate that metrics of EVAL-X ask; `explainers judge`
            trains one.
        limit: images that are explained at most, spread evenly over the test split.

    Raises:
        InputError: a number is out of range.
    """

    classifier: str | dict[str, Any]
    data: ClassDescription
    methods: dict[str, ClassDescription | TrainedSeeds]
    metrics: list[str]
    chunk_size: int = 64
    panel_images: int = 6
    references: Literal["nearest"] | None = None
    map_normalisation: Literal["minmax", "answered"] = "minmax"
    fills: list[Literal["black", "mean", "blur", "noise"]] | None = None
    baseline: str | None = None
    judge: str | None = None
    limit: int | None = None

    def __post_init__(self) -> None:
        for key, rule in RULES.items():
            value = getattr(self, key)
            least = {"chunk_size": 1, "panel_images": 0, "limit": 1}.get(key)
            # The parser lets null through where a type does not have it.
            missing = value is None and key not in OPTIONAL
            counted = least is not None and value is not None
            if missing or (counted and not least <= value <= MOST_IMAGES):
                raise InputError(f"{key} must be {rule}, got {shown(value)}")


MOST_IMAGES = 10**6  # at once, or in a picture

OPTIONAL = ("references", "fills", "baseline", "judge", "limit")
"""Keys that may be null."""

KEYS = [field.name for field in fields(ComparisonConfig)]

RULES = {
    "classifier": "a model's name, or the arguments of FrozenClassifier by name",
    "data": "a class_path and, optionally, init_args",
    "methods": "a class_path and, optionally, init_args, or seeds, by the name of each method",
    "metrics": "a list of names, as [average_drop, insertion]",
    "chunk_size": f"a whole number of at least 1, up to {MOST_IMAGES}",
    "panel_images": f"a whole number of at least 0, up to {MOST_IMAGES}",
    "references": "nearest, or left out",
    "map_normalisation": "minmax or answered",
    "fills": "a list of black, mean, blur and noise, or left out",
    "baseline": "the name of a row, or left out",
    "judge": "a folder that explainers judge wrote, or left out",
    "limit": f"a whole number of at least 1, up to {MOST_IMAGES}, or left out",
}
"""The values that each key can have, in words."""


class ConfigFile(ActionConfigFile):
    """Option of a YAML file, whose unknown keys are refused with the nearest known one."""

    def __call__(  # noqa: D102  argparse's own
        self,
        parser: PlainParser,
        namespace: PlainNamespace,
        values: Any,  # noqa: ANN401
        option_string: str | None = None,
    ) -> None:
        path = config_path(values)
        for key in read_yaml(path):
            if key not in KEYS:
                raise InputError(f"unknown key {key!r} in {path}; {did_you_mean(str(key), KEYS)}")
        super().__call__(parser, namespace, str(path), option_string)
        if namespace.data:
            namespace.data = ReplaceableDescription(namespace.data)


class ReplaceableDescription(dict[str, Any]):
    """A class description that `--data '{…}'` can replace: jsonargparse reads `init_args` of it."""

    __slots__ = ()  # it copies what has a __dict__ by that

    @property
    def init_args(self) -> Any:  # noqa: ANN401  plain values by name
        """The arguments of the class."""
        return self["init_args"]


class ComparisonParser(ArgumentParser):
    """Parser of the options of a comparison; errors name value, rule and way out."""

    def add_config(self) -> None:
        """Add `--config FILE` and an option for each key of `ComparisonConfig`."""
        self.add_argument(
            "--config",
            action=ConfigFile,
            metavar="FILE",
            help="YAML file of the keys below; options after it replace its values",
        )
        self.add_class_arguments(ComparisonConfig)

    def dump(self, cfg: Namespace, *args: Any, **options: Any) -> str:  # noqa: ANN401
        """YAML of the keys of the config, for `--print_config`."""
        kept = Namespace(**{key: cfg[key] for key in KEYS if key in cfg})
        kept.data = kept.data and dict(kept.data)
        text: str = super().dump(kept, *args, **options)
        return text

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise InputError."""
        raise InputError(self._in_words(message))

    def _in_words(self, message: str) -> str:
        if found := re.match(r'Parser key "(\w+)":\s+(.*)', message, re.DOTALL):
            key, reason = found.groups()
            value = re.search(r"(?:Got|Given) value: (.*)", reason, re.DOTALL)
            if key in RULES and value:
                # Of several forms that a value may have, what is wrong with it as the first.
                wrong = re.search(r"(?:Missing|Unexpected)[^\n]*?(?=\. Got|\n)", reason)
                more = f" ({wrong[0][0].lower()}{wrong[0][1:]})" if wrong else ""
                return f"{key} must be {RULES[key]}, got {shown(_value(value[1]))}{more}"
        if found := re.match(r"the following arguments are required: (.*)", message):
            missing = found[1].split(", ")
            options = " ".join(f"--{name}" for name in missing)
            where = " or add it to the --config file" if set(missing) <= set(KEYS) else ""
            return f"missing {', '.join(map(repr, missing))}; give {options}{where}"
        if found := re.match(r"unrecognized arguments: (--[^\s=]+)", message):
            known = [option for option in self._option_string_actions if option.startswith("--")]
            return f"unknown option {found[1]}; {did_you_mean(found[1], known)}"
        return f"{' '.join(message.split())}; see {self.prog} --help"


def config_of(arguments: PlainNamespace | Namespace) -> ComparisonConfig:
    """The config in parsed arguments; InputError if a number is out of range."""
    return ComparisonConfig(**{key: getattr(arguments, key) for key in KEYS})


def _value(text: str) -> object:
    """The value whose representation jsonargparse printed; strings come without quotes."""
    try:
        value: object = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError):
        return text.strip()
    return value
