"""Assess: how good are these features, for this data, and which backbone to take."""
