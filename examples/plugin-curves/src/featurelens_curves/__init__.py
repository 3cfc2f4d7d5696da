"""Time series in CSV files as one more modality of featurelens."""
