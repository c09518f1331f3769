"""``python -m hvae``, which is ``hvae``."""

from hvae_core.cli.main import main

if __name__ == "__main__":
    main()
