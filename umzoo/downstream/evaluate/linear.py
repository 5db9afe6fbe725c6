"""Linear models with an L2 penalty; many models over the same rows are fitted in one optimization."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Loss = Callable[[NDArray[Any]], tuple[NDArray[Any], NDArray[Any]]]
"""Outputs ``(n, B, k)`` of B models -> loss of each row ``(n, B)``, and its gradient ``(n, B, k)``."""
FREE = 1e-4
"""Penalty on the intercept, which keeps it finite if all targets are equal."""
FAR = -1e9
"""Logit of a class without training rows."""


def fit_linear(
    kind: str, rows: NDArray[Any], targets: NDArray[Any], used: NDArray[Any], penalties: NDArray[Any]
) -> NDArray[Any]:
    """Fit B models to the same *rows*; return their coefficients ``(r + 1, B, k)``, the intercept last.

    Classification is multinomial logistic regression, multilabel is logistic regression per label, and survival is
    Cox's proportional hazards model (JRSS B 1972) with Breslow's treatment of ties. One L-BFGS optimizes the scaled
    coefficients of all models, so each step is one matrix product, and inner folds and penalties are cheap.

    Args:
        kind: classification, multilabel or survival.
        rows: features ``(n, r)`` with orthogonal columns and a mean squared norm of 1.
        targets: one-hot classes ``(n, k)``, 0 or 1 per label ``(n, k)``, or time and event ``(n, 2)``.
        used: training rows of each model, 0 or 1, ``(n, B)``.
        penalties: L2 penalty of each model, relative to its mean loss, ``(B,)``.
    """
    from scipy.optimize import minimize

    loss = _LOSSES[kind](targets, used)
    design = np.concatenate([rows, np.ones((len(rows), 1))], axis=1)
    penalty = np.concatenate([np.tile(penalties, (rows.shape[1], 1)), np.full((1, len(penalties)), FREE)])[..., None]
    scale = 1 / np.sqrt(0.25 * (design**2).mean(axis=0)[:, None, None] + penalty)
    share = used / used.sum(axis=0)
    shape = (design.shape[1], len(penalties), 1 if kind == "survival" else targets.shape[1])

    def objective(flat: NDArray[Any]) -> tuple[float, NDArray[Any]]:
        coefficients = flat.reshape(shape) * scale
        values, slopes = loss((design @ coefficients.reshape(shape[0], -1)).reshape(len(rows), *shape[1:]))
        slopes = (design.T @ (slopes * share[..., None]).reshape(len(rows), -1)).reshape(shape)
        value = (values * share).sum() + 0.5 * (penalty * coefficients**2).sum()
        return float(value), ((slopes + penalty * coefficients) * scale).ravel()

    found = minimize(
        objective, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 200, "gtol": 3e-5}
    )
    return np.asarray(found.x.reshape(shape) * scale)


def answers(kind: str, coefficients: NDArray[Any], rows: NDArray[Any], known: NDArray[Any]) -> NDArray[Any]:
    """Return probabilities or risks ``(m, B, k)`` of *rows* ``(m, r)``; *known* ``(B, k)`` marks trained classes."""
    linear = np.tensordot(rows, coefficients[:-1], axes=1) + coefficients[-1]
    if kind == "survival":
        return np.asarray(linear)
    return _softmax(np.where(known, linear, FAR)) if kind == "classification" else _sigmoid(linear)


def known_classes(targets: NDArray[Any], used: NDArray[Any]) -> NDArray[Any]:
    """Return which classes or labels occur in the rows *used* ``(n, B)``: ``(B, k)``."""
    return np.asarray(used.T @ targets > 0)


def _multinomial(targets: NDArray[Any], used: NDArray[Any]) -> Loss:
    known = known_classes(targets, used)

    def loss(linear: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        shares = _softmax(np.where(known, linear, FAR))
        likelihood = (shares * targets[:, None]).sum(axis=-1)
        return -np.log(likelihood.clip(1e-300)), shares - targets[:, None]

    return loss


def _binary(targets: NDArray[Any], used: NDArray[Any]) -> Loss:
    def loss(linear: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        values = np.logaddexp(0, linear) - targets[:, None] * linear
        return values.sum(axis=-1), _sigmoid(linear) - targets[:, None]

    return loss


def _hazards(targets: NDArray[Any], used: NDArray[Any]) -> Loss:
    """Negative log partial likelihood; the risk set of an event holds all subjects with the same or a later time."""
    order = np.argsort(-targets[:, 0], kind="stable")
    ranks = np.searchsorted(-targets[order, 0], -targets[order, 0], side="left")
    ends = np.searchsorted(-targets[order, 0], -targets[order, 0], side="right") - 1
    event, back = (targets[order, 1] > 0)[:, None], np.argsort(order)

    def loss(linear: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        risk = linear[order, :, 0]
        top = risk.max(axis=0)
        hazards = np.exp(risk - top) * used[order]
        at_risk = np.cumsum(hazards, axis=0)[ends]
        counted = event & (used[order] > 0)
        values = np.where(counted, top + np.log(at_risk.clip(1e-300)) - risk, 0.0)
        inverse = np.concatenate([np.zeros((1, risk.shape[1])), np.cumsum(counted / at_risk.clip(1e-300), axis=0)])
        slopes = hazards * (inverse[-1] - inverse[ranks]) - counted
        return values[back], slopes[back][..., None]

    return loss


def _softmax(linear: NDArray[Any]) -> NDArray[Any]:
    powers = np.exp(linear - linear.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def _sigmoid(linear: NDArray[Any]) -> NDArray[Any]:
    from scipy.special import expit

    return np.asarray(expit(linear))


_LOSSES = {"classification": _multinomial, "multilabel": _binary, "survival": _hazards}
