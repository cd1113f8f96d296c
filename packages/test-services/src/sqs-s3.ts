import { fileURLToPath } from "node:url";
import { freePort } from "./free-port.ts";
import { type Address, type Lifecycle, launch } from "./server-process.ts";
import { openWorkplace } from "./workplace.ts";

/** SQS and S3 at one endpoint, for any region and credentials. S3 needs `forcePathStyle`. */
export interface SqsS3Address extends Address {
  readonly endpoint: string;
}

/** Its queues and buckets are in memory, and are lost by `kill` or `stop` and `restart`. */
export interface SqsS3Server extends SqsS3Address, Lifecycle {}

const FAUXQS = fileURLToPath(new URL("../node_modules/fauxqs/dist/app.js", import.meta.url));

/** Its own command listens on every address of the machine, and refuses objects above 11 MiB. */
const PROGRAM = `
const [path, port] = process.argv.slice(1);
const { buildApp } = await import(path);
const app = buildApp({ logger: false });
app.removeContentTypeParser("");
app.addContentTypeParser("*", { parseAs: "buffer", bodyLimit: 2 ** 26 }, (_, body, done) => done(null, body));
await app.listen({ port: Number(port), host: "127.0.0.1" });
console.log("ready");`;

export async function startSqsS3(): Promise<SqsS3Server> {
  const workplace = openWorkplace("sqs-s3");
  const host = "127.0.0.1";
  const port = await freePort();
  const server = await launch({
    name: "fauxqs",
    workplace,
    command: [process.execPath, "--input-type=module", "-e", PROGRAM, FAUXQS, String(port)],
    env: { NODE_OPTIONS: "" },
    ready: (output) => output.includes("ready"),
    stopSignal: "SIGTERM",
  });
  return Object.assign(server, { host, port, endpoint: `http://${host}:${port}` });
}
