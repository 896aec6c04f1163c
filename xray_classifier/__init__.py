"""Pneumonia on chest radiographs of children: a CNN, its training and its page."""

__version__ = "0.7.0"
