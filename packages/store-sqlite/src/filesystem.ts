import { existsSync, statfsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { StoreError } from "@kc/core";

/** Linux's type numbers (`statfs(2)`) of filesystems that several machines can mount. */
const NETWORK: ReadonlyMap<number, string> = new Map([
  [0x6969, "NFS"],
  [0x517b, "SMB"],
  [0xfe534d42, "SMB"],
  [0xff534d42, "SMB"],
  [0x5346414f, "AFS"],
  [0x00c36400, "Ceph"],
  [0x0bd00bd0, "Lustre"],
]);

/** The type number of the filesystem that a file is or will be on; `undefined` on other systems than Linux. */
export function filesystemOf(path: string): number | undefined {
  if (process.platform !== "linux") return undefined;
  return statfsSync(existsSync(path) ? path : dirname(resolve(path))).type;
}

/**
 * In WAL mode, processes share the log's index in memory. Processes on two machines cannot share it, and would damage
 * the file without an error from SQLite.
 * @throws StoreError STORE_FAILED on a network filesystem
 */
export function refuseNetwork(path: string, filesystem: number | undefined): void {
  const network = filesystem === undefined ? undefined : NETWORK.get(filesystem);
  if (network === undefined) return;
  throw new StoreError(
    "STORE_FAILED",
    `${path}: this is a network filesystem (${network}), on which processes of two machines would ` +
      "damage the file: use a local disk. If one process alone opens it, ever, pass an open `database`",
  );
}
