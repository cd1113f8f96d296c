import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ClientName } from "./clients.ts";

/** A process that polls. */
export class Poller implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #directory: string;

  private constructor(child: ChildProcess, directory: string) {
    this.#process = child;
    this.#directory = directory;
  }

  /** @param cert the server's certificate; `undefined` without TLS */
  static async start(name: ClientName, url: string, cert: string | undefined): Promise<Poller> {
    const directory = mkdtempSync(join(tmpdir(), "kc-bench-"));
    const certFile = join(directory, "cert.pem");
    if (cert !== undefined) writeFileSync(certFile, cert);
    const child = fork(fileURLToPath(new URL("polling-client.js", import.meta.url)), [name], {
      env: {
        ...process.env,
        AWS_ENDPOINT_URL: url,
        AWS_REGION: "us-east-1",
        AWS_ACCESS_KEY_ID: "bench",
        AWS_SECRET_ACCESS_KEY: "bench",
        ...(cert === undefined ? {} : { NODE_EXTRA_CA_CERTS: certFile }),
      },
    });
    await once(child, "spawn");
    return new Poller(child, directory);
  }

  /** User and system CPU since the start of the process, in milliseconds. */
  async cpuMs(): Promise<number> {
    this.#process.send("cpu");
    const [{ user, system }] = (await once(this.#process, "message")) as [NodeJS.CpuUsage];
    return (user + system) / 1000;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exited = once(this.#process, "exit");
    this.#process.disconnect();
    await exited;
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
