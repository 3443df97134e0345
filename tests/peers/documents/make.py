#!/usr/bin/env python3
"""Documents as fax gateways and copiers write them, and documents that no reader should survive.

    make.py FOLDER REFERENCE      pages that show a reference, and some that show none
    make.py FOLDER --bombs        what is made to bring a reader down

Codes are drawn by segno and python-barcode, pages packed by Pillow (libtiff, libjpeg, zlib).
"""

import io
import random
import struct
import sys
import zlib
from pathlib import Path

MEBI = 1 << 20


def text(draw, box, seed):
    """Lines that look like writing, so that a page is not empty around its code."""
    dice = random.Random(seed)
    left, top, right, bottom = box
    for y in range(top, bottom, 26):
        x = left
        while x < right - 60:
            word = dice.randint(14, 70)
            for stroke in range(x, x + word, 5):
                draw.line((stroke, y, stroke + dice.randint(-2, 2), y + 12), fill=0, width=2)
            x += word + 12


def page(code, size=(1240, 1754), at=(860, 120), seed=1):
    """A grey A4 page at 150 dpi with a code in its corner."""
    from PIL import Image, ImageDraw

    sheet = Image.new("L", size, 255)
    text(ImageDraw.Draw(sheet), (100, 520, size[0] - 100, size[1] - 120), seed)
    if code is not None:
        sheet.paste(code, at)
    return sheet


def square(content, scale=8):
    from PIL import Image
    import segno

    stream = io.BytesIO()
    segno.make(content, error="m", micro=False).save(stream, kind="png", scale=scale, border=4)
    return Image.open(stream).convert("L")


def bars(content):
    import barcode
    from barcode.writer import ImageWriter
    from PIL import Image

    stream = io.BytesIO()
    options = {"write_text": False, "module_width": 0.4, "module_height": 12, "dpi": 150, "quiet_zone": 6}
    barcode.get("code128", content, writer=ImageWriter()).write(stream, options=options)
    stream.seek(0)
    return Image.open(stream).convert("L")


def worn(sheet, seed):
    """Turned a little, with dust: what a feeder makes of a page."""
    dice = random.Random(seed)
    sheet = sheet.rotate(2.5, expand=False, fillcolor=255)
    for _ in range(4000):
        x, y = dice.randrange(sheet.width), dice.randrange(sheet.height)
        sheet.putpixel((x, y), dice.choice((0, 90, 200, 255)))
    return sheet


