"""Images per second of a training step: hvae on each backend against plain PyTorch.

``python benchmarks/train_step.py [--size 128 | --preset NAME] [--batch 16]``
"""

from comparison import compare, parser

if __name__ == "__main__":
    compare("train", parser(__doc__.splitlines()[0], batch=16, steps=2, rounds=5))
