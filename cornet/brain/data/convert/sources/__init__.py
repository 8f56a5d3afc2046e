"""Read the formats of published recordings, whose files are not trusted."""
