"""The auditory network of Kell et al. 2018, with a branch for each task."""
