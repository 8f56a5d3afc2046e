"""README.md of an exported network: a model card, with the header that the Hugging Face hub reads."""

from cornet.export.model_card.card import write_card

__all__ = ["write_card"]
