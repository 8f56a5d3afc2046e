"""Write the files of a bundle in steps that can be continued."""
