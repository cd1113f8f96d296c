import { KinesisClient, type KinesisClientConfig } from "@aws-sdk/client-kinesis";
import { startFerrokinesis, startKinesalite, startKinesisLocal } from "@kc-internal/test-services";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { startEmulator } from "../../src/index.ts";

/** A server that speaks Kinesis, with a client for it. */
export interface Target {
  readonly client: KinesisClient;
  readonly url: string;
  close(): Promise<void>;
}

/** The servers that the scenarios run against, by name, and how they are started. */
export const targets = {
  "emulator, SDK's default handler": () => emulator({}),
  "emulator, NodeHttpHandler": () => emulator({ requestHandler: new NodeHttpHandler() }),
  kinesalite,
  "kinesis-local": kinesisLocal,
  ferrokinesis,
} as const satisfies Record<string, () => Promise<Target>>;

export type TargetName = keyof typeof targets;

/** The scenarios read and write faster than the service allows: quotas have tests of their own. */
async function emulator(config: KinesisClientConfig): Promise<Target> {
  const server = await startEmulator({ quotas: false });
  return target(server.url, config, () => server.close());
}

async function kinesalite(): Promise<Target> {
  const server = await startKinesalite();
  // One of its bugs is that it never replies.
  const requestHandler = new NodeHttpHandler({ requestTimeout: 3000, throwOnRequestTimeout: true });
  return target(server.url, { requestHandler }, async () => server[Symbol.asyncDispose]());
}

async function ferrokinesis(): Promise<Target> {
  const server = await startFerrokinesis();
  const requestHandler = new NodeHttpHandler();
  return target(server.url, { requestHandler }, async () => server[Symbol.asyncDispose]());
}

async function kinesisLocal(): Promise<Target> {
  const server = await startKinesisLocal();
  const requestHandler = new NodeHttpHandler();
  return target(server.url, { requestHandler }, async () => server[Symbol.asyncDispose]());
}

function target(url: string, config: KinesisClientConfig, stop: () => Promise<void>): Target {
  const client = new KinesisClient({
    endpoint: url,
    region: "us-east-1",
    credentials: { accessKeyId: "any", secretAccessKey: "any" },
    // What a server says first is what counts.
    maxAttempts: 1,
    ...config,
  });
  return {
    client,
    url,
    close: async () => {
      client.destroy();
      await stop();
    },
  };
}
