import type { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import type { DynamoDBClientLike } from "../../src/index.ts";

/** A client that keeps the names of the commands that it sends, and lets a test step in. */
export class SpyClient implements DynamoDBClientLike {
  readonly sent: string[] = [];
  /** What the last command asked for. */
  input: object = {};
  /** Awaited before a command is sent; may throw in its place. */
  before: (command: string) => unknown = () => undefined;
  /** Awaited after a command was answered; may change the answer or throw. */
  after: (command: string, output: object) => unknown = () => undefined;
  readonly #client: DynamoDBClient;

  constructor(client: DynamoDBClient) {
    this.#client = client;
  }

  async send(
    command: Parameters<DynamoDBClient["send"]>[0],
    options?: { abortSignal?: AbortSignal },
  ): Promise<unknown> {
    const name = command.constructor.name.replace(/Command$/, "");
    this.sent.push(name);
    this.input = command.input;
    await this.before(name);
    const output: object = await this.#client.send(command, options);
    await this.after(name, output);
    return output;
  }

  /** What was sent since the last time. */
  take(): string[] {
    return this.sent.splice(0);
  }
}
