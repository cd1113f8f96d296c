import { KinesisClient } from "@aws-sdk/client-kinesis";
import { NodeHttpHandler } from "@smithy/node-http-handler";

/**
 * A client for the endpoint. Behind plain http:// stands an emulator: it takes any credentials, and
 * not all of them speak the HTTP/2 that the SDK would use.
 */
export function makeClient(endpoint: string): KinesisClient {
  const region = process.env["AWS_REGION"] ?? "us-east-1";
  if (!endpoint.startsWith("http:")) return new KinesisClient({ region, endpoint });
  return new KinesisClient({
    region,
    endpoint,
    requestHandler: new NodeHttpHandler({}),
    credentials: { accessKeyId: "demo", secretAccessKey: "demo" },
  });
}
