"""Images per second of sampling: hvae on each backend against plain PyTorch.

``python benchmarks/sample.py [--size 128 | --preset NAME] [--batch 16]``. Of hvae, `model.sample`
is called, with all that belongs to it: NumPy draws an image's noise from the seed and its number.
"""

from comparison import compare, parser

if __name__ == "__main__":
    compare("sample", parser(__doc__.splitlines()[0], batch=16, steps=3, rounds=5))
