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
 * The encoding of GetRecords: `auto` = CBOR, or JSON if the endpoint does not understand CBOR; `cbor` or `json` =
 * always that one; `sdk` = JSON, decoded by the SDK.
 */
export const WIRE_OPTIONS = ["auto", "cbor", "json", "sdk"] as const;

export type WireOption = (typeof WIRE_OPTIONS)[number];

type Send = (command: GetRecordsCommand) => Promise<GetRecordsCommandOutput>;

/**
 * Sends GetRecords in CBOR or JSON. `auto` starts with CBOR, which AWS's Java client uses too. It switches to JSON
 * permanently if CBOR was not understood *and the same request in JSON succeeded*: an outage or a load balancer's error
 * page proves nothing.
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

  /** @param send sends a command. @throws what `send` or `watch` throws */
  async getRecords(
    input: GetRecordsCommandInput,
    send: Send,
    watch: ReplyWatch,
  ): Promise<RecordsPage> {
    if (this.#option === "sdk") {
      const command = new GetRecordsCommand(input);
      watchReply(command, watch);
      return fromOutput(await send(command));
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
    this.#telemetry.warn(
      "the endpoint does not speak CBOR as Kinesis does: records are read as JSON",
      {
        reason: describeError(reason),
      },
    );
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
  // A client that runs no middleware has decoded the reply itself.
  if (reply === undefined) return fromOutput(output);
  const { members, records, servedAt } = reply;
  return recordsPage({ ...members, $metadata: output.$metadata, Records: [] }, records, servedAt);
}

/** Converts a reply that the client has decoded. */
function fromOutput(output: GetRecordsCommandOutput): RecordsPage {
  return recordsPage(output, new DecodedRecords(numberedRecords(output.Records)), NaN);
}

const NOT_UNDERSTOOD = /^(?:Serialization|UnknownOperation)/;

/** Whether an error is about the encoding, and not about the service's health. */
function speaksNoCbor(error: unknown): boolean {
  if (error instanceof UnreadableReplyError) return true;
  const { name, $metadata } = error as {
    readonly name?: string;
    readonly $metadata?: { readonly httpStatusCode?: number };
  };
  const status = $metadata?.httpStatusCode ?? 0;
  return status < 500 && (status === 415 || NOT_UNDERSTOOD.test(name ?? ""));
}
