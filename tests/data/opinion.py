#!/usr/bin/env python3
"""What Python's email package makes of mails: one JSON object a line for each file of a folder, in the order of names.

It is the second opinion of tests/tests/mail_opinion.rs, and nobody here wrote the package.
"""

import email
import email.policy
import hashlib
import html.parser
import json
import pathlib
import sys


class Words(html.parser.HTMLParser):
    """The words that a page shows."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.words, self.hidden = [], 0

    def handle_starttag(self, tag, attrs):
        self.hidden += tag in ("script", "style", "title")

    def handle_endtag(self, tag):
        self.hidden -= tag in ("script", "style", "title") and self.hidden > 0

    def handle_data(self, data):
        if not self.hidden:
            self.words += data.split()


def bytes_of(part):
    if part.get_content_maintype() == "message":
        # A message is not decoded but parsed; its own bytes are what was between the boundaries.
        inner = part.get_payload()
        return inner[0].as_bytes(policy=email.policy.compat32.clone(linesep="\r\n")) if inner and not isinstance(inner, str) else b""
    return part.get_payload(decode=True) or b""


def leaves(part):
    if part.get_content_maintype() == "message" and part.is_multipart():
        yield part
    elif part.is_multipart():
        for inner in part.iter_parts():
            yield from leaves(inner)
    else:
        yield part


def opinion(raw):
    said = {"sha256": hashlib.sha256(raw).hexdigest()}
    message = email.message_from_bytes(raw, policy=email.policy.default)

    def attempt(name, work):
        try:
            said[name] = work()
        except Exception as error:  # what the package cannot read is an opinion too
            said[name] = {"error": type(error).__name__}

    attempt("subject", lambda: str(message["subject"]) if message["subject"] is not None else None)
    attempt("sender", lambda: message["from"].addresses[0].addr_spec if message["from"] and message["from"].addresses else None)
    body = None
    try:
        body = message.get_body(preferencelist=("plain", "html"))
    except Exception:
        pass

    def text():
        if body is None:
            return None
        content = body.get_content()
        if body.get_content_type() == "text/html":
            words = Words()
            words.feed(content)
            return {"words": words.words}
        return content

    attempt("text", text)

    def attachments():
        texts = {id(part) for part in [message.get_body(preferencelist=("plain",)), message.get_body(preferencelist=("html",))]}
        files = []
        for part in leaves(message):
            if id(part) in texts:
                continue
            content = bytes_of(part)
            files.append({"name": part.get_filename(), "sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "type": part.get_content_type()})
        return files

    attempt("attachments", attachments)
    return said


for file in sorted(pathlib.Path(sys.argv[1]).glob("*.eml")):
    print(json.dumps(opinion(file.read_bytes()), ensure_ascii=True))
