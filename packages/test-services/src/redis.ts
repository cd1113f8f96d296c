import { freePort } from "./free-port.ts";
import { program } from "./programs.ts";
import { type Address, type Lifecycle, launch } from "./server-process.ts";
import { openWorkplace } from "./workplace.ts";

export interface RedisAddress extends Address {
  readonly url: string;
}

export interface RedisServer extends RedisAddress, Lifecycle {}

export interface RedisOptions {
  /** Whether it keeps what it stored over `kill` and `restart`. @default true */
  readonly appendonly?: boolean;
  /** Commands that it is not to know. @default none */
  readonly without?: readonly string[];
}

export function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const { appendonly = true, without = [] } = options;
  const renamed = without.flatMap((command) => ["--rename-command", command, ""]);
  return startRedisServer("redis", ["--appendonly", appendonly ? "yes" : "no", ...renamed]);
}

/** A Redis server with further configuration, given as on its command line. */
export async function startRedisServer(
  name: string,
  configuration: readonly string[],
): Promise<RedisServer> {
  const { path, env } = await program("redis-server");
  const host = "127.0.0.1";
  const port = await freePort();
  const workplace = openWorkplace(name);
  const listen = ["--bind", host, "--port", String(port)];
  // It answers when a write is in the kernel's hands, which outlives a kill. By default it waits for
  // the disk once a second, and answers meanwhile to what it has not written anywhere yet.
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
