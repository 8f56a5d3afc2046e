"""The olfactory circuit of the fly, trained to name odours."""
