"""Super-resolution from transformed self-exemplars (Huang, Singh and Ahuja 2015)."""

from facehall.classical.self_exemplar.method import SelfExSR

__all__ = ["SelfExSR"]
