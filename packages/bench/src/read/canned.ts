import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { fileURLToPath } from "node:url";
import { KinesisClient } from "@aws-sdk/client-kinesis";
import { KinesisHttpHandler } from "@kc/core";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import type { CannedPages, ServerCounts } from "./canned-server.ts";

export const STREAM = "bench";
const CONNECTIONS = 50;

/** A canned server, as its clients see it. */
export class Endpoint {
  readonly url: string;
  readonly pages: CannedPages;
  readonly agent: HttpAgent;

  constructor(url: string, pages: CannedPages) {
    this.url = url;
    this.pages = pages;
    const options = { keepAlive: true, maxSockets: CONNECTIONS };
    this.agent = pages.tls
      ? new HttpsAgent({ ...options, ca: pages.tls.cert })
      : new HttpAgent(options);
  }

  /** The number of records that a handler gets from all pages of all shards. */
  get total(): number {
    return this.pages.pages * this.totalOfOnePage;
  }

  /** The same for one page of each shard. */
  get totalOfOnePage(): number {
    const { shards, records, aggregated = 1 } = this.pages;
    return shards * records * aggregated;
  }

  /** The client that the documentation recommends. */
  client(): KinesisClient {
    const { tls } = this.pages;
    const handler = tls === undefined ? {} : { tls: { ca: tls.cert } };
    return this.#clientOver(new KinesisHttpHandler(handler));
  }

  /** A client with the SDK's HTTP/1.1 handler, which keeps connections alive. */
  sdkClient(): KinesisClient {
    const { agent } = this;
    return this.#clientOver(
      new NodeHttpHandler(
        agent instanceof HttpsAgent ? { httpsAgent: agent } : { httpAgent: agent },
      ),
    );
  }

  #clientOver(requestHandler: KinesisHttpHandler | NodeHttpHandler): KinesisClient {
    return new KinesisClient({
      endpoint: this.url,
      region: "us-east-1",
      credentials: { accessKeyId: "bench", secretAccessKey: "bench" },
      requestHandler,
    });
  }
}

/** The canned server in a separate process. */
export class Canned extends Endpoint implements AsyncDisposable {
  readonly #process: ChildProcess;

  private constructor(child: ChildProcess, url: string, pages: CannedPages) {
    super(url, pages);
    this.#process = child;
  }

  static async start(pages: CannedPages): Promise<Canned> {
    const program = fileURLToPath(new URL("canned-server.js", import.meta.url));
    const child = fork(program, [JSON.stringify(pages)]);
    const [{ url }] = (await once(child, "message")) as [{ url: string }];
    return new Canned(child, url, pages);
  }

  /** Its counts since its start. */
  async counts(): Promise<ServerCounts> {
    this.#process.send("counts");
    const [counts] = (await once(this.#process, "message")) as [ServerCounts];
    return counts;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.agent.destroy();
    this.#process.disconnect();
    await once(this.#process, "exit");
  }
}
