// A CSMS on the npm package ocpp-rpc in strict mode: every CALL and every answer is validated against its schemas.
// Prints one JSON line per event; reads commands {"identity", "method", "params"} as JSON lines.
'use strict';

const readline = require('node:readline');
const { RPCServer, createRPCError } = require('ocpp-rpc');

const say = (event, fields = {}) => process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`);
const clients = new Map();
let lastTransaction = 0;

const accepted = { status: 'Accepted' };
const answers = {
  'BootNotification': () => ({ status: 'Accepted', interval: 300, currentTime: new Date().toISOString() }),
  'Heartbeat': () => ({ currentTime: new Date().toISOString() }),
  'StatusNotification': () => ({}),
  'MeterValues': () => ({}),
  'ReportChargingProfiles': () => ({}),
  'Authorize': (protocol) => (protocol === 'ocpp1.6' ? { idTagInfo: accepted } : { idTokenInfo: accepted }),
  'StartTransaction': () => ({ transactionId: ++lastTransaction, idTagInfo: accepted }),
  'StopTransaction': () => ({}),
  'TransactionEvent': () => ({}),
};

const server = new RPCServer({ protocols: ['ocpp1.6', 'ocpp2.0.1'], strictMode: true });
server.on('client', (client) => {
  const identity = client.identity;
  clients.set(identity, client);
  const fault = (kind) => (detail) => say('fault', { identity, kind, detail: String(detail?.error?.message ?? detail?.error ?? JSON.stringify(detail)) });
  client.on('strictValidationFailure', fault('strictValidationFailure'));
  client.on('badMessage', fault('badMessage'));
  client.on('callError', fault('callError'));
  client.handle(({ method, params }) => {
    say('call', { identity, method, params });
    const answer = answers[method];
    if (!answer) throw createRPCError('NotImplemented', method);
    return answer(client.protocol);
  });
  say('connected', { identity, protocol: client.protocol });
});

readline.createInterface({ input: process.stdin }).on('line', async (line) => {
  const { identity, method, params } = JSON.parse(line);
  try {
    say('answer', { identity, method, answer: await clients.get(identity).call(method, params) });
  } catch (error) {
    say('fault', { identity, kind: `${method} failed`, detail: String(error) });
  }
});

server.listen(0, '127.0.0.1').then((http) => say('listening', { port: http.address().port }));
