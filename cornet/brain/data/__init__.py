"""Read, check and fetch neural and behavioural data: bundles, assemblies, trials."""
