"""Predict a training run: ``python -m meanfield.predict``, or ``from meanfield import predict``."""
