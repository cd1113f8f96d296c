import {
  GetShardIteratorCommand,
  type GetRecordsCommandOutput,
  type GetShardIteratorCommandInput,
} from "@aws-sdk/client-kinesis";
import type { CallPermit, Caller } from "./call-permit.ts";
import type { CallSemaphore } from "./call-semaphore.ts";
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
  readonly semaphore: CallSemaphore;
  readonly wire: Wire;
  readonly signal: AbortSignal;
  readonly send: <Output>(
    operation: string,
    command: object,
    permit: CallPermit,
  ) => Promise<Output>;
  /** Called after a successful call that another call follows. */
  readonly onAnswered: (operation: string) => void;
}

/** The calls of one attempt to read a page: GetShardIterator if needed, and GetRecords, under one permit. */
export class ShardCalls {
  readonly #options: ShardCallsOptions;
  #permit: CallPermit | undefined;

  constructor(options: ShardCallsOptions) {
    this.#options = options;
  }

  /** Waits for the permit for the calls. @throws the signal's reason */
  async acquire(caller: Caller): Promise<void> {
    this.#permit = await this.#options.semaphore.acquire(caller, this.#options.signal);
  }

  async getShardIterator(position: IteratorPosition): Promise<string> {
    const { stream, shardId, send, onAnswered } = this.#options;
    const command = new GetShardIteratorCommand({ ...stream, ShardId: shardId, ...position });
    const { ShardIterator } = await send<{ ShardIterator?: string }>(
      "GetShardIterator",
      command,
      this.#permit!,
    );
    if (!ShardIterator) {
      throw new UnexpectedReplyError("the reply of GetShardIterator has no iterator");
    }
    onAnswered("GetShardIterator");
    return ShardIterator;
  }

  /**
   * Gets a page.
   * @param fits returns whether there is memory for a number of bytes. It is called before the reply's
   * body is read if the reply announces its length
   * @throws NoRoomError if there is no memory
   */
  async getRecords(
    iterator: string,
    limit: number,
    fits: (bytes: number) => boolean,
  ): Promise<RecordsPage> {
    const { stream, wire, send } = this.#options;
    const permit = this.#permit!;
    const arn = "StreamARN" in stream ? stream : {};
    const page = await wire.getRecords(
      { ShardIterator: iterator, Limit: limit, ...arn },
      (command) => send<GetRecordsCommandOutput>("GetRecords", command, permit),
      (bytes) => {
        permit.activity();
        if (!fits(bytes)) throw new NoRoomError(bytes);
      },
    );
    const { heldBytes } = page.records;
    if (!fits(heldBytes)) throw new NoRoomError(heldBytes);
    return page;
  }

  /** Releases the permit. */
  release(): void {
    this.#permit?.release();
  }
}
