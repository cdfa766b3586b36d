"""Squeezed Attention's index (Hooper et al. 2024, section 4): keys of a fixed context in two levels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ctxeng.errors import BadInput
from ctxeng.storage.atomic import write_atomic
from ctxeng_kernels.pages import centroid_shares


@dataclass(frozen=True)
class Clusters:
    """One layer's: `labels` [Hkv, n] of the keys, `centroids` [Hkv, C, d] their means, `sizes` [Hkv, C].

    `coarse` [Hkv, c, d] are means of near centroids, `parents` [Hkv, C] says whose each centroid is.
    """

    labels: Tensor
    centroids: Tensor
    sizes: Tensor
    coarse: Tensor
    parents: Tensor

    @classmethod
    def of(cls, keys: Tensor, share: float, coarse: float, seed: int) -> Clusters:
        """Clusters of keys [Hkv, n, d]: `share` of their number, and `coarse` of it above them."""
        count = max(1, round(share * keys.shape[1]))
        labels = torch.stack([kmeans(head, count, seed) for head in keys])
        centroids, sizes = means(keys, labels, count)
        upper = max(1, round(coarse * keys.shape[1]))
        parents = torch.stack([kmeans(head, upper, seed) for head in centroids])
        return cls(labels, centroids, sizes, means(centroids, parents, upper)[0], parents)

    def scores(self, q: Tensor, *, reach: int) -> Tensor:
        """How much of the attention each cluster stands for [Hkv, C], the largest of its group's queries.

        exp(q . c) over the sum of N_j exp(q . c_j); clusters of the `reach` best parents only are looked at.
        """
        heads, width = len(self.centroids), self.centroids.shape[-1]
        grouped = q.reshape(heads, -1, width) / math.sqrt(width)
        upper = (grouped @ self.coarse.transpose(1, 2)).amax(1)
        near = upper.topk(min(reach, upper.shape[1]), -1).indices
        looked = (self.parents.unsqueeze(-1) == near.unsqueeze(1)).any(-1)
        return centroid_shares(grouped, self.centroids, self.sizes, looked)


def kmeans(points: Tensor, count: int, seed: int, rounds: int = 25) -> Tensor:
    """Labels [n] of points [n, d] by direction: k-means++ on unit vectors, until nothing moves."""
    unit = torch.nn.functional.normalize(points.float(), dim=-1)
    generator = torch.Generator().manual_seed(seed)
    centres = unit[torch.randint(len(unit), (1,), generator=generator)]
    far = (unit - centres).square().sum(-1)
    while len(centres) < min(count, len(unit)):
        odds = far + 1e-12
        centres = torch.cat((centres, unit[torch.multinomial(odds, 1, generator=generator)]))
        far = torch.minimum(far, (unit - centres[-1]).square().sum(-1))
    labels = (unit @ centres.T).argmax(-1)
    for _ in range(rounds):
        centres = torch.nn.functional.normalize(means(unit[None], labels[None], len(centres))[0][0], dim=-1)
        moved = (unit @ centres.T).argmax(-1)
        if torch.equal(moved, labels):
            break
        labels = moved
    return labels


def means(points: Tensor, labels: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Means [H, count, d] of points [H, n, d] by label, and how many there are of each [H, count]."""
    heads, _, width = points.shape
    sizes = torch.zeros(heads, count).scatter_add_(1, labels, torch.ones(labels.shape))
    sums = torch.zeros(heads, count, width).scatter_add_(
        1, labels.unsqueeze(-1).expand(-1, -1, width), points.float()
    )
    return sums / sizes.clamp(min=1).unsqueeze(-1), sizes


_FIELDS = ("labels", "centroids", "sizes", "coarse", "parents")


@dataclass(frozen=True)
class Index:
    """All layers' clusters and one threshold over all of them; `name` is the hash of the fixed context."""

    name: str
    layers: tuple[Clusters, ...]
    threshold: float

    def write(self, path: str | Path) -> None:
        """Keep it in a safetensors file."""
        arrays = {f"{n}.{f}": getattr(c, f).contiguous() for n, c in enumerate(self.layers) for f in _FIELDS}
        facts = {"name": self.name, "threshold": repr(self.threshold), "layers": str(len(self.layers))}
        write_atomic(Path(path), save(arrays, metadata=facts))

    @classmethod
    def read(cls, path: str | Path, name: str) -> Index:
        """The index of that very context. Raises BadInput for another's, and for a file that is none."""
        try:
            with safe_open(path, framework="pt") as file:
                facts = file.metadata() or {}
                if facts.get("name") != name:
                    raise BadInput(
                        f"{path}: the index of another context, or of another model; build it anew"
                    )
                count = int(facts["layers"])
                fields = [[file.get_tensor(f"{n}.{f}") for f in _FIELDS] for n in range(count)]
                layers = tuple(Clusters(*found) for found in fields)
                return cls(name, layers, float(facts["threshold"]))
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            raise BadInput(f"{path}: not an index ({error})") from None
