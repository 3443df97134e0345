"""A mail server (aiosmtpd) that reads what it takes with Python's own `email` package and says what it found, a line of JSON
each. What it does with a mail stands in the recipient's address: its local part begins with

  later-   451 4.7.1 at RCPT          full-    452 4.2.2 at RCPT
  dead-    550 5.1.1 at RCPT          policy-  550 5.7.1 after the data
  hang-    the data is never answered cut-     250, and the connection is closed at once

With the argument `ascii` it does not offer SMTPUTF8. Ends when nobody holds it any more.
"""

import asyncio
import base64
import json
import sys
from email import message_from_bytes, message_from_string, policy

from aiosmtpd.smtp import SMTP

AT_RCPT = {
    "later": "451 4.7.1 too many mails, come back later",
    "full": "452 4.2.2 the mailbox is full",
    "dead": "550 5.1.1 no such user here",
}


def say(what):
    print(json.dumps(what), flush=True)


def kind(address):
    return address.split("@")[0].split("-")[0]


def read(data):
    if data.isascii():
        mail = message_from_bytes(data, policy=policy.default)
    else:
        # RFC 6532: such a header is UTF-8, which this parser knows of strings alone.
        mail = message_from_string(data.decode("utf-8"), policy=policy.SMTPUTF8)
    body = mail.get_body(("plain",))
    html = mail.get_body(("html",))
    files = [
        {
            "name": part.get_filename(),
            "type": part.get_content_type(),
            "base64": base64.b64encode(part.get_payload(decode=True) or b"").decode(),
        }
        for part in mail.iter_attachments()
    ]
    defects = [str(defect) for part in mail.walk() for defect in part.defects]
    defects += [str(defect) for value in mail.values() for defect in getattr(value, "defects", ())]
    return {
        "fields": [[name, str(value)] for name, value in mail.items()],
        "from": [[one.display_name, one.addr_spec] for one in mail["From"].addresses],
        "to": [one.addr_spec for one in mail["To"].addresses],
        "text": body.get_content() if body else None,
        "html": html.get_content() if html else None,
        "files": files,
        "defects": defects,
        # A line with a Message-ID cannot be folded.
        "longest": max(len(line) for line in data.split(b"\r\n") if b"@" not in line),
        "hard": max(len(line) for line in data.split(b"\r\n")),
        "bare": data.replace(b"\r\n", b"").count(b"\n") + data.replace(b"\r\n", b"").count(b"\r"),
        "base64": base64.b64encode(data).decode(),
    }


class Sink:
    async def handle_RCPT(self, server, session, envelope, address, options):
        refusal = AT_RCPT.get(kind(address))
        say({"event": "recipient", "to": address, "refusal": refusal, "mail_options": envelope.mail_options})
        if refusal:
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server, session, envelope):
        to = envelope.rcpt_tos[0]
        say({"event": "mail", "mail_from": envelope.mail_from, "rcpt": envelope.rcpt_tos, **read(envelope.original_content)})
        if kind(to) == "hang":
            await asyncio.sleep(3600)
        if kind(to) == "policy":
            return "550 5.7.1 refused by policy, whoever it is for"
        if kind(to) == "cut":
            server.transport.write(b"250 2.0.0 kept\r\n")
            server.transport.close()
        return "250 2.0.0 kept"


async def main():
    offers = "ascii" not in sys.argv[1:]
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Sink(), enable_SMTPUTF8=offers, decode_data=False), "127.0.0.1", 0)
    say({"event": "listening", "port": server.sockets[0].getsockname()[1]})
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main())
