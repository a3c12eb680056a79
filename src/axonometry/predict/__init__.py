"""Prediction of final accuracy: features, estimators, baselines, evaluation."""
