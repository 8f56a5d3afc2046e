"""Single neurons: how well every layer of a network predicts the responses of one neuroid, or of each."""
