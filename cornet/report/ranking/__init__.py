"""The page of `cornet score ... --rank`."""
