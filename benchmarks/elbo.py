"""Images per second of the ELBO: hvae on each backend against plain PyTorch.

``python benchmarks/elbo.py [--size 128 | --preset NAME] [--batch 16]``. Of hvae, `model.elbo` is
called, with all that belongs to it: NumPy draws an image's noise from the seed and its number.
"""

from comparison import compare, parser

if __name__ == "__main__":
    compare("elbo", parser(__doc__.splitlines()[0], batch=16, steps=3, rounds=5))
