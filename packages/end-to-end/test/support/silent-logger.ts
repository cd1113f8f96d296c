import type { Logger } from "@kc/core";

/** Without a logger a consumer that waits for a server reports it by a process warning, which fails a test. */
export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };
