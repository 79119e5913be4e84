// Shows /api/v1/site once a second. Every number has a unit; old numbers are grey. On a phone each row is a card: its cells are
// labelled with the heads of their columns, and those that span rows are "whole". Times are the site's. What does not change is
// left alone, so that it can be marked and copied.
const amps = (value) => (value === null || value === undefined ? "–" : `${value.toFixed(1)} A`);
const seconds = (value) => {
  if (value === null || value === undefined) return "never";
  if (value < 120) return `${Math.round(value)} s`;
  return value < 7200 ? `${Math.round(value / 60)} min` : `${(value / 3600).toFixed(1)} h`;
};

let zone; // of the site, where the browser knows it; else the browser's own
function know(name) {
  try {
    zone = new Intl.DateTimeFormat([], { timeZone: name }).resolvedOptions().timeZone;
  } catch {
    zone = undefined;
  }
}
const clock = (at, options = {}) => new Date(at).toLocaleTimeString([], { timeZone: zone, ...options });
const moment = (at) => new Date(at).toLocaleString([], { timeZone: zone });

function cell(text, { number = false, stale = false, bad = false, span = 0 } = {}) {
  const td = document.createElement("td");
  td.textContent = text;
  if (span) td.rowSpan = span;
  td.className = [span && "whole", number && "number", stale && "stale", bad && "bad"].filter(Boolean).join(" ");
  return td;
}

function bar(value, limit) {
  const meter = document.createElement("meter");
  Object.assign(meter, { min: 0, max: Math.max(limit, 1), high: limit * 0.95, optimum: 0, value: Math.max(value ?? 0, 0) });
  meter.title = `${amps(value)} of ${amps(limit)}`;
  return meter;
}

function row(...cells) {
  const tr = document.createElement("tr");
  tr.append(...cells);
  return tr;
}

function fill(id, rows) {
  const body = document.getElementById(id);
  const heads = [...body.parentElement.tHead.rows[0].cells].map((th) => th.textContent);
  for (const tr of rows) {
    const spanned = tr.cells.length < heads.length ? 1 : 0; // the first column is that of a row above
    [...tr.cells].forEach((td, i) => { td.dataset.label = heads[i + spanned]; });
  }
  renew(body, rows, (old, tr) => (old.cells.length === tr.cells.length ? renew(old, [...tr.cells], put) : put(old, tr)));
}

function renew(parent, children, change) {
  children.forEach((child, i) => (parent.children[i] ? change(parent.children[i], child) : parent.append(child)));
  while (parent.children.length > children.length) parent.lastElementChild.remove();
}

// What the person has opened stays open, and the keyboard where it was.
function put(old, fresh) {
  const [was, is] = [old, fresh].map((one) => one.querySelector("details"));
  if (was && is) is.open = was.open;
  if (old.isEqualNode(fresh)) return;
  const focused = old.contains(document.activeElement);
  old.replaceWith(fresh);
  if (focused) is?.querySelector("summary").focus({ preventScroll: true });
}

function nodeRows(node) {
  return node.lines.map((phase, i) => {
    const stale = node.measured_age_s === null || node.measured_age_s > 10;
    const measured = cell(`${amps(node.measured_a?.[i] ?? null)} `, { number: true, stale });
    if (node.measured_a) measured.append(bar(node.measured_a[i], node.limit_a[i]));
    const cells = [cell(phase), measured, cell(amps(node.allowed_to_cars_a[i]), { number: true }),
      cell(amps(node.limit_a[i]), { number: true }), cell(node.limit_source[i])];
    if (i === 0) {
      const age = node.measured_a ? `, measured ${seconds(node.measured_age_s)} ago` : ", not measured";
      const uneven = node.asymmetry_limit_a === null ? "" : `; phases differ by ${amps(node.asymmetry_a)} of ${amps(node.asymmetry_limit_a)}`;
      const power = node.power_for_cars ? `; ${node.power_for_cars}` : "";
      cells.unshift(cell(`${node.label}${age}${power}${uneven}`, { span: node.lines.length }));
      const fuse = `fuse: ${amps(node.worst_excess_a)} for ${seconds(node.longest_excess_s)}`;
      const heat = node.overload_s > 0 ? `; heated ${seconds(node.overload_s)} of ${seconds(node.overload_stop_s)}` : "";
      const limit = `limits: ${amps(node.limit_worst_excess_a)} for ${seconds(node.limit_longest_excess_s)}`;
      const controlled = node.if_controlled ? `; if controlled, fuse: ${amps(node.if_controlled.worst_excess_a)}` : "";
      cells.push(cell(node.measured_a ? `${fuse}${heat}; ${limit}${controlled}` : "–", { span: node.lines.length, bad: node.worst_excess_a > 0.05 }));
    }
    return row(...cells);
  });
}

