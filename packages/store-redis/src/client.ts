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
  /** A `Cluster` has them. */
  nodes?(role?: "master"): readonly RedisNode[];
  on(event: string, listener: (error: Error) => void): unknown;
  off(event: string, listener: (error: Error) => void): unknown;
}

/** One server. */
export interface RedisNode {
  call(command: string, args: string[]): Promise<unknown>;
}

export interface RedisPipeline {
  exec(): Promise<[error: Error | null, result: unknown][] | null>;
}
