"""A report of the lab (one file of HTML) in a browser."""
import os

from .browser import Browser
from .devicepage import Page


class ReportPage(Page):
    """A report that was written to a file; every case is unfolded."""

    def __init__(self, stack, folder, path):  # pylint: disable=super-init-not-called
        Browser.__init__(self, stack, folder)
        self.open(f"file://{os.path.abspath(path)}")
        self.wait("cases", "return document.querySelectorAll('details').length > 0")

    def unfold(self, number):
        """Unfolds one case, and folds all others."""
        self.script("document.querySelectorAll('details').forEach((details, i) => { details.open = i === arguments[0]; })", number)

    def missing(self):
        """A report has no languages."""
        return []
