"""The page of `cornet neuron`."""
