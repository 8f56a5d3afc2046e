"""Names of networks by family."""

from cornet import list_models

CORNETS = [name for name in list_models() if name.startswith("cornet_")]
OTHERS = [name for name in list_models() if name not in CORNETS]
