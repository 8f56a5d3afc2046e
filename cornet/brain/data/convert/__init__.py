"""Convert published recordings to bundles: one file per data set, and the common writer (`cornet convert`)."""
