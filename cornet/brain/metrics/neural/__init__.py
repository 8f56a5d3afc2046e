"""Metrics of neural benchmarks, one a file. Every file of this folder is imported when a metric is looked up."""
