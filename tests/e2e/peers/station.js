// A charging station on the npm package ocpp-rpc in strict mode: it boots, charges as told for a while and stops.
// Usage: node station.js URL IDENTITY PROTOCOL. Prints one JSON line per event; reads "plug" and "stop" lines.
'use strict';

const readline = require('node:readline');
const { RPCClient, createRPCError } = require('ocpp-rpc');

const [endpoint, identity, protocol] = process.argv.slice(2);
const is16 = protocol === 'ocpp1.6';
const transactionId = 'foreign-1';
const say = (event, fields = {}) => process.stdout.write(`${JSON.stringify({ event, identity, ...fields })}\n`);
const now = () => new Date().toISOString();

let limit = 0; // what the last TxProfile says, in A
let running = null;
let seqNo = 0;

const client = new RPCClient({ endpoint, identity, protocols: [protocol], strictMode: true, reconnect: false });
const fault = (kind) => (detail) => say('fault', { kind, detail: String(detail?.error?.message ?? detail?.error ?? JSON.stringify(detail)) });
client.on('strictValidationFailure', fault('strictValidationFailure'));
client.on('badMessage', fault('badMessage'));
client.on('callError', fault('callError'));

client.handle('SetChargingProfile', ({ params }) => {
  const profile = is16 ? params.csChargingProfiles : params.chargingProfile;
  const schedule = is16 ? profile.chargingSchedule : profile.chargingSchedule[0];
  const amperes = schedule.chargingSchedulePeriod[0].limit;
  if (profile.chargingProfilePurpose === 'TxProfile') limit = amperes;
  say('profile', { purpose: profile.chargingProfilePurpose, amperes, unit: schedule.chargingRateUnit });
  return { status: 'Accepted' };
});
client.handle('GetConfiguration', ({ params }) => ({ unknownKey: params.key ?? [] }));
client.handle('GetVariables', ({ params }) => ({
  getVariableResult: params.getVariableData.map((asked) => ({ ...asked, attributeStatus: 'UnknownVariable' })),
}));
client.handle(({ method }) => { throw createRPCError('NotImplemented', method); });

const sampled = (type) => ['L1', 'L2', 'L3'].map((phase) => ({
  value: is16 ? String(limit) : limit, measurand: 'Current.Import', phase, context: type, ...(is16 ? { unit: 'A' } : {}),
}));
const meterValue = () => [{ timestamp: now(), sampledValue: sampled('Sample.Periodic') }];
const event = (eventType, triggerReason, more = {}) => client.call('TransactionEvent', {
  eventType, triggerReason, timestamp: now(), seqNo: seqNo++, transactionInfo: { transactionId, chargingState: 'Charging' }, ...more,
});

const boot = () => client.call('BootNotification', is16
  ? { chargePointVendor: 'Foreign', chargePointModel: 'Peer' }
  : { reason: 'PowerUp', chargingStation: { vendorName: 'Foreign', model: 'Peer' } });
const status = (word) => client.call('StatusNotification', is16
  ? { connectorId: 1, errorCode: 'NoError', status: word === 'Occupied' ? 'Charging' : word }
  : { timestamp: now(), connectorStatus: word, evseId: 1, connectorId: 1 });
const start = async () => {
  const idToken = { idToken: 'CARD-1', type: 'Central' };
  await client.call('Authorize', is16 ? { idTag: 'CARD-1' } : { idToken });
  if (!is16) return event('Started', 'Authorized', { idToken, evse: { id: 1, connectorId: 1 } });
  running = (await client.call('StartTransaction', { connectorId: 1, idTag: 'CARD-1', meterStart: 0, timestamp: now() })).transactionId;
};
const measure = () => (is16
  ? client.call('MeterValues', { connectorId: 1, transactionId: running, meterValue: meterValue() })
  : event('Updated', 'MeterValuePeriodic', { meterValue: meterValue() }));
const stop = () => (is16
  ? client.call('StopTransaction', { transactionId: running, meterStop: 100, timestamp: now(), reason: 'EVDisconnected' })
  : event('Ended', 'EVDeparted'));

let measuring = null;
const orders = {
  plug: async () => {
    await status('Occupied');
    await start();
    measuring = setInterval(() => measure().catch(fault('MeterValues failed')), 500);
    say('charging');
  },
  stop: async () => {
    clearInterval(measuring);
    await stop();
    await status('Available');
    say('stopped');
    await client.close();
    process.exit(0);
  },
};
readline.createInterface({ input: process.stdin }).on('line', (line) => orders[line]().catch(fault(`${line} failed`)));

(async () => {
  await client.connect();
  say('booted', { answer: await boot() });
  await status('Available');
})().catch(fault('start failed'));
