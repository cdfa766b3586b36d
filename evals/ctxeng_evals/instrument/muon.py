"""Muon (Jordan et al. 2024): momentum whose matrices are made near-orthogonal by five Newton-Schulz steps.

Torch's own works in bf16, which is a hundred times slower than fp32 on CPUs without bf16 units.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

_A, _B, _C = 3.4445, -4.7750, 2.0315  # the published quintic


class Muon(torch.optim.Optimizer):  # type: ignore[misc]  # torch is not followed by the type checker
    """For matrices only; everything else belongs to another optimiser."""

    def __init__(self, matrices: Iterable[Tensor], lr: float, momentum: float = 0.95) -> None:
        super().__init__(matrices, {"lr": lr, "momentum": momentum})

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def step(self, closure: Any = None) -> None:
        """One step for every matrix."""
        assert closure is None, "there is nothing to evaluate again"
        for group in self.param_groups:
            for matrix in group["params"]:
                state = self.state[matrix].setdefault("momentum", torch.zeros_like(matrix))
                state.lerp_(matrix.grad, 1 - group["momentum"])
                update = orthogonal(matrix.grad.lerp(state, group["momentum"]))
                tall = max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
                matrix.add_(update, alpha=-group["lr"] * tall)


def orthogonal(matrix: Tensor) -> Tensor:
    """The matrix with its singular values brought near one."""
    turned = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if turned else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        square = x @ x.T
        x = _A * x + (_B * square + _C * square @ square) @ x
    return x.T if turned else x
