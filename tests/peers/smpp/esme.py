"""smpplib as an ESME: told what to submit by lines of JSON on stdin, telling what it sees by lines of JSON on stdout.

    esme.py HOST PORT      binds as a transceiver, `voxea` / `secret`
"""

import json
import sys
import threading

import smpplib.client
import smpplib.consts
import smpplib.gsm

say = lambda **line: print(json.dumps(line), flush=True)


def told(pdu):
    body = pdu.short_message or b""
    if pdu.esm_class & smpplib.consts.SMPP_GSMFEAT_UDHI:
        body = body[1 + body[0]:]
    if pdu.data_coding == smpplib.consts.SMPP_ENCODING_ISO10646:
        text = body.decode("utf-16-be")
    else:
        text = "".join(smpplib.gsm.GSM_CHARACTER_TABLE[octet] for octet in body)
    say(event="deliver", text=text, **{"from": pdu.source_addr.decode(), "to": pdu.destination_addr.decode()})
    return 0


client = smpplib.client.Client(sys.argv[1], int(sys.argv[2]), allow_unknown_opt_params=True)
client.set_message_received_handler(told)
client.set_message_sent_handler(lambda pdu: say(event="submitted", id=pdu.message_id.decode()))
client.connect()
client.bind_transceiver(system_id="voxea", password="secret")
threading.Thread(target=client.listen, daemon=True).start()
say(event="listening")
for line in sys.stdin:
    order = json.loads(line)
    parts, coding, esm_class = smpplib.gsm.make_parts(order["text"])
    for part in reversed(parts) if order.get("backwards") else parts:
        client.send_message(
            source_addr_ton=smpplib.consts.SMPP_TON_INTL, source_addr=order["from"], dest_addr_ton=3,
            destination_addr=order["to"], short_message=part, data_coding=coding, esm_class=esm_class,
            registered_delivery=True,
        )
