import {
  GetRecordsCommand,
  type GetRecordsCommandInput,
  type GetRecordsCommandOutput,
} from "@aws-sdk/client-kinesis";
import { describeError } from "../../errors.ts";
import type { Telemetry } from "../../telemetry/telemetry.ts";
import { DecodedRecords } from "../page-records.ts";
import { recordsPage, type RecordsPage } from "../records-page.ts";
import { numberedRecords } from "../reply-shapes.ts";
import { UnreadableReplyError } from "./records-reply.ts";
import { watchReply, type WireProtocol } from "./middleware.ts";
import { PageCommands } from "./page-command.ts";
import type { ReplyWatch } from "./records-reply.ts";

/**
 * What GetRecords speaks: CBOR, or JSON where that is not understood (`auto`); one of the two; or
 * JSON as the SDK itself reads it.
 */
export const WIRE_OPTIONS = ["auto", "cbor", "json", "sdk"] as const;

export type WireOption = (typeof WIRE_OPTIONS)[number];

type Send = (command: GetRecordsCommand) => Promise<GetRecordsCommandOutput>;

/**
 * The commands of GetRecords, and what they are written in. `auto` begins with CBOR, which is what
 * the service's Java client speaks, and goes over to JSON for good when CBOR was not understood
 * *and the same request in JSON was answered*: an outage or a load balancer's page proves nothing.
 */
export class Wire {
  readonly #option: WireOption;
  readonly #telemetry: Telemetry;
  #protocol: WireProtocol;
  readonly #commands = { cbor: new PageCommands("cbor"), json: new PageCommands("json") };

  constructor(option: WireOption, telemetry: Telemetry) {
    this.#option = option;
    this.#telemetry = telemetry;
    this.#protocol = option === "json" ? "json" : "cbor";
  }

  /** `send` carries a command out. Rejects with what it, or `watch`, rejects with. */
  async getRecords(
    input: GetRecordsCommandInput,
    send: Send,
    watch: ReplyWatch,
  ): Promise<RecordsPage> {
    if (this.#option === "sdk") {
      const command = new GetRecordsCommand(input);
      watchReply(command, watch);
      return asRead(await send(command));
    }
    const protocol = this.#protocol;
    try {
      return await getRecordsBy(this.#commands[protocol], input, send, watch);
    } catch (error) {
      const mayFallBack = this.#option === "auto" && protocol === "cbor";
      if (!mayFallBack || !speaksNoCbor(error)) throw error;
      const output = await getRecordsBy(this.#commands.json, input, send, watch);
      this.#fallBack(error);
      return output;
    }
  }

  #fallBack(reason: unknown): void {
    if (this.#protocol === "json") return;
    this.#protocol = "json";
    this.#telemetry.add("wire_fallbacks", 1, {});
    this.#telemetry.warn("the endpoint does not speak CBOR as Kinesis does: records come as JSON", {
      reason: describeError(reason),
    });
  }
}

async function getRecordsBy(
  commands: PageCommands,
  input: GetRecordsCommandInput,
  send: Send,
  watch: ReplyWatch,
): Promise<RecordsPage> {
  const command = commands.create(input, watch);
  const output = await send(command);
  const { reply } = command;
  // A client that runs no middleware has read the reply itself.
  if (reply === undefined) return asRead(output);
  const { members, records, servedAt } = reply;
  return recordsPage({ ...members, $metadata: output.$metadata, Records: [] }, records, servedAt);
}

function asRead(output: GetRecordsCommandOutput): RecordsPage {
  return recordsPage(output, new DecodedRecords(numberedRecords(output.Records)), NaN);
}

const NOT_UNDERSTOOD = /^(?:Serialization|UnknownOperation)/;

/** Errors that say something about the encoding, and nothing about the service's health. */
function speaksNoCbor(error: unknown): boolean {
  if (error instanceof UnreadableReplyError) return true;
  const { name, $metadata } = error as {
    readonly name?: string;
    readonly $metadata?: { readonly httpStatusCode?: number };
  };
  const status = $metadata?.httpStatusCode ?? 0;
  return status < 500 && (status === 415 || NOT_UNDERSTOOD.test(name ?? ""));
}
