import type { KinesisClient } from "@aws-sdk/client-kinesis";

/** One fact about Kinesis, as seen through the real SDK. */
type Scenario = (server: { readonly client: KinesisClient; readonly url: string }) => Promise<void>;

/** Scenarios by a stable key, which the known divergences refer to. */
export type Scenarios = Readonly<Record<string, Scenario>>;
