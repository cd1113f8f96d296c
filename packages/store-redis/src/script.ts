import { createHash } from "node:crypto";

/**
 * A Lua script. All reads and writes of the store are made by scripts, so each step is atomic, and none is sent to a
 * replica of a cluster.
 */
export interface Script {
  readonly lua: string;
  readonly sha: string;
}

export function script(...parts: readonly string[]): Script {
  const lua = parts.join("\n");
  return { lua, sha: createHash("sha1").update(lua).digest("hex") };
}
