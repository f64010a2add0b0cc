"""Sentences for a moment, at the foot of the screen: they take the place of the keys, and cover nothing."""

from __future__ import annotations

from typing import ClassVar, Literal

from rich.text import Text
from textual.widget import Widget
from textual.widgets import Static

Severity = Literal["information", "warning", "error"]

MARKS: dict[Severity, str] = {"information": "", "warning": "▲ ", "error": "✖ "}

MOST = 3
"""Sentences that stand there at a time."""


class NoticeBar(Static):
    """What was said in the last seconds, the last sentence below; it has no height while there is nothing. Its parent
    has the class -saying meanwhile: what stands there else makes room."""

    DEFAULT_CLASSES: ClassVar[str] = "-quiet"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self.said: list[Text] = []

    def say(self, text: str, title: str = "", severity: Severity = "information", seconds: float = 5.0) -> None:
        """Show a sentence for some seconds. The same one again is shown once."""
        sentence = Text.assemble((f"{MARKS[severity]}{title}: " if title else MARKS[severity], "bold"), text)
        self.said = [*(each for each in self.said if each != sentence), sentence][-MOST:]
        self.show()
        self.set_timer(seconds, lambda: self.forget(sentence))

    def forget(self, sentence: Text) -> None:
        # By identity: it may have been said again meanwhile.
        self.said = [each for each in self.said if each is not sentence]
        self.show()

    def show(self) -> None:
        self.update(Text("\n").join(self.said))
        self.set_class(not self.said, "-quiet")
        if isinstance(self.parent, Widget):
            self.parent.set_class(bool(self.said), "-saying")
