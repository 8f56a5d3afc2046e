"""The checks of `cornet doctor`. They import no PyTorch, so that they work where it is missing or broken."""
