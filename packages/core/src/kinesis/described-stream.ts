import {
  DescribeStreamSummaryCommand,
  type DescribeStreamSummaryCommandOutput,
  type StreamDescriptionSummary,
} from "@aws-sdk/client-kinesis";
import type { Clock } from "../clock.ts";
import { KcError } from "../errors.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { CallTarget } from "./call-failure.ts";
import { Distribution } from "./distribution.ts";
import { streamSummary } from "./reply-shapes.ts";
import { Retention } from "./retention.ts";
import { ServiceClock } from "./service-clock.ts";
import type { StreamCalls } from "./stream-calls.ts";
import { isSameStream, type StreamId } from "./stream-id.ts";

export interface StreamDescription {
  readonly streamARN: string;
  /** `undefined` if the service does not report it, as some emulators. */
  readonly creationTimestamp: Date | undefined;
}

export interface DescribedStreamOptions {
  readonly id: StreamId;
  readonly calls: StreamCalls;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  /** Where the calls go, for messages. */
  readonly target: () => CallTarget;
}

const OPERATION = "DescribeStreamSummary";

/** What the service reports about the stream: existence, creation time, record distribution, retention. */
export class DescribedStream {
  readonly distribution: Distribution;
  readonly retention: Retention;
  readonly #options: DescribedStreamOptions;
  readonly #serviceClock: ServiceClock;
  /** The service has described the stream. Later replies that it does not exist may be wrong. */
  #wasFound = false;
  /** From the first description. */
  #createdAt: Date | undefined;
  #isRefreshing = false;

  constructor(options: DescribedStreamOptions) {
    this.#options = options;
    this.#serviceClock = new ServiceClock(options.clock);
    this.distribution = new Distribution(options.clock);
    this.retention = new Retention(options.clock);
  }

  /** Whether the service has described the stream: it exists, or existed. */
  get wasFound(): boolean {
    return this.#wasFound;
  }

  /** The service's time of day, by its replies. */
  serviceNow(): Date {
    return this.#serviceClock.now();
  }

  async describe(signal: AbortSignal): Promise<StreamDescription> {
    const { calls } = this.#options;
    const call = { operation: OPERATION, mayExist: () => this.#wasFound };
    const command = this.#command();
    const summary = await calls.call(call, command, signal, readSummary).catch((error: unknown) => {
      throw calls.failure(OPERATION, error, signal);
    });
    return this.#update(summary);
  }

  /**
   * Describes the stream again if the last description is too old, because its retention or its distribution may
   * have changed. Reading does not wait for it. A failed call is repeated when the next description is due.
   */
  refresh(signal: AbortSignal): void {
    if (this.#isRefreshing) return;
    const isRequested = this.distribution.claimRefresh();
    if (!this.retention.claimRefresh() && !isRequested) return;
    void this.#refresh(signal);
  }

  async #refresh(signal: AbortSignal): Promise<void> {
    const { calls, telemetry } = this.#options;
    this.#isRefreshing = true;
    try {
      this.#update(await calls.callOnce(OPERATION, this.#command(), signal, readSummary));
    } catch (error) {
      if (signal.aborted) return;
      telemetry.debug("the description of the stream was not refreshed", { error });
    } finally {
      this.#isRefreshing = false;
    }
  }

  /**
   * A recreated stream has shards with the ids of those that are being read.
   * @throws KcError if the stream was recreated
   */
  async checkSameStream(signal: AbortSignal): Promise<void> {
    const { creationTimestamp } = await this.describe(signal);
    if (isSameStream(this.#createdAt, creationTimestamp)) return;
    const { stream } = this.#options.target();
    throw new KcError(
      "STREAM_RECREATED",
      `stream ${stream} was deleted and recreated at ${creationTimestamp?.toISOString()} ` +
        `while it was read: checkpoints of the earlier one mean nothing here. Use another application ` +
        `name, or delete this application's rows.`,
    );
  }

  #command(): DescribeStreamSummaryCommand {
    const command = new DescribeStreamSummaryCommand(this.#options.id);
    this.#serviceClock.readFrom(command);
    return command;
  }

  #update(summary: StreamDescriptionSummary): StreamDescription {
    this.#wasFound = true;
    this.distribution.described(summary);
    this.retention.described(summary.RetentionPeriodHours);
    const creationTimestamp = summary.StreamCreationTimestamp ?? undefined;
    this.#createdAt ??= creationTimestamp;
    return { streamARN: summary.StreamARN ?? "", creationTimestamp };
  }
}

function readSummary(output: DescribeStreamSummaryCommandOutput): StreamDescriptionSummary {
  return streamSummary(output.StreamDescriptionSummary);
}
