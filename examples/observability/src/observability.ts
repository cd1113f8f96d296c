/**
 * `npm run example -- observability`: starts an embedded Kinesis, two workers with metrics and
 * status, and a page in the browser, until Ctrl-C.
 *
 * Usage: node dist/observability.js [--port 9463]: the page's port; the workers use the next two
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { stopSignal } from "@kc/core";
import { PAGE } from "./page.ts";
import { startTraffic, STREAM } from "./traffic.ts";
import { watch } from "./watch.ts";

const NAMES = ["worker-1", "worker-2"];

const { values } = parseArgs({ options: { port: { type: "string", default: "9463" } } });
const port = Number(values.port);
const signal = stopSignal();
const directory = mkdtempSync(join(tmpdir(), "kc-observability-"));
const server = createServer();
// Listens first, so that a used port is reported before the workers start.
await once(server.listen(port, "127.0.0.1"), "listening");
const emulator = await startTraffic(signal);
const workers = NAMES.map(startWorker);
// Kills the workers however this process ends, for example if a worker's port is in use.
process.on("exit", () => {
  for (const worker of workers) worker.kill();
});
const urls = await Promise.all(workers.map(urlOf));

const overview = watch(
  workers.map(({ pid }, index) => ({ name: NAMES[index]!, pid, url: urls[index]! })),
  signal,
);

server.on("request", (request: IncomingMessage, response: ServerResponse) => {
  // The page is read-only: other methods are refused.
  if (request.method !== "GET") response.writeHead(405, { allow: "GET" }).end();
  else if (request.url === "/overview") {
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify(overview.snapshot));
  } else if (request.url === "/") {
    response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end(PAGE);
  } else response.writeHead(404).end();
});
const { port: listening } = server.address() as AddressInfo;
console.log(`Look at      http://127.0.0.1:${listening}`);
for (const [index, url] of urls.entries()) {
  console.log(`metrics at   ${url}/metrics, of process ${workers[index]!.pid}`);
}
console.log(
  "For graphs and alerts: prometheus --config.file=examples/observability/prometheus.yml,\n" +
    "and import examples/observability/dashboard.json into Grafana. Ctrl-C stops.\n",
);

const exits = workers.map((worker) => once(worker, "exit"));
await Promise.race([aborted(), Promise.all(exits)]);
server.close();
server.closeAllConnections();
for (const worker of workers) worker.kill("SIGTERM");
await Promise.all(exits);
await emulator.close();
rmSync(directory, { recursive: true, force: true });
const ends = workers.map(({ exitCode, signalCode }) => exitCode ?? signalCode);
console.log(`\nThe workers ended with ${ends.join(" and ")}.`);
process.exit(Math.max(...workers.map(({ exitCode }) => exitCode ?? 0)));

function startWorker(id: string, index: number): ChildProcess {
  const program = fileURLToPath(new URL("worker.js", import.meta.url));
  // Any free port, if the page uses any free port.
  const own = port === 0 ? 0 : port + 1 + index;
  const args = ["--id", id, "--port", String(own), "--endpoint", emulator.url];
  const files = ["--checkpoints", join(directory, "checkpoints.sqlite")];
  return fork(program, [STREAM, ...args, ...files], {
    env: {
      ...process.env,
      AWS_REGION: "us-east-1",
      AWS_ACCESS_KEY_ID: "any",
      AWS_SECRET_ACCESS_KEY: "any",
    },
    // This process forwards Ctrl-C.
    detached: true,
  });
}

async function urlOf(worker: ChildProcess): Promise<string> {
  const [message] = (await Promise.race([
    once(worker, "message"),
    once(worker, "exit").then(([code]) => {
      throw new Error(`a worker ended with exit code ${String(code)}`);
    }),
  ])) as [{ url: string }];
  return message.url;
}

async function aborted(): Promise<void> {
  if (!signal.aborted) await once(signal, "abort");
}
