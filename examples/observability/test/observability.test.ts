import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { NoPrometheusError, promtool, startPrometheus } from "@kc-internal/test-services";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Snapshot } from "../src/overview.ts";

const here = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));
const alerts = readFileSync(here("alerts.yml"), "utf8");
const dashboard = JSON.parse(readFileSync(here("dashboard.json"), "utf8")) as Dashboard;

interface Dashboard {
  readonly panels: readonly {
    readonly title: string;
    readonly targets?: readonly { readonly expr: string }[];
  }[];
}

/** Metrics that do not occur while nothing fails, no worker joins or leaves, and records come one by one. */
const RARE =
  /kinesis_(errors|handler_errors|trimmed|out_of_range_records|dropped_metrics|leases_released|leases_lost|handoffs_forced|evictions|takeover_duration|outage_age|batch_size|transaction_duration)_/;

const expressions = dashboard.panels
  .flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ title, expr })))
  .map(({ title, expr }) => ({
    title,
    expr: expr.replaceAll(/\$(stream|application)/g, ".*").replaceAll("$__rate_interval", "10s"),
  }));
const queries = [
  ...expressions.map(({ expr }) => expr),
  alerts.replaceAll(/^ *(description|summary):.*$/gm, ""),
];

let page = "";
const workers: string[] = [];
const processes: number[] = [];
let stop: () => Promise<number | null>;

