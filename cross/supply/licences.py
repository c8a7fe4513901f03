"""The licences of a program's parts as a text that may be shipped with it."""
import re

NAMED = re.compile(r"(licen[sc]e|copying|copyright|notice|unlicense)", re.IGNORECASE)
# Largest licence file in bytes; real ones are smaller. Source files may have such names, too.
LONGEST = 128 * 1024
SOURCE = {".rs", ".c", ".h", ".py", ".html"}


def listing(title, parts):
    """A line per part, then each text once, with the parts that ship it."""
    texts, numbers = {}, {part.ref: [] for part in parts}
    for part in parts:
        for text in shipped(part):
            number, _, owners = texts.setdefault(same(text), (len(texts) + 1, text, []))
            owners.append(part.ref)
            numbers[part.ref].append(number)
    lines = [title, "", "Name and version, licence, numbers of its texts below; none where it ships none, and its authors.", ""]
    for part in parts:
        found = ", ".join(map(str, numbers[part.ref])) or "; ".join(["none", *part.authors, *filter(None, [part.repository])])
        lines.append(f"{part.ref:<36} {part.licence}  [{found}]")
    for number, text, owners in texts.values():
        lines += ["", "=" * 80, f"[{number}] {', '.join(owners)}", "=" * 80, "", text.strip()]
    return "\n".join(lines) + "\n"


def shipped(part):
    """The licence texts a part comes with, each once."""
    texts = {}
    for place in part.texts:
        for file in [place] if place.is_file() else sorted(filter(is_licence, place.rglob("*"))):
            text = file.read_text(encoding="utf-8", errors="replace").replace("\r\n", "\n")
            texts.setdefault(same(text), text)
    return list(texts.values())


def is_licence(file):
    return NAMED.match(file.name) and file.suffix not in SOURCE and file.is_file() and file.stat().st_size <= LONGEST


def same(text):
    """Equal for texts that differ in their line breaks only."""
    return " ".join(text.split())
