import { KcError, StoreError, type CallOptions } from "@kc/core";
import type { Connection } from "./connection.ts";

/**
 * A server that deletes any key when memory runs short deletes checkpoints. One without a limit, or
 * whose INFO is not available, is let through.
 * @throws StoreError STORE_FAILED
 */
export async function refuseEviction(
  connection: Connection,
  options: CallOptions | undefined,
): Promise<void> {
  for (const text of await infoOf(connection, options)) {
    const policy = /^maxmemory_policy:(\S+)/m.exec(text)?.[1] ?? "";
    const limit = /^maxmemory:(\d+)/m.exec(text)?.[1] ?? "0";
    if (limit === "0" || !policy.startsWith("allkeys-")) continue;
    throw new StoreError(
      "STORE_FAILED",
      `Redis has maxmemory-policy ${policy}: it deletes checkpoints when memory runs short. Set ` +
        "noeviction, or a policy that begins with volatile-, or use another server",
    );
  }
}

async function infoOf(
  connection: Connection,
  options: CallOptions | undefined,
): Promise<readonly string[]> {
  try {
    return await connection.info("memory", options);
  } catch (error) {
    // The user may not: the policy cannot be known, and the store works without.
    if (KcError.is(error) && error.code === "STORE_ACCESS_DENIED") return [];
    throw error;
  }
}
