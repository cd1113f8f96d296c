import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A directory of its own for database files; `remove` deletes it with all that is in it. */
export function temporaryDirectory(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), "kc-sqlite-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}
