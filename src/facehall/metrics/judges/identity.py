"""Is SR still the same person? Similarity of face embeddings, rank among all persons of the set, and verification.

Faces are aligned by the face mesh's points on HR, on SR too, so that a network is judged by what it draws. Pictures
without a face on HR are left out. Embeddings are never written anywhere; what is reported are scores.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from facehall.faces.recognition import Recogniser
from facehall.metrics.faces import mesh_of, require_mesh, shared_recogniser
from facehall.metrics.judges.base import Judge, register
from facehall.metrics.measures import Measure
from facehall.metrics.pairs import VerificationPairs

_NAMES = {
    "dlib": "dlib's ResNet v1",
    "facehall": "facehall's network",
    "faceres": "FaceRes",
    "mobileface": "MobileFace",
}


class RecognitionJudge(Judge):
    """Base of the judges that embed SR and HR.

    Args:
        network: ``dlib``, ``facehall``, ``faceres`` or ``mobileface``; what is used as a training loss is no judge.
        weights: folder of its files; None finds or downloads them.

    Raises:
        FacehallError: unknown network, or its weights or the face mesh are unavailable.
    """

    def __init__(self, network: str = "dlib", weights: str | Path | None = None) -> None:
        super().__init__()
        require_mesh()
        self.network = shared_recogniser(network, None if weights is None else str(weights))

    @property
    def recogniser(self) -> Recogniser:
        """The network."""
        return self.network.recogniser

    @property
    def definition(self) -> str:
        kind = self.recogniser.kind
        score = "cosine" if kind.score == "cosine" else "1 - distance"
        return f"{super().definition} ({_NAMES.get(self.recogniser.name, self.recogniser.name)}, {score})"

    def embed(self, sr: Tensor, hr: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the embeddings of SR and HR, (B, D) each, and whether HR has a face, (B,); without one they are 0."""
        meshes = [mesh_of(image) for image in hr]
        seen = torch.tensor([mesh.found for mesh in meshes], device=sr.device)
        found = sr.new_zeros(2, len(sr), self.recogniser.kind.size, dtype=torch.float32)
        if seen.any():
            five = torch.stack([torch.from_numpy(mesh.five) for mesh in meshes]).to(sr.device)
            for number, images in enumerate((sr, hr)):
                found[number, seen] = self.network(images[seen], five[seen])
        return found[0], found[1], seen


@register
class Identity(RecognitionJudge):
    """Similarity of the embeddings of SR and HR."""

    measure = Measure(
        *("identity", "identity", "higher", ".3f"),
        needs=("sr_whole", "hr_whole"),
        headline=False,
        description="similarity of SR's and HR's face embeddings",
    )
    statistics = 2

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Return (B, 2): the similarity and 1, or 0 and 0 without a face."""
        ours, theirs, seen = self.embed(sr, hr)
        return torch.stack((self.recogniser.similarity(ours, theirs).double() * seen, seen.double()), 1)

    def figure(self, mean: Tensor) -> Tensor:
        return mean[..., 0] / mean[..., 1]


@register
class RankOne(RecognitionJudge):
    """Share of SR pictures whose most similar HR picture of the set is their own, in %.

    Each picture counts as a person. As the probe is made from the very picture in the gallery, this is optimistic.
    """

    measure = Measure(
        *("rank1", "rank-1", "higher", ".1f", "%"),
        needs=("sr_whole", "hr_whole"),
        headline=False,
        description="SR pictures whose most similar HR picture of the set is their own",
    )
    pooled = True

    def __init__(self, network: str = "dlib", weights: str | Path | None = None) -> None:
        super().__init__(network, weights)
        self.statistics = 2 * self.recogniser.kind.size + 1

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Return (B, 2 D + 1): both embeddings, and whether there is a face."""
        ours, theirs, seen = self.embed(sr, hr)
        return torch.cat((ours, theirs, seen[:, None]), 1)

    def of_set(self, statistics: Tensor) -> Tensor:
        ours, theirs = _split(statistics[statistics[:, -1] > 0, :-1])
        if not len(ours):
            return statistics.new_tensor(torch.nan, dtype=torch.float64)
        scores = self.recogniser.similarities(ours, theirs)
        return 100 * (scores.diagonal() >= scores.amax(1)).double().mean()


