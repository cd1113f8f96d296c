import {
  GetShardIteratorCommand,
  type GetRecordsCommandOutput,
  type GetShardIteratorCommandInput,
} from "@aws-sdk/client-kinesis";
import type { CallLine } from "./call-line.ts";
import type { Caller, Turn } from "./call-turn.ts";
import { NoRoomError, type RecordsPage } from "./records-page.ts";
import { UnexpectedReplyError } from "./reply-shapes.ts";
import type { StreamId } from "./stream-id.ts";
import type { Wire } from "./wire/wire.ts";

export type IteratorPosition = Pick<
  GetShardIteratorCommandInput,
  "ShardIteratorType" | "StartingSequenceNumber" | "Timestamp"
>;

export interface ShardCallsOptions {
  readonly stream: StreamId;
  readonly shardId: string;
  readonly line: CallLine;
  readonly wire: Wire;
  readonly signal: AbortSignal;
  readonly send: <Output>(operation: string, command: object, turn: Turn) => Promise<Output>;
  /** Told of a call that is followed by another. */
  readonly answered: (operation: string) => void;
}

/** The calls of one try for one shard: an iterator, if there is none, and a page, in one turn. */
export class ShardCalls {
  readonly #options: ShardCallsOptions;
  #turn: Turn | undefined;

  constructor(options: ShardCallsOptions) {
    this.#options = options;
  }

  /** Waits for the turn in which the calls are made. @throws the signal's reason */
  async enter(caller: Caller): Promise<void> {
    this.#turn = await this.#options.line.enter(caller, this.#options.signal);
  }

  async getShardIterator(position: IteratorPosition): Promise<string> {
    const { stream, shardId, send, answered } = this.#options;
    const command = new GetShardIteratorCommand({ ...stream, ShardId: shardId, ...position });
    const { ShardIterator } = await send<{ ShardIterator?: string }>(
      "GetShardIterator",
      command,
      this.#turn!,
    );
    if (!ShardIterator) {
      throw new UnexpectedReplyError("the reply of GetShardIterator has no iterator");
    }
    answered("GetShardIterator");
    return ShardIterator;
  }

  /**
   * A page. `fits` is asked whether there is memory for so many bytes, before the reply's body is
   * read where its length is announced. @throws NoRoomError if there is not
   */
  async getRecords(
    iterator: string,
    limit: number,
    fits: (bytes: number) => boolean,
  ): Promise<RecordsPage> {
    const { stream, wire, send } = this.#options;
    const turn = this.#turn!;
    const arn = "StreamARN" in stream ? stream : {};
    const page = await wire.getRecords(
      { ShardIterator: iterator, Limit: limit, ...arn },
      (command) => send<GetRecordsCommandOutput>("GetRecords", command, turn),
      (bytes) => {
        turn.heard();
        if (!fits(bytes)) throw new NoRoomError(bytes);
      },
    );
    const { heldBytes } = page.records;
    if (!fits(heldBytes)) throw new NoRoomError(heldBytes);
    return page;
  }

  /** The turn is over. */
  end(): void {
    this.#turn?.leave();
  }
}
