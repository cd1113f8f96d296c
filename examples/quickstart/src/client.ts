import { KinesisClient } from "@aws-sdk/client-kinesis";
import { KinesisHttpHandler } from "@kc/core";

/**
 * A client for the endpoint, which keeps its connections alive: the SDK's default for Kinesis opens
 * one for each call. A plain http:// endpoint is an emulator, which accepts any credentials.
 */
export function makeClient(endpoint: string): KinesisClient {
  const region = process.env["AWS_REGION"] ?? "us-east-1";
  const requestHandler = new KinesisHttpHandler();
  if (!endpoint.startsWith("http:")) return new KinesisClient({ region, endpoint, requestHandler });
  return new KinesisClient({
    region,
    endpoint,
    requestHandler,
    credentials: { accessKeyId: "demo", secretAccessKey: "demo" },
  });
}
