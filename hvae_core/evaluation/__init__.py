"""How good a model is: ELBO, importance-weighted bound, KL and active units of each layer."""

from hvae_core.evaluation.bounds import Elbo, elbo, log_likelihood
from hvae_core.evaluation.evaluate import evaluate, evaluate_batches

__all__ = ["Elbo", "elbo", "evaluate", "evaluate_batches", "log_likelihood"]
