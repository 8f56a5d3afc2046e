"""The HCNN family: layers of filters, thresholds, pools and divisive normalisation (Yamins et al. 2014)."""