@register
class Verification(RecognitionJudge):
    """Share of genuine pairs that are accepted, in %, at the threshold that one of 1,000 impostor pairs exceeds.

    The threshold is the network's, measured on 496,506 pairs of different persons at full resolution. Without a file
    of pairs, each SR picture is verified against its own HR picture. With one, each genuine pair is tried twice: SR of
    one picture against HR of the other.

    Args:
        pairs: CSV file with the columns same (1 or 0), a and b, the names of two pictures; None: see above.
        threshold: similarity from which a pair is accepted; None: the network's.
    """

    measure = Measure(
        *("verification", "verified", "higher", ".1f", "%"),
        needs=("sr_whole", "hr_whole", "name"),
        headline=False,
        description="genuine pairs of SR and HR accepted at a false accept rate of 0.1 %",
    )

    def __init__(
        self,
        network: str = "dlib",
        weights: str | Path | None = None,
        pairs: str | Path | None = None,
        threshold: float | None = None,
    ) -> None:
        super().__init__(network, weights)
        self.threshold = self.recogniser.kind.threshold if threshold is None else threshold
        self.pairs = None if pairs is None else VerificationPairs.read(Path(pairs))
        self.pooled = self.pairs is not None
        self.statistics = 2 if self.pairs is None else 2 * self.recogniser.kind.size + 2

    def forward(self, sr: Tensor, hr: Tensor, name: list[str]) -> Tensor:
        """Return (B, 2): whether accepted, and 1, or 0 and 0 without a face; with pairs, what `of_set` needs."""
        ours, theirs, seen = self.embed(sr, hr)
        if self.pairs is None:
            accepted = self.recogniser.similarity(ours, theirs) >= self.threshold
            return torch.stack((accepted.double() * seen, seen.double()), 1)
        numbers = torch.tensor([self.pairs.number(each) for each in name], device=sr.device)
        return torch.cat((ours, theirs, numbers[:, None], seen[:, None]), 1)

    def figure(self, mean: Tensor) -> Tensor:
        return super().figure(mean) if self.pooled else 100 * mean[..., 0] / mean[..., 1]

    def of_set(self, statistics: Tensor) -> Tensor:
        if self.pairs is None:
            return super().of_set(statistics)
        scores = self.pair_scores(statistics)[0]
        return 100 * (scores >= self.threshold).double().mean()

    def pair_scores(self, statistics: Tensor) -> tuple[Tensor, Tensor]:
        """Return the similarities of the genuine and the impostor pairs whose pictures are among the statistics."""
        assert self.pairs is not None
        rows = statistics[statistics[:, -1] > 0]
        ours, theirs = _split(rows[:, :-2])
        scores = self.recogniser.similarities(ours, theirs)
        place = {int(number): row for row, number in enumerate(rows[:, -2].tolist())}
        found: tuple[list[Tensor], list[Tensor]] = ([], [])
        for a, b, same in self.pairs.rows:
            if a in place and b in place:
                found[0 if same else 1].extend((scores[place[a], place[b]], scores[place[b], place[a]]))
        return torch.stack(found[0]) if found[0] else scores.new_zeros(0), (
            torch.stack(found[1]) if found[1] else scores.new_zeros(0)
        )


@register
class VerificationAUC(Verification):
    """Area under the ROC curve of the pairs: how often a genuine pair is more alike than an impostor pair, in %."""

    measure = Measure(
        *("verification_auc", "AUC", "higher", ".2f", "%"),
        needs=("sr_whole", "hr_whole", "name"),
        headline=False,
        description="how often a genuine pair of SR and HR is more alike than an impostor pair",
    )

    def __init__(self, pairs: str | Path, network: str = "dlib", weights: str | Path | None = None) -> None:
        super().__init__(network, weights, pairs)

    def of_set(self, statistics: Tensor) -> Tensor:
        genuine, impostor = self.pair_scores(statistics)
        differences = genuine[:, None] - impostor
        return 100 * ((differences > 0).double() + 0.5 * (differences == 0).double()).mean()


def _split(embeddings: Tensor) -> tuple[Tensor, Tensor]:
    ours, theirs = embeddings.chunk(2, dim=1)
    return ours, theirs
