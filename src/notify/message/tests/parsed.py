"""Reads each mail of a folder and says what is wrong with its structure."""

import email
import email.policy
import html.parser
import pathlib
import re
import sys

EXPECTED = [
    "from", "to", "subject", "date", "message-id", "in-reply-to", "references", "auto-submitted", "x-fuelgauge-alert",
    "x-fuelgauge-team", "x-fuelgauge-state", "x-fuelgauge-severity", "mime-version", "content-type",
]
BIDIRECTIONAL = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")
# What our templates use; anything else came from outside.
TAGS = set("html head meta title style body table tr td th h1 h2 p strong span a img pre wbr".split())


class Document(html.parser.HTMLParser):
    """What an HTML part is made of."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.tags, self.links, self.images, self.tables, self.problems = [], [], [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        attributes = dict(attributes)
        self.problems += [f"<{tag} {name}>" for name in attributes if name.startswith("on")]
        if tag == "a":
            self.links.append(attributes["href"])
        if tag == "img":
            self.images.append(attributes)
        if tag == "html" and attributes.get("lang") != "en":
            self.problems.append("the language is not named")
        if tag == "table":
            self.tables.append([attributes.get("role"), 0])
        if tag == "th":
            self.tables[-1][1] += 1
            if attributes.get("scope") not in ("col", "row"):
                self.problems.append("a header of a table without a scope")

    def handle_endtag(self, tag):
        if tag == "table":
            role, headers = self.tables.pop()
            if (role == "presentation") == (headers > 0):
                self.problems.append("a table is neither for the looks alone nor has it headers")


def check(raw):
    assert raw.isascii() and b"\0" not in raw, "not ASCII"
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", raw), "a line end that is not CRLF"
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998, "a line is too long"
    assert len(raw) <= 100_000, f"{len(raw)} bytes"
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    parts = list(mail.walk())
    assert not any(part.defects for part in parts), [part.defects for part in parts]
    assert [name.lower() for name in mail.keys()] == EXPECTED, mail.keys()
    assert len(mail.get_all("to")) == 1 and len(mail["to"].addresses) == 1, mail["to"]
    assert mail["to"].addresses[0].addr_spec == "lead@studio.example", mail["to"]
    assert mail["from"].addresses[0].addr_spec == "fuelgauge@studio.example", mail["from"]
    subject = str(mail["subject"])
    assert re.fullmatch(r"Credits of team .+ may run out( before .+)?|Team .+: .+", subject), subject
    for text in [subject, str(mail["to"]), str(mail["from"]), str(mail["x-fuelgauge-team"])]:
        assert not BIDIRECTIONAL & set(text) and text.isprintable(), text

    assert mail.get_content_type() == "multipart/alternative", mail.get_content_type()
    plain, rich = mail.iter_parts()
    assert plain.get_content_type() == "text/plain" and plain.get_content_charset() == "utf-8"
    text = plain.get_content()
    state = r"(For information|Warning|Critical|Now (for information|warning|critical)|Still (true|critical)|Resolved|Plan reset): "
    assert re.match(state, text), text[:80]
    images = []
    if rich.get_content_type() == "multipart/related":
        assert rich.get_param("type") == "text/html", rich["content-type"]
        rich, image = rich.iter_parts()
        assert image.get_content_type() == "image/png" and image.get_content_disposition() == "inline"
        png = image.get_content()
        assert png.startswith(b"\x89PNG\r\n\x1a\n") and png.endswith(b"IEND\xaeB`\x82"), png[:16]
        images.append("cid:" + re.fullmatch(r"<([!-;=?-~]+@[!-;=?-~]+)>", image["content-id"]).group(1))
    assert rich.get_content_type() == "text/html" and rich.get_content_charset() == "utf-8"
    document = Document()
    document.feed(rich.get_content())
    document.close()
    assert not document.problems and not document.tables, (document.problems, document.tables)
    assert set(document.tags) <= TAGS, set(document.tags) - TAGS
    assert [image["src"] for image in document.images] == images, document.images
    assert all(image["alt"] for image in document.images), "a picture without words"
    for link in document.links:
        assert re.fullmatch(r"https://fuelgauge\.studio\.example/[\w/?&=%.~-]+", link), link


def main():
    mails = sorted(pathlib.Path(sys.argv[1]).iterdir())
    failures = 0
    for mail in mails:
        try:
            check(mail.read_bytes())
        except Exception as problem:
            failures += 1
            print(f"{mail.name}: {problem!r}")
    if failures:
        sys.exit(1)
    print(f"{len(mails)} mails are well-formed")


main()
