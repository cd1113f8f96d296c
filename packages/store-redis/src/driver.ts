/**
 * The part of `ioredis` that the store uses. A `Redis` and a `Cluster` of versions 5 and 6 fit as they are, from any
 * copy of the driver.
 */
export interface RedisClient extends Omit<RedisNode, "duplicate"> {
  /** Not used for a `Cluster`: that of its nodes is. */
  duplicate(...parameters: unknown[]): unknown;
  readonly status: string;
  /** True for a `Cluster`. */
  readonly isCluster?: boolean;
  readonly options: { readonly keyPrefix?: string | undefined };
  connect(): Promise<void>;
  pipeline(commands: unknown[][]): RedisPipeline;
  /** Defined for a `Cluster`. */
  nodes?(role?: "master"): readonly RedisNode[];
  on(event: string, listener: (error: Error) => void): unknown;
  off(event: string, listener: (error: Error) => void): unknown;
}

/** A connection that receives published messages. */
export interface RedisSubscriber {
  readonly status: string;
  subscribe(channel: string): Promise<unknown>;
  ping(): Promise<unknown>;
  disconnect(): void;
  on(event: "message", listener: (channel: string, message: string) => void): unknown;
  on(event: "ready" | "error" | "end", listener: () => void): unknown;
}

/** One server. */
export interface RedisNode {
  call(command: string, args: string[]): Promise<unknown>;
  /** Returns a new connection to the same server. */
  duplicate(options: object): RedisSubscriber;
}

export interface RedisPipeline {
  exec(): Promise<[error: Error | null, result: unknown][] | null>;
}
