/**
 * The part of `ioredis` that is used here. A `Redis` and a `Cluster` of versions 5 and 6 fit as they
 * are, whichever copy of the driver they come from.
 */
export interface RedisClient extends RedisNode {
  readonly status: string;
  /** True for a `Cluster`. */
  readonly isCluster?: boolean;
  readonly options: { readonly keyPrefix?: string | undefined };
  connect(): Promise<void>;
  pipeline(commands: unknown[][]): RedisPipeline;
  /** A connection of its own that subscribes. A `Cluster` takes its options second. */
  duplicate(...parameters: unknown[]): RedisSubscriber;
  /** A `Cluster` has them. */
  nodes?(role?: "master"): readonly RedisNode[];
  on(event: string, listener: (error: Error) => void): unknown;
  off(event: string, listener: (error: Error) => void): unknown;
}

/** A connection that hears what is published. */
export interface RedisSubscriber {
  subscribe(channel: string): Promise<unknown>;
  disconnect(): void;
  on(event: "message", listener: (channel: string, message: string) => void): unknown;
  on(event: "ready" | "error", listener: () => void): unknown;
}

/** One server. */
export interface RedisNode {
  call(command: string, args: string[]): Promise<unknown>;
}

export interface RedisPipeline {
  exec(): Promise<[error: Error | null, result: unknown][] | null>;
}
