/** Draws the data of `/overview` once a second. Texts are inserted as text, never as HTML. */
export const PAGE_SCRIPT = `
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d31", "#7f7f7f"];
const WIDTH = 600, HEIGHT = 160, MIN_SPAN_MS = 60000;
const find = (id) => document.getElementById(id);
const make = (tag, className, ...children) => {
  const element = Object.assign(document.createElement(tag), { className });
  element.append(...children);
  return element;
};
const whole = (n) => Math.round(n).toLocaleString("en");
const duration = (ms) => (ms === undefined ? "unknown" : ms < 10000 ? whole(ms) + " ms" : (ms / 1000).toFixed(1) + " s");

function tiles({ workers, shards, samples }) {
  const sum = (rows, name) => rows.reduce((total, row) => total + row[name], 0);
  const silent = workers.filter(({ state }) => state === "no answer").length;
  const unread = shards.filter(({ state }) => state === "not read").length;
  const lags = shards.flatMap(({ lagMs }) => (lagMs === undefined ? [] : [lagMs]));
  const values = [
    ["records", whole(sum(workers, "records"))],
    ["records/s", whole(samples.at(-1)?.recordsPerSecond ?? 0)],
    ["in flight", whole(sum(shards, "recordsInFlight"))],
    ["largest lag", lags.length > 0 ? duration(Math.max(...lags)) : "unknown"],
    ["shards read", shards.length - unread + " of " + shards.length, unread > 0],
    ["workers", workers.length - silent + " of " + workers.length, silent > 0],
  ];
  return values.map(([name, value, isBad]) =>
    make("div", "tile", make("b", isBad ? "bad" : "", value), make("span", "", name)));
}

/** A line is interrupted where a series has no value. */
function chart(figure, samples, series, unit) {
  const now = samples.at(-1)?.at ?? 0;
  const span = Math.max(MIN_SPAN_MS, now - (samples[0]?.at ?? 0));
  const most = Math.max(1, ...series.flatMap(({ values }) => values.filter((value) => value !== undefined)));
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 " + WIDTH + " " + HEIGHT);
  svg.setAttribute("preserveAspectRatio", "none");
  for (const { name, colour, values } of series) {
    let line = "";
    values.forEach((value, i) => {
      if (value === undefined) return;
      const x = WIDTH * (1 - (now - samples[i].at) / span);
      const y = HEIGHT - 4 - (HEIGHT - 12) * (value / most);
      line += (i > 0 && values[i - 1] !== undefined ? "L" : "M") + x.toFixed(1) + " " + y.toFixed(1);
    });
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", line);
    path.setAttribute("stroke", colour);
    path.append(document.createElementNS("http://www.w3.org/2000/svg", "title"));
    path.firstChild.textContent = name;
    svg.append(path);
  }
  const legend = series.map(({ name, colour }) => {
    const swatch = make("span", "swatch");
    swatch.style.background = colour;
    return make("span", "", swatch, name);
  });
  const scale = make("span", "dim", "top of the chart: " + unit(most) + ", width: the last " + Math.round(span / 1000) + " s");
  figure.replaceChildren(svg, make("figcaption", "", ...legend, scale));
}

function row(cells, numbers, isBad) {
  const tr = make("tr", isBad ? "bad" : "");
  cells.forEach((cell, i) => tr.append(make("td", numbers.includes(i) ? "number" : "", cell)));
  return tr;
}

function pages({ url }) {
  const links = make("span", "");
  for (const path of ["/metrics", "/status", "/live", "/ready"]) {
    links.append(Object.assign(make("a", "", path.slice(1)), { href: url + path }), " ");
  }
  return links;
}

function draw(overview) {
  const { workers, shards, samples, events } = overview;
  find("tiles").replaceChildren(...tiles(overview));
  const rates = samples.map(({ recordsPerSecond }) => recordsPerSecond);
  chart(find("rate"), samples, [{ name: "records/s", colour: COLOURS[0], values: rates }], whole);
  const series = shards.map(({ shardId }, i) => ({
    name: shardId, colour: COLOURS[i % COLOURS.length], values: samples.map(({ lagMs }) => lagMs[shardId]),
  }));
  chart(find("lag"), samples, series, duration);
  find("workers").replaceChildren(...workers.map((one) => row(
    [one.name, String(one.pid), one.state, String(one.shards), whole(one.records), whole(one.recordsPerSecond), pages(one)],
    [1, 3, 4, 5], one.state === "no answer")));
  find("shards").replaceChildren(...shards.map((one) => row(
    [one.shardId, one.worker, one.error ? one.state + ": " + one.error : one.state, whole(one.recordsInFlight), duration(one.lagMs)],
    [3, 4], one.state === "not read")));
  find("events").replaceChildren(...events.map(({ at, text }) =>
    make("li", "", make("time", "", new Date(at).toLocaleTimeString()), text)));
}

async function show() {
  const problem = find("problem");
  try {
    draw(await (await fetch("/overview")).json());
    problem.hidden = true;
  } catch (error) {
    problem.textContent = "The example does not answer: was it stopped? What follows is what it said last. " + error;
    problem.hidden = false;
  }
}
setInterval(show, 1000);
show();
`;
