"""HMAX (Riesenhuber and Poggio 1999; Serre et al. 2007): a network of fixed filters, maxima and patches."""
