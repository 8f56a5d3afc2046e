"""Recurrent models of the primate ventral stream, trained and compared with brains."""
