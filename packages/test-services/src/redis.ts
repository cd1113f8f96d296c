import { freePort } from "./free-port.ts";
import { program } from "./programs.ts";
import { type Address, type Lifecycle, launch } from "./server-process.ts";
import { openWorkplace } from "./workplace.ts";

export interface RedisAddress extends Address {
  readonly url: string;
}

export interface RedisServer extends RedisAddress, Lifecycle {}

export interface RedisOptions {
  /** Whether data survives `kill` and `restart`. @default true */
  readonly appendonly?: boolean;
  /** Commands to remove. @default none */
  readonly without?: readonly string[];
}

export function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const { appendonly = true, without = [] } = options;
  const renamed = without.flatMap((command) => ["--rename-command", command, ""]);
  return startRedisServer("redis", ["--appendonly", appendonly ? "yes" : "no", ...renamed]);
}

/** A Redis server with more configuration, in the form of its command line. */
export async function startRedisServer(
  name: string,
  configuration: readonly string[],
): Promise<RedisServer> {
  const { path, env } = await program("redis-server");
  const host = "127.0.0.1";
  const port = await freePort();
  const workplace = openWorkplace(name);
  const listen = ["--bind", host, "--port", String(port)];
  // With `no`, it answers when a write has reached the kernel, which survives a kill. By default it
  // waits for the disk once a second, and meanwhile answers writes that are not written anywhere
  // yet.
  const files = ["--dir", workplace.data, "--save", "", "--appendfsync", "no"];
  const server = await launch({
    name,
    workplace,
    command: [path, ...listen, ...files, ...configuration],
    env,
    ready: (output) => output.includes("Ready to accept connections"),
    stopSignal: "SIGTERM",
  });
  return Object.assign(server, { host, port, url: `redis://${host}:${port}` });
}
