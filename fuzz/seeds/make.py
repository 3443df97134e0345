#!/usr/bin/env python3
"""Writes the seeds that are not text: RTP, WAV, SMPP. Run once; what it writes is committed.

Without a seed a fuzzer does not get past a magic number or a length field.
"""

import pathlib
import struct

here = pathlib.Path(__file__).parent


def seed(target, name, data):
    folder = here / target
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(data)


def wav(tag, rate, bits, payload, more=b""):
    head = struct.pack("<HHIIHH", tag, 1, rate, rate * bits // 8, bits // 8, bits) + more
    chunks = b"fmt " + struct.pack("<I", len(head)) + head
    chunks += b"LIST" + struct.pack("<I", 4) + b"INFO"
    chunks += b"data" + struct.pack("<I", len(payload)) + payload
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


tone = bytes(range(256))
seed("wav_prompt", "alaw8", wav(6, 8000, 8, tone, b"\0\0"))
seed("wav_prompt", "mulaw8", wav(7, 8000, 8, tone, b"\0\0"))
seed("wav_prompt", "pcm8", wav(1, 8000, 16, tone))
seed("wav_prompt", "pcm16", wav(1, 16000, 16, tone))
guid = struct.pack("<HHI", 22, 16, 4) + bytes.fromhex("0100000000001000800000aa00389b71")
seed("wav_prompt", "extensible", wav(0xFFFE, 8000, 16, tone, guid))


def rtp(sequence, timestamp, ssrc=0x1234, pt=8, payload=b"\xd5" * 40):
    return struct.pack(">BBHII", 0x80, pt, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc) + payload


def event(step, packet):
    return struct.pack(">HB", step, len(packet)) + packet


def stream(packets):
    return b"".join(event(step, packet) for step, packet in packets)


seed("rtp_timeline", "steady", stream((5, rtp(i, 40 * i)) for i in range(60)))
order = [0, 2, 1, 3, 3, 5, 4, 9, 8, 7, 6, 10, 40, 41, 42]
seed("rtp_timeline", "reordered", stream((5, rtp(i, 40 * i)) for i in order))
seed("rtp_timeline", "wraps", stream((5, rtp(0xFFF0 + i, 0xFFFFFF00 + 40 * i)) for i in range(40)))
seed("rtp_timeline", "restarts", stream((5, rtp(i, 40 * i, ssrc=1 + i // 30)) for i in range(90)))
seed("rtp_timeline", "quiet", stream((1500, rtp(i, 12000 * i, pt=13 if i % 2 else 8)) for i in range(20)))


def keys(reports):
    packets = b""
    for timestamp, marker, payload in reports:
        packets += struct.pack(">IB", timestamp & 0xFFFFFFFF, len(payload) | (0x80 if marker else 0)) + payload
    return packets


def press(timestamp, code, reports=((0, 0), (0, 160), (0, 320), (0x80, 480), (0x80, 480), (0x80, 480))):
    return [(timestamp, at == 0, struct.pack(">BBH", code, end | 10, length)) for at, (end, length) in enumerate(reports)]


seed("telephone_event", "number", keys(sum((press(1600 * at, code) for at, code in enumerate((0, 9, 10, 15))), [])))
long = press(0, 5, ((0, 160), (0, 0xFFFF))) + [(0xFFFF, False, struct.pack(">BBH", 5, 0x8A, 800))]
seed("telephone_event", "held", keys(long))
seed("telephone_event", "packed", keys([(0xFFFFFF00, True, bytes.fromhex("018a0100020a0100"))]))


def pdu(command, sequence, body=b"", status=0):
    return struct.pack(">IIII", 16 + len(body), command, status, sequence) + body


def deliver(text, esm=0, coding=0, source=b"+33612345678", tlvs=b""):
    body = b"\0" + b"\1\1" + source + b"\0" + b"\0\1" + b"36123\0"
    body += bytes([esm, 0, 0]) + b"\0\0" + bytes([1, 0, coding, 0, len(text)]) + text
    return body + tlvs


bind = b"voxea\0secret\0\0" + bytes([0x34, 0, 0]) + b"\0"
receipt = b"id:42 sub:001 dlvrd:001 submit date:2611241200 done date:2611241201 stat:DELIVRD err:000 text:Bonjour"
texts = {
    "plain": deliver(b"Bonjour, le lampadaire est en panne"),
    "ucs2": deliver("Très sombre 😀".encode("utf-16-be"), coding=8),
    "latin1": deliver("reçu".encode("latin-1"), coding=3),
    "part": deliver(b"\x05\x00\x03\x07\x02\x01premier", esm=0x40),
    "part16": deliver(b"\x06\x08\x04\x00\x07\x02\x02second", esm=0x40),
    "turkish": deliver(b"\x03\x24\x01\x01kre\x1bs, 5 \x1be", esm=0x40),
    "urdu": deliver(b"\x08\x00\x03\x07\x02\x01\x25\x01\x0d\x3d\x4d\x00\x4e", esm=0x40),
    "receipt": deliver(receipt, esm=4, tlvs=struct.pack(">HH3s", 0x1E, 3, b"42\0") + struct.pack(">HHB", 0x427, 1, 2)),
    "sar": deliver(b"un", tlvs=struct.pack(">HHHHHBHHB", 0x20C, 2, 9, 0x20E, 1, 2, 0x20F, 1, 1)),
    "payload": deliver(b"", tlvs=struct.pack(">HH", 0x424, 300) + b"x" * 300),
}
for name, body in texts.items():
    seed("smpp_content", name, pdu(5, 7, body))
    seed("smpp_frame", name, pdu(5, 7, body))
talk = pdu(9, 1, bind) + pdu(0x80000009, 1, b"smsc\0") + pdu(0x15, 2) + pdu(0x80000015, 2) + pdu(5, 3, texts["plain"])
talk += pdu(0x80000004, 4, b"42\0") + pdu(0x80000000, 5, status=3) + pdu(6, 6) + pdu(0x80000006, 6) + pdu(0x77, 8, b"?")
seed("smpp_frame", "talk", talk)


def receipt_seed(which, name, text):
    return bytes([which, len(name)]) + name + text


seed("smpp_receipt", "text", receipt_seed(0, b"42", receipt))
seed("smpp_receipt", "parameters", receipt_seed(0x27, b"0A1F", b""))
seed("smpp_receipt", "both", receipt_seed(0x57, b"x-1", b"id:9,stat:DELIVRD;err:000\r\ntext:id:7"))
seed("smpp_receipt", "ucs2", receipt_seed(8, b"12345678", "Id: 7 Stat: EXPIRED".encode("utf-16-be")))
seed("smpp_receipt", "blank", b"\xff\xff\n")
for name, body in {
    "narrow": b"\x05\x00\x03\x07\x02\x01un", "wide": b"\x06\x08\x04\x00\x07\x02\x02deux", "turkish": b"\x03\x24\x01\x01kre\x1bs",
    "several": b"\x0b\x25\x01\x03\x00\x03\x07\x02\x01\x24\x01\x03oi", "over": b"\x20abc", "empty": b"\x00abc",
}.items():
    seed("smpp_udh", name, bytes([0, 9, 3, 2]) + body)
    seed("smpp_udh", name + "16", bytes([9, 9, 3, 2]) + body)
for name, text in {
    "gsm": "Déjà noté, à 5 € [près]", "ucs2": "Reçu, à bientôt 😀", "typography": "« L’été… » – l\u00a0œuf", "long": "Voilà {5 €} " * 40,
    "emoji": "👍🏽" * 60, "turned": "ça " * 60,
}.items():
    for policy in (0, 2, 6):
        seed("sms_prepare", f"{name}{policy}", bytes([policy, 9]) + text.encode())

# Deeds of the sip_dialog target: which, by whom (4 and more over TCP), how.
INVITE, ACK, CANCEL, BYE, REINVITE, REACK, UPDATE, ANSWER, TIME, ACCEPT, REJECT, HANGUP = 0, 2, 3, 4, 5, 6, 7, 10, 11, 13, 14, 15
for name, deeds in {
    "call": [(INVITE, 0, 0), (ACCEPT, 0, 0), (ACK, 0, 1), (REINVITE, 0, 0), (REACK, 0, 1), (UPDATE, 0, 0), (BYE, 0, 0), (TIME, 0, 4)],
    "cancel": [(INVITE, 1, 0), (TIME, 0, 1), (CANCEL, 1, 0), (TIME, 0, 4)],
    "hangup": [(INVITE, 2, 1), (ACCEPT, 0, 0), (HANGUP, 0, 0), (ACK, 2, 0), (ANSWER, 0, 1), (TIME, 0, 4)],
    "session": [(INVITE, 5, 0), (ACCEPT, 0, 0), (ACK, 5, 1), (TIME, 0, 6), (ANSWER, 0, 5), (TIME, 0, 6), (ANSWER, 0, 1)],
    "unconfirmed": [(INVITE, 3, 0), (ACCEPT, 0, 0), (TIME, 0, 4), (TIME, 0, 4), (REJECT, 0, 0)],
}.items():
    seed("sip_dialog", name, bytes(octet for deed in deeds for octet in deed))


def block(about, echo, kept):
    return struct.pack(">IIIIII", about, 0x0A000002, 77, 16, echo, kept)


def report(kind, sender, info, *blocks):
    body = struct.pack(">I", sender) + info + b"".join(blocks)
    return struct.pack(">BBH", 0x80 | len(blocks), kind, len(body) // 4) + body


name = struct.pack(">BBHIBB", 0x81, 202, 3, 9, 1, 4) + b"name" + b"\0\0"
sender = report(200, 9, struct.pack(">QIII", 5 << 32, 1, 2, 3), block(7, 1 << 16, 655)) + name
receiver = report(201, 9, b"", block(7, 1 << 16, 655), block(8, 0, 0)) + name
bye = report(201, 9, b"") + name + struct.pack(">BBHI", 0x81, 203, 1, 9)
seed("rtcp", "three", b"".join(bytes([len(one)]) + one for one in (sender, receiver, bye)))
extended = struct.pack(">BBHI", 0x80, 207, 4, 9) + struct.pack(">BBHQ", 4, 0, 2, 7)
farewell = struct.pack(">BBHI", 0x81, 203, 2, 9) + b"\x03bye"
padded = struct.pack(">BBHI", 0xA0, 203, 1, 0) + struct.pack(">I", 4)
others = [receiver + struct.pack(">BBHI", 0x80, 204, 2, 9) + b"name", report(201, 9, b"", *[block(at, at, at) for at in range(8)]) + extended]
others += [report(200, 9, struct.pack(">QIII", 1, 2, 3, 4)) + name + farewell, report(201, 9, b"") + padded]
seed("rtcp", "others", b"".join(bytes([len(one)]) + one for one in others))


def deed(which, how, octets=None):
    return struct.pack(">BH", which, how) + (b"" if octets is None else bytes([len(octets)]) + octets)


FOREIGN, FOREIGN_REPORT, SPEAK, REPORT, COMES, CHANGED, KEY = 0, 1, 2, 4, 5, 6, 7
sound = rtp(65535, 160)
talk = b"".join(deed(SPEAK, 0, b"\xd5" * 20) + deed(COMES, 0) + deed(COMES, 0) for _ in range(20))
reports = b"".join(deed(REPORT, 0, name) + deed(CHANGED, bit) + deed(COMES, 0) for bit in (0, 70, 200, 300))
seed("srtp", "talk", talk + reports)
seed("srtp", "turn", b"".join(deed(SPEAK, 40 + at, b"\xd5" * 4) + deed(CHANGED, 97 * at) for at in range(40)))
seed("srtp", "keys", b"".join(deed(KEY, at) + deed(SPEAK, 0, b"a") + deed(COMES, 0) + deed(COMES, at) + reports for at in (1, 2, 0, 3, 0, 1)))
seed("srtp", "late", b"".join(deed(SPEAK, 0, bytes([at])) for at in range(150)) + b"".join(deed(COMES, at) for at in (0, 5, 140, 127, 5, 60)))
extended = struct.pack(">HHI", 0xBEDE, 1, 0) + b"\xd5" * 8
seed("srtp", "foreign", deed(FOREIGN, 0, sound) + deed(FOREIGN_REPORT, 0, sender) + deed(SPEAK, 0x1000, extended) + deed(COMES, 0))
