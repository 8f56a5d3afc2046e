"""Read the files of bundles, which are not trusted."""
