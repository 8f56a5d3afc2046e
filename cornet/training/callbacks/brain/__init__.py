"""Parts of the callback that scores a network on brain benchmarks."""