// In observe mode: how much more than they would be told cars drew since the start.
function above(evse) {
  if (!evse.above_limit?.seconds) return "";
  return `, ${evse.above_limit.kwh.toFixed(2)} kWh above the limit in ${seconds(evse.above_limit.seconds)}`;
}

// The most telling reason, and the others behind it.
function why([first = "", ...others]) {
  const td = cell(first);
  if (others.length === 0) return td;
  const details = document.createElement("details");
  const summary = document.createElement("summary");
  summary.textContent = others.length === 1 ? "1 more reason" : `${others.length} more reasons`;
  const list = document.createElement("ol");
  list.start = 2;
  list.append(...others.map((text) => listItem(text)));
  details.append(summary, list);
  td.append(" ", details);
  return td;
}

function evseRow(evse, ways) {
  const way = ways[evse.id.slice(0, evse.id.lastIndexOf("/"))];
  const state = [evse.charging, way?.sentence].filter(Boolean).join("; ");
  const stale = evse.measured_age_s === null || evse.measured_age_s > 90;
  const measured = evse.measured_a ? `${evse.measured_a.map((a) => a.toFixed(1)).join(" / ")} A, ${seconds(evse.measured_age_s)} ago` : "–";
  const acknowledged = evse.acknowledged_a !== null && evse.acknowledged_a !== evse.limit_a ? ` (said yes to ${amps(evse.acknowledged_a)})` : "";
  return row(cell(evse.id), cell(state, { bad: !evse.connected }), cell(measured, { number: true, stale }),
    cell(`${amps(evse.limit_a)}${acknowledged}`, { number: true }),
    cell((evse.energy_kwh === null ? "–" : `${evse.energy_kwh.toFixed(2)} kWh`) + above(evse), { number: !above(evse) }), why(evse.reasons));
}

function bound(limit) {
  const amperes = limit.limit_a ? [`${limit.limit_a.map((a) => a.toFixed(1)).join(" / ")} A`] : [];
  const watts = limit.power_w === null ? [] : [`${Math.round(limit.power_w)} W`];
  return [...amperes, ...watts].join(" and ") || "no limit";
}

function limitState(limit) {
  if (limit.set_aside) return "set aside for a while";
  return limit.trouble || (limit.reason ? `${limit.state}: ${limit.reason}` : limit.state);
}

function limitAge(limit) {
  const told = limit.age_s === null ? [] : [`told ${seconds(limit.age_s)} ago`];
  const ends = limit.ends_in_s === null ? [] : [`ends in ${seconds(limit.ends_in_s)}`];
  return [...told, ...ends].join(", ") || (limit.state === "init" ? "never heard" : "–");
}

function inputRows(site) {
  const meters = site.meters.map((m) => row(cell(`Meter ${m.id}`), cell(m.failure || m.state, { bad: Boolean(m.failure) }),
    cell(m.current_a ? `${m.current_a.map((a) => a.toFixed(1)).join(" / ")} A` : "–"), cell(m.age_s === null ? "never heard" : `${seconds(m.age_s)} ago`)));
  const limits = site.limits.map((l) => row(cell(l.label), cell(limitState(l), { bad: Boolean(l.trouble) }),
    cell(bound(l), { stale: l.set_aside }), cell(limitAge(l))));
  const ahead = site.outlook.map((one) => row(cell(one.label), cell(one.trouble || one.state, { bad: Boolean(one.trouble) }),
    cell(one.value === null ? "unknown" : `${+one.value.toPrecision(4)} ${one.unit}`, { stale: one.value === null }),
    cell(one.until ? `known until ${moment(one.until)}, told ${seconds(one.age_s)} ago` : "–")));
  return [...meters, ...limits, ...ahead];
}

