"""Accuracy against brain scores: does one cost the other?"""
