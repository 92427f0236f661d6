"""Train, validate or test an explainer: `python train.py fit --config configs/demo.yaml`.

It is `explainers train` from a checkout.
"""

import sys

from explainers.cli import exit_on_interrupt, with_short_help

if __name__ == "__main__":
    sys.argv[1:] = with_short_help("train", sys.argv[1:], "python train.py")

with exit_on_interrupt():  # during the imports, which take seconds
    from explainers.classifier.freed_memory import keep_freed_memory
    from explainers.commands.train import main

if __name__ == "__main__":
    keep_freed_memory()
    main()
