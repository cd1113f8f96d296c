/**
 * The part of `ioredis` that is used here. A `Redis` and a `Cluster` of versions 5 and 6 fit as they
 * are, whichever copy of the driver they come from.
 */
export interface RedisClient extends Omit<RedisNode, "duplicate"> {
  /** Of a `Cluster` it is not used: its nodes' is. */
  duplicate(...parameters: unknown[]): unknown;
  readonly status: string;
  /** True for a `Cluster`. */
  readonly isCluster?: boolean;
  readonly options: { readonly keyPrefix?: string | undefined };
  connect(): Promise<void>;
  pipeline(commands: unknown[][]): RedisPipeline;
  /** A `Cluster` has them. */
  nodes?(role?: "master"): readonly RedisNode[];
  on(event: string, listener: (error: Error) => void): unknown;
  off(event: string, listener: (error: Error) => void): unknown;
}

/** A connection that hears what is published. */
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
  /** A connection of its own, to the same server. */
  duplicate(options: object): RedisSubscriber;
}

export interface RedisPipeline {
  exec(): Promise<[error: Error | null, result: unknown][] | null>;
}
