"""A page to try weights on: a scan in, what they say of it out. ``umzoo space`` makes one; it needs Gradio to run."""

from umzoo.downstream.app.page import make_app, serve
from umzoo.downstream.app.upload import Limits

__all__ = ["Limits", "make_app", "serve"]
