"""Write reports of runs: tables, plots and HTML pages."""
