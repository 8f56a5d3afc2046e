"""`cornet prepare`: a smaller copy of a data set of photographs, or shards of it, for faster training."""

from cornet.prepare.copying import prepare_copy, verify_copy

__all__ = ["prepare_copy", "verify_copy"]
