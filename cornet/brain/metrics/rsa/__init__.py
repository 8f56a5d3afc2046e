"""Representational similarity by current practice: crossnobis distances, comparisons, ceilings and inference."""
