"""Classical super-resolution: learned from patches by dictionaries and trees, without backpropagation.

A method is learned by ``METHOD(settings).fit(pictures, scale)``, which returns a generator on luma for
`facehall.models.weights.save_generator`. Importing this package makes its weights files known to `load_generator`, and
the files of the methods' authors to `load_published`.
"""

from facehall.classical.anchored import ANR, AnchoredRegression, APlus
from facehall.classical.authors import read_a_plus, read_anr
from facehall.classical.forest import RFL, RegressionForest
from facehall.models.published import READERS

__all__ = ["ANR", "RFL", "APlus", "AnchoredRegression", "RegressionForest"]

READERS.update(a_plus=read_a_plus, anr=read_anr)