function listItem(text, bad = false) {
  const li = document.createElement("li");
  li.textContent = text;
  if (bad) li.className = "bad";
  return li;
}

const SHOWN = 6;
const NAMED = 12;
const SILENT_MS = 4000;

// What many stations share is told once: one weakness of all of them shall not hide another of one.
function together(lines) {
  const whose = new Map();
  for (const line of lines) {
    const [, station, text] = line.match(/^(\S+): (.*)$/s) ?? [null, "", line];
    whose.set(text, [...(whose.get(text) ?? []), station]);
  }
  return [...whose].map(([text, stations]) => {
    if (stations.length === 1) return stations[0] ? `${stations[0]}: ${text}` : text;
    const more = stations.length > NAMED ? ` and ${stations.length - NAMED} more` : "";
    return `${stations.length} stations (${stations.slice(0, NAMED).join(", ")}${more}): ${text}`;
  });
}

function warningItems(site) {
  const faults = Object.entries(site.faults).map(([station, kinds]) =>
    `${station}: ${Object.entries(kinds).map(([kind, count]) => `${count} × ${kind.replaceAll("_", " ")}`).join(", ")} since it connected`);
  const all = together([...site.warnings, ...faults]);
  const more = all.length > SHOWN ? [`and ${all.length - SHOWN} more, see /api/v1/site`] : [];
  return [...all.slice(0, SHOWN), ...more].map((text) => listItem(text));
}

function showMode(site) {
  const observing = site.mode === "observe";
  const note = document.getElementById("observing");
  note.hidden = !observing;
  document.getElementById("limit").textContent = observing ? "Limit it would have" : "Limit";
  if (observing) note.textContent = "Observe mode: nothing is sent to any station, and nobody keeps these fuses. Below stands what flows, "
    + `and what the stations would be told, since ${moment(site.observed_since)}.`;
}

// What people must know of the CSMSs; where one is away for a single station, that one's cards say so.
function showUplinks(site) {
  const lines = (site.uplinks?.csms ?? []).flatMap((csms) => csms.sentences).map((sentence) => {
    const li = listItem(sentence.text);
    li.className = sentence.level;
    return li;
  });
  const list = document.getElementById("uplinks");
  list.hidden = lines.length === 0;
  renew(list, lines, put);
}

function show(site) {
  document.title = site.name;
  document.getElementById("name").textContent = site.name;
  know(site.time_zone);
  seen = clock(site.at, { timeZoneName: "short" });
  document.getElementById("age").textContent = `as of ${seen}`;
  showMode(site);
  showUplinks(site);
  fill("nodes", site.nodes.flatMap(nodeRows));
  fill("evses", site.evses.map((evse) => evseRow(evse, site.uplinks?.stations ?? {})));
  fill("inputs", inputRows(site));
  const warnings = warningItems(site);
  document.getElementById("warned").hidden = warnings.length === 0;
  renew(document.getElementById("warnings"), warnings, put);
  renew(document.getElementById("notices"), site.notices.slice(-12).reverse().map((notice) =>
    listItem(`${clock(notice.at)} ${notice.text}`, notice.level === "error")), put);
}

let seen = null;

async function refresh() {
  const main = document.querySelector("main");
  try {
    const response = await fetch("/api/v1/site", { signal: AbortSignal.timeout(SILENT_MS) });
    show(await response.json());
    main.className = "";
  } catch {
    main.className = "stale";
    document.getElementById("age").textContent = `the gateway does not answer${seen === null ? "" : `; all below is as of ${seen}`}`;
  }
  setTimeout(refresh, 1000);
}

refresh();
