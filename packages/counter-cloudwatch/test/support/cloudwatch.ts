import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { gunzipSync } from "node:zlib";
import { CloudWatch } from "@aws-sdk/client-cloudwatch";

export interface Request {
  readonly Namespace: string;
  readonly MetricData: readonly {
    readonly MetricName: string;
    readonly Unit: string;
    readonly StorageResolution: number;
    readonly Dimensions: readonly { readonly Name: string; readonly Value: string }[];
    readonly Value?: number;
    readonly Values?: readonly number[];
    readonly Counts?: readonly number[];
  }[];
}

export interface TestCloudWatch extends AsyncDisposable {
  readonly client: CloudWatch;
  readonly requests: readonly Request[];
  /** The most requests that were under way at the same time. */
  readonly mostAtOnce: number;
  /** What it answers with from now on. */
  answers: "well" | "refuses" | "hangs";
}

const MAX_BYTES = 1_000_000;

/** What listens where CloudWatch would, and the SDK's client for it. */
export async function startCloudWatch(): Promise<TestCloudWatch> {
  const requests: Request[] = [];
  let underWay = 0;
  let mostAtOnce = 0;
  const server = createServer((message, response) => {
    mostAtOnce = Math.max(mostAtOnce, (underWay += 1));
    response.on("close", () => (underWay -= 1));
    const chunks: Buffer[] = [];
    message.on("data", (chunk: Buffer) => chunks.push(chunk));
    message.on("end", () => {
      const body = Buffer.concat(chunks);
      const plain = message.headers["content-encoding"] === "gzip" ? gunzipSync(body) : body;
      const request = JSON.parse(plain.toString()) as Request;
      if (cloudWatch.answers === "hangs") return;
      const refused = cloudWatch.answers === "refuses" || plain.length > MAX_BYTES;
      if (!refused) requests.push(request);
      response.writeHead(refused ? 400 : 200, { "content-type": "application/x-amz-json-1.0" });
      response.end(refused ? '{"__type":"AccessDeniedException"}' : "{}");
    });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  const client = new CloudWatch({
    endpoint: `http://127.0.0.1:${port}`,
    region: "us-east-1",
    credentials: { accessKeyId: "any", secretAccessKey: "any" },
  });
  const cloudWatch: TestCloudWatch = {
    client,
    requests,
    get mostAtOnce() {
      return mostAtOnce;
    },
    answers: "well",
    async [Symbol.asyncDispose]() {
      client.destroy();
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
  return cloudWatch;
}
