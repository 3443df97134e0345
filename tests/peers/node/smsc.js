// An SMSC on node-smpp, told what to do by lines of JSON on stdin, telling what it sees by lines of JSON on stdout.
'use strict';
const smpp = require('smpp');
const readline = require('readline');

const say = (line) => process.stdout.write(JSON.stringify(line) + '\n');
let session = null;
let next = 1;

const server = smpp.createServer((peer) => {
  peer.on('bind_transceiver', (pdu) => {
    const right = pdu.system_id === 'voxea' && pdu.password === 'secret';
    peer.send(pdu.response({ command_status: right ? 0 : smpp.ESME_RBINDFAIL, system_id: 'node' }));
    if (right) {
      session = peer;
      say({ event: 'bound' });
    }
  });
  peer.on('submit_sm', (pdu) => {
    const id = String(next++);
    peer.send(pdu.response({ message_id: id }));
    const { source_addr, destination_addr, dest_addr_ton, dest_addr_npi, esm_class, registered_delivery, data_coding } = pdu;
    const text = pdu.short_message.message;
    say({ event: 'submit', id, source_addr, destination_addr, dest_addr_ton, dest_addr_npi, esm_class, registered_delivery, data_coding, text });
  });
  peer.on('replace_sm', (pdu) => {
    peer.send(pdu.response());
    const { message_id, source_addr, registered_delivery } = pdu;
    // It has no data_coding, so node-smpp leaves the octets as they are.
    say({ event: 'replace', message_id, source_addr, registered_delivery, text: pdu.short_message.toString('latin1') });
  });
  peer.on('query_sm', (pdu) => {
    const { message_id, source_addr } = pdu;
    peer.send(pdu.response({ message_id, message_state: 2 }));
    say({ event: 'query', message_id, source_addr });
  });
  peer.on('enquire_link', (pdu) => peer.send(pdu.response()));
  peer.on('unbind', (pdu) => { peer.send(pdu.response()); peer.close(); say({ event: 'unbound' }); });
  peer.on('error', (error) => say({ event: 'error', message: String(error) }));
});
server.listen(0, '127.0.0.1', () => say({ event: 'listening', port: server.address().port }));

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const order = JSON.parse(line);
  const fields = { source_addr: order.from, source_addr_ton: 1, source_addr_npi: 1, destination_addr: '36123', ...order.fields };
  if (order.udh) {
    fields.short_message = { udh: Buffer.from(order.udh, 'hex'), message: order.text };
  } else {
    fields.short_message = order.text;
  }
  session.deliver_sm(fields, (response) => say({ event: 'answer', tag: order.tag, status: response.command_status }));
}).on('close', () => process.exit(0));
