"""Images per second of the ELBO and of sampling: hvae on each backend against plain PyTorch.

Of hvae, `model.elbo` and `model.sample` are called, with all that belongs to them: NumPy draws an
image's noise from the seed and the image's number.
"""

from comparison import compare, parser

if __name__ == "__main__":
    parse = parser(__doc__.splitlines()[0], batch=16, steps=3, rounds=5)
    parse.add_argument("--tasks", nargs="+", choices=["elbo", "sample"], default=["elbo", "sample"])
    arguments = parse.parse_args()
    for task in arguments.tasks:
        print(f"## {task}\n")
        compare(task, arguments)
        print()
