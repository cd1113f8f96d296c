import { KinesisClient } from "@aws-sdk/client-kinesis";
import type { ConsumerOptions } from "@kc/core";
import { NodeHttp2Handler, NodeHttpHandler } from "@smithy/node-http-handler";

export type ClientName = keyof typeof CLIENTS;

/** Endpoint, Region and credentials come from the environment, as for the consumer's own client. */
export const CLIENTS = {
  "SDK's default": {
    http2: true,
    options: () => ({ client: new KinesisClient() }),
  },
  "NodeHttp2Handler, streams of one session": {
    http2: true,
    options: () => ({ client: new KinesisClient({ requestHandler: new NodeHttp2Handler() }) }),
  },
  NodeHttpHandler: {
    http2: false,
    options: () => ({ client: new KinesisClient({ requestHandler: new NodeHttpHandler() }) }),
  },
  "KinesisHttpHandler, the consumer's own": {
    http2: false,
    options: () => ({}),
  },
} satisfies Readonly<
  Record<string, { http2: boolean; options: () => Pick<ConsumerOptions, "client"> }>
>;

export const CLIENT_NAMES: readonly ClientName[] = Object.keys(CLIENTS) as ClientName[];
