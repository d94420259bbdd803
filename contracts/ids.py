"""What an id may not be: the landing quarantines by this what the API refuses by it."""

from __future__ import annotations

from datetime import timedelta

#: Of an id in UTF-8.
MOST_BYTES = 128
#: What programs write where there is no id, in any case of letters.
PLACEHOLDERS = ("null", "none", "nan", "undefined")
#: Beside white space: an id of nothing else is blank.
BLANKS = "\u00a0\u200b\ufeff"
#: A clock may be so much ahead of ours.
CLOCK_SKEW = timedelta(minutes=5)

#: Control characters, and those that change the direction of a text or take no place in it; first and last of each range.
_CONTROLS = ((0x00, 0x1F), (0x7F, 0x7F), (0x200B, 0x200F), (0x202A, 0x202E), (0x2066, 0x2069))
#: The inside of a character class, as Python's and JSON Schema's expressions spell it, and as RE2's do.
CONTROLS = "".join(f"\\u{low:04x}-\\u{high:04x}" for low, high in _CONTROLS)
CONTROLS_RE2 = "".join(f"\\x{{{low:04x}}}-\\x{{{high:04x}}}" for low, high in _CONTROLS)