beforeAll(async () => {
  const program = spawn(process.execPath, [here("dist/observability.js"), "--port", "0"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exit = once(program, "exit");
  stop = async () => {
    program.kill("SIGINT");
    await exit;
    return program.exitCode;
  };
  for await (const line of createInterface({ input: program.stdout })) {
    const [, url] = /(http:\/\/[^ /]+)/.exec(line) ?? [];
    if (line.startsWith("Look at")) page = url!;
    if (line.startsWith("metrics at")) {
      workers.push(url!);
      processes.push(Number(/process (\d+)/.exec(line)![1]));
    }
    if (line.includes("Ctrl-C stops")) break;
  }
  program.stdout.resume();
});

afterAll(async () => {
  expect(await stop(), "the program's exit code").toBe(0);
});

async function overview(): Promise<Snapshot> {
  return (await (await fetch(`${page}/overview`)).json()) as Snapshot;
}

test("the page shows both workers, their shards, totals, rates and history", async () => {
  expect(await (await fetch(page)).text()).toContain("<title>orders");
  await until(async () => {
    const { workers: rows, shards, samples } = await overview();
    return (
      rows.every(({ state, shards: held }) => state === "running" && held === 2) &&
      rows.every(({ records }) => records > 0) &&
      shards.length === 4 &&
      shards.every(({ lagMs }) => lagMs !== undefined) &&
      samples.some(
        ({ recordsPerSecond, lagMs }) => recordsPerSecond > 0 && Object.keys(lagMs).length === 4,
      )
    );
  });
  const { workers: rows } = await overview();
  expect(rows.map(({ pid, url }) => [pid, url])).toEqual(
    processes.map((pid, i) => [pid, workers[i]]),
  );
  for (const url of workers) {
    expect((await fetch(`${url}/live`)).status).toBe(200);
    expect((await fetch(`${url}/nothing`)).status).toBe(404);
  }
});

test("the page only shows: it takes no other request than one to read", async () => {
  expect((await fetch(page, { method: "POST" })).status).toBe(405);
  expect((await fetch(`${page}/nothing`)).status).toBe(404);
  expect(new URL(page).hostname).toBe("127.0.0.1");
});

test("where its port is taken, it reports that, and leaves no worker behind", async () => {
  const { port } = new URL(page);
  const program = spawn(process.execPath, [here("dist/observability.js"), "--port", port], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  program.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  // Its workers write there too: it ends when the last of them has.
  await once(program, "close");
  expect(program.exitCode).toBe(1);
  expect(said).toContain(`EADDRINUSE: address already in use 127.0.0.1:${port}`);
});

test("every metric and label that a panel or an alert asks for is one that comes out", async () => {
  const scraped = await (await fetch(`${workers[0]!}/metrics`)).text();
  const kinds = new Map(
    [...scraped.matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(([, name, kind]) => [name!, kind!]),
  );
  const asked = new Set(queries.flatMap((query) => query.match(/\bkinesis_\w+/g) ?? []));
  expect(asked.size).toBeGreaterThan(25);
  for (const name of asked) {
    const kind = kinds.get(name) ?? kinds.get(name.replace(/_bucket$/, ""));
    expect(kind, name).toBe(
      name.endsWith("_bucket") ? "histogram" : name.endsWith("_total") ? "counter" : "gauge",
    );
  }
  const all = [...kinds.keys()].filter((name) => name.startsWith("kinesis_"));
  const shown = new Set([...asked].map((name) => name.replace(/_bucket$/, "")));
  const unseen = all.filter((name) => !shown.has(name));
  expect(unseen, "what neither panel nor alert shows").toEqual([
    "kinesis_iterator_refreshes_total",
    "kinesis_wire_fallbacks_total",
  ]);
});

test("every panel has data in a real Prometheus, and every alert is evaluated there", async ({
  skip,
}) => {
  const targets = JSON.stringify(workers.map((url) => url.replace("http://", "")));
  await using prometheus = await startPrometheus(`
global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: [${JSON.stringify(here("alerts.yml"))}]
scrape_configs: [{ job_name: kinesis, static_configs: [{ targets: ${targets} }] }]
`).catch((error: unknown) => {
    if (!(error instanceof NoPrometheusError)) throw error;
    console.warn(`\n  ${error.message}\n`, error.cause);
    return skip(error.message);
  });
  const ask = async <Answer>(path: string): Promise<Answer> => {
    const response = await fetch(`${prometheus.url}/api/v1/${path}`);
    const { status, data, error } = (await response.json()) as {
      status: string;
      data: Answer;
      error?: string;
    };
    expect(status, `${path}: ${error}`).toBe("success");
    return data;
  };
  const query = async (expr: string): Promise<number> =>
    (await ask<{ result: object[] }>(`query?query=${encodeURIComponent(expr)}`)).result.length;

  await until(async () => (await query("sum(rate(kinesis_throttles_total[10s]))")) > 0);
  for (const { title, expr } of expressions) {
    if (RARE.test(expr)) await query(expr);
    else await until(async () => (await query(expr)) > 0, `${title}: ${expr}`);
  }
  type Rule = { name: string; health: string; lastError?: string };
  const rules = async (): Promise<Rule[]> => {
    const { groups } = await ask<{ groups: { rules: Rule[] }[] }>("rules");
    return groups.flatMap((group) => group.rules);
  };
  await until(async () => (await rules()).every(({ health }) => health !== "unknown"));
  for (const { name, health, lastError } of await rules())
    expect(health, `${name}: ${lastError}`).toBe("ok");
});

test("a worker that is killed is taken over, and the other's metrics say so", async () => {
  process.kill(processes[1]!, "SIGKILL");
  // First of all it is said who is missing; then who reads instead.
  await until(async () => (await overview()).workers[1]!.state === "no answer");
  const metrics = async (): Promise<string> => (await fetch(`${workers[0]!}/metrics`)).text();
  await until(async () => /kinesis_leases_held{.*} 4\n/.test(await metrics()));
  const told = await metrics();
  expect(told).toMatch(/kinesis_evictions_total{.*} 1\n/);
  expect(told).toMatch(/kinesis_leases_acquired_total{reason="taken-over".*} 2\n/);
  expect(told).toMatch(/kinesis_takeover_duration_seconds_count{.*} 2\n/);
  await until(async () => (await overview()).shards.every(({ worker }) => worker === "worker-1"));
  const { workers: rows, events } = await overview();
  const texts = events.map(({ text }) => text);
  expect(texts).toContain(`worker-2 (process ${processes[1]}) does not answer`);
  expect(
    texts.filter((text) => /^worker-1 reads .*, which worker-2 read$/.test(text)),
  ).toHaveLength(2);
  expect(rows[1]!.records, "what it had handled stays in the total").toBeGreaterThan(0);
});

test("the page on troubleshooting says of every alert what it means and what to do", () => {
  const names = [...alerts.matchAll(/alert: (\w+)/g)].map(([, name]) => name!);
  const troubleshooting = readFileSync(here("../../docs/troubleshooting.md"), "utf8");
  const rows = [...troubleshooting.matchAll(/^\| `(Kinesis\w+)` +\| .+ \| .+ \|$/gm)];
  expect(rows.map(([, name]) => name)).toEqual(names.toSorted());
});

test("every alert is silent, and then it is not", async ({ skip }) => {
  const names = [...alerts.matchAll(/alert: (\w+)/g)].map(([, name]) => name!);
  const tested = readFileSync(here("alerts.test.yml"), "utf8");
  for (const name of names) expect(tested).toContain(`- name: ${name}\n`);
  try {
    expect(await promtool("check", "rules", here("alerts.yml"))).toContain(
      `SUCCESS: ${names.length} rules found`,
    );
    expect(await promtool("test", "rules", here("alerts.test.yml"))).toContain("SUCCESS");
  } catch (error) {
    if (!(error instanceof NoPrometheusError)) throw error;
    console.warn(`\n  ${error.message}\n`, error.cause);
    skip(error.message);
  }
});

async function until(is: () => Promise<boolean>, what = "it"): Promise<void> {
  const deadline = performance.now() + 180_000;
  while (!(await is())) {
    if (performance.now() > deadline) throw new Error(`not within 180 s: ${what}`);
    await sleep(100);
  }
}
