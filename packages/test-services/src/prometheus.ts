import { execFile } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { unpackPackages } from "./debian.ts";
import { freePort } from "./free-port.ts";
import { onPath } from "./on-path.ts";
import { type Address, type Lifecycle, launch } from "./server-process.ts";
import { openWorkplace } from "./workplace.ts";

const run = promisify(execFile);

export interface PrometheusServer extends Address, Lifecycle {
  readonly url: string;
}

/** Prometheus is not available on this machine. */
export class NoPrometheusError extends Error {
  override readonly name = "NoPrometheusError";
}

/** @throws NoPrometheusError */
async function prometheusProgram(name: "prometheus" | "promtool"): Promise<string> {
  const installed = onPath(name);
  if (installed !== undefined) return installed;
  try {
    const path = join(await unpackPackages("debian-prometheus", ["prometheus"]), "usr/bin", name);
    if (existsSync(path)) return path;
    throw new Error(`there is no ${path}`);
  } catch (cause) {
    throw new NoPrometheusError(
      "No Prometheus: install prometheus to have the dashboard and the alerts tried on it",
      { cause },
    );
  }
}

/**
 * Returns the output of `promtool`. @throws NoPrometheusError; an Error with its output if it
 * failed
 */
export async function promtool(...args: string[]): Promise<string> {
  const program = await prometheusProgram("promtool");
  const { stdout, stderr } = await run(program, args);
  return stdout + stderr;
}

/** A Prometheus with this configuration; its paths have to be absolute. @throws NoPrometheusError */
export async function startPrometheus(configuration: string): Promise<PrometheusServer> {
  const path = await prometheusProgram("prometheus");
  const host = "127.0.0.1";
  const port = await freePort();
  const workplace = openWorkplace("prometheus");
  const file = join(workplace.directory, "prometheus.yml");
  writeFileSync(file, configuration);
  const server = await launch({
    name: "Prometheus",
    workplace,
    command: [
      path,
      `--config.file=${file}`,
      `--storage.tsdb.path=${workplace.data}`,
      `--web.listen-address=${host}:${port}`,
    ],
    ready: (output) => output.includes("Server is ready"),
    stopSignal: "SIGTERM",
  });
  return Object.assign(server, { host, port, url: `http://${host}:${port}` });
}
