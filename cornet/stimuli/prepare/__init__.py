"""`cornet prepare`: write a reduced copy of a photograph data set, or shards of it, for faster training."""

from cornet.stimuli.prepare.copying import prepare_copy, verify_copy
from cornet.stimuli.prepare.sharding import verify_shards, write_shards

__all__ = ["prepare_copy", "verify_copy", "verify_shards", "write_shards"]
