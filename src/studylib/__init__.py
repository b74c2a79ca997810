"""A reproducible study of recurrent networks for next-page and next-item recommendation."""

__version__ = "1.1.0"
