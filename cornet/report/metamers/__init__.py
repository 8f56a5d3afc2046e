"""Page and tables of metamers."""
