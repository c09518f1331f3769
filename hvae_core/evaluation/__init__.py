"""How good a model is: ELBO, importance-weighted bound, KL and active units of each layer."""

from hvae_core.evaluation.elbo import Elbo, elbo
from hvae_core.evaluation.evaluate import evaluate, evaluate_batches
from hvae_core.evaluation.importance import log_likelihood

__all__ = ["Elbo", "elbo", "evaluate", "evaluate_batches", "log_likelihood"]