def documents(folder, reference):
    from PIL import Image

    code = square(reference)
    plain = page(None, seed=2)
    letter = page(code)
    letter.save(folder / "page.png", dpi=(150, 150))
    letter.convert("RGB").save(folder / "colour.pdf", "PDF", resolution=150, quality=70)
    worn(page(square(f"https://demarches.example.fr/suivi?ref={reference}", 6)), 3).save(folder / "worn.jpg", quality=60)
    page(bars(reference), at=(120, 150)).save(folder / "bars.png")
    page(code, seed=4).rotate(180).save(folder / "upside-down.png")
    page(code, seed=4).rotate(90, expand=True).save(folder / "sideways.png")
    # A fax in fine resolution, and one in standard resolution: half as many rows (ITU-T T.4).
    fine = page(square(reference, 10), size=(1728, 2200), at=(1200, 120), seed=5)
    bilevel = fine.convert("1")
    coarse = fine.resize((1728, 1100), Image.Resampling.BOX).convert("1", dither=Image.Dither.NONE)
    bilevel.save(folder / "g4.tif", compression="group4", dpi=(204, 196))
    bilevel.save(folder / "g3.tif", compression="group3", dpi=(204, 196))
    bilevel.save(folder / "g3-2d.tif", compression="group3", dpi=(204, 196), tiffinfo={292: 1})
    bilevel.save(folder / "huffman.tif", compression="tiff_ccitt", dpi=(204, 196))
    coarse.save(folder / "coarse.tif", compression="group3", dpi=(204, 98))
    bilevel.save(folder / "g4.pdf", "PDF", resolution=204)
    letter.save(folder / "lzw.tif", compression="tiff_lzw", dpi=(150, 150))
    plain.convert("1").save(
        folder / "second-page.tif", compression="group4", save_all=True, append_images=[letter.convert("1")], dpi=(150, 150)
    )
    letter.convert("P", palette=Image.Palette.ADAPTIVE, colors=16).save(folder / "palette.png")
    letter.convert("P", palette=Image.Palette.ADAPTIVE, colors=16).save(folder / "palette.pdf", "PDF", resolution=150)
    # What shows none: no code, somebody else's code, a reference with a wrong digit.
    plain.convert("RGB").save(folder / "plain.pdf", "PDF", resolution=150)
    page(square("https://www.laposte.fr/outils/suivre?code=1A2B3C"), seed=6).save(folder / "foreign.png")
    wrong = reference[:-1] + str((int(reference[-1]) + 1) % 10)
    page(square(wrong), seed=7).save(folder / "wrong-digit.png")
    (folder / "letter.docx").write_bytes(b"PK\x03\x04 this is no scan")
    whole = (folder / "colour.pdf").read_bytes()
    (folder / "half.pdf").write_bytes(whole[: len(whole) // 2])


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def zeros(count):
    packer, out = zlib.compressobj(1), []
    block = bytes(MEBI)
    for _ in range(count // MEBI):
        out.append(packer.compress(block))
    return b"".join(out) + packer.flush()


def pdf(objects):
    """A PDF of these objects, numbered from 1; the first is the catalogue."""
    out, places = [b"%PDF-1.5\n"], []
    for number, body in enumerate(objects, 1):
        places.append(sum(map(len, out)))
        out.append(b"%d 0 obj\n%s\nendobj\n" % (number, body))
    start = sum(map(len, out))
    out.append(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    out.extend(b"%010d 00000 n \n" % place for place in places)
    out.append(b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start))
    return b"".join(out)


def stream(entries, data):
    return b"<< %s /Length %d >>\nstream\n%s\nendstream" % (entries, len(data), data)


def paged(resources, *more):
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /XObject << %s >> >> >>" % resources
    return pdf([b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>", page, *more])


def bombs(folder):
    gibi = zeros(1024 * MEBI)
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    (folder / "huge.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", gibi) + chunk(b"IEND", b""))
    # Within the bounds by its header, and a gigabyte behind it.
    header = struct.pack(">IIBBBBB", 6_000, 6_000, 8, 0, 0, 0, 0)
    (folder / "endless.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", gibi) + chunk(b"IEND", b""))
    header = struct.pack(">IIBBBBB", 6_000, 6_000, 8, 0, 0, 0, 1)
    profile = b"x\0\0" + gibi
    (folder / "profile.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"iCCP", profile) + chunk(b"zTXt", profile) + chunk(b"IEND", b"")
    )
    image = b"/Type /XObject /Subtype /Image /Width 5000 /Height 5000 /ColorSpace /DeviceGray /BitsPerComponent 8"
    (folder / "zlib.pdf").write_bytes(paged(b"/A 4 0 R", stream(image + b" /Filter /FlateDecode", gibi)))
    twice = zlib.compress(gibi, 1)
    (folder / "zlib-twice.pdf").write_bytes(
        paged(b"/A 4 0 R", stream(image + b" /Filter [/FlateDecode /FlateDecode]", twice))
    )
    form = b"/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /A 4 0 R /B 5 0 R >> >>"
    (folder / "forms.pdf").write_bytes(paged(b"/A 4 0 R /B 5 0 R", stream(form, b""), stream(form, b"")))
    deep = 2_000_000
    (folder / "nested.pdf").write_bytes(paged(b"/A 4 0 R", b"[" * deep + b"]" * deep))
    (folder / "nested-dict.pdf").write_bytes(paged(b"/A 4 0 R", b"<</A" * (deep // 2) + b" 1" + b">>" * (deep // 2)))
    kids = b"<< /Type /Pages /Kids [2 0 R 3 0 R 2 0 R] /Count 9 /Parent 3 0 R >>"
    (folder / "pages.pdf").write_bytes(
        pdf([b"<< /Type /Catalog /Pages 2 0 R >>", kids, b"<< /Type /Pages /Kids [2 0 R 3 0 R] /Count 9 >>"])
    )
    (folder / "length.pdf").write_bytes(
        paged(b"/A 4 0 R", b"<< /Subtype /Image /Width 9999 /Height 9999 /Length 4 0 R /Filter 4 0 R >>\nstream\nx\nendstream")
    )
    (folder / "objects.pdf").write_bytes(b"%PDF-1.5\n" + b"1 0 obj\n<< /Length 9 >>\nstream\nx\n" * 300_000 + b"%%EOF")
    objects = stream(b"/Type /ObjStm /N 100000000 /First 10 /Filter /FlateDecode", gibi)
    (folder / "object-stream.pdf").write_bytes(paged(b"/A 4 0 R", objects))
    many = b" ".join(b"/I%d 4 0 R" % number for number in range(200_000))
    tiny = stream(image.replace(b"5000", b"6000") + b" /Filter /FlateDecode", zlib.compress(bytes(36_000_000), 9))
    (folder / "many.pdf").write_bytes(paged(many, tiny))
    jbig2 = struct.pack(">IBBI", 0, 48, 1, 19) + struct.pack(">IIIIBH", 60_000, 60_000, 0, 0, 0, 0)
    (folder / "jbig2.pdf").write_bytes(paged(b"/A 4 0 R", stream(image + b" /Filter /JBIG2Decode", jbig2)))
    ccitt = image.replace(b"/BitsPerComponent 8", b"/BitsPerComponent 1")
    parms = b" /DecodeParms << /K -1 /Columns 2000000000 /Rows 2000000000 >> /Filter /CCITTFaxDecode"
    (folder / "ccitt.pdf").write_bytes(paged(b"/A 4 0 R", stream(ccitt + parms, bytes(MEBI))))
    entries = [(256, 4, 1, 20_000), (257, 4, 1, 20_000), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1), (273, 4, 1, 8), (277, 3, 1, 1)]
    entries += [(278, 4, 1, 20_000), (279, 4, 1, len(gibi))]
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    place = 8 + len(gibi)
    (folder / "huge.tif").write_bytes(b"II*\0" + struct.pack("<I", place) + gibi + directory + struct.pack("<I", 8))
    # A directory that leads back to itself.
    entries = [(256, 4, 1, 6_000), (257, 4, 1, 6_000), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1), (273, 4, 1, 200), (277, 3, 1, 1)]
    entries += [(278, 4, 1, 6_000), (279, 4, 1, len(gibi))]
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries) + struct.pack("<I", 8)
    (folder / "circle.tif").write_bytes((b"II*\0" + struct.pack("<I", 8) + directory).ljust(200, b"\0") + gibi)


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    if sys.argv[2] == "--bombs":
        bombs(folder)
    else:
        documents(folder, sys.argv[2])


main()
