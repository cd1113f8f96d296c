import {
  CreateStreamCommand,
  DescribeLimitsCommand,
  DescribeStreamSummaryCommand,
  IncreaseStreamRetentionPeriodCommand,
  LimitExceededException,
  ListShardsCommand,
  UpdateShardCountCommand,
  UpdateStreamModeCommand,
} from "@aws-sdk/client-kinesis";
import { describe, expect, it } from "vitest";
import { setup } from "./setup.ts";

const s = { StreamName: "s" };

describe("the control plane's quotas", () => {
  it("admit an operation so many times a second for the account, and one more soon after", async () => {
    const { clock, kinesis } = setup({ streams: { s: 1, t: 1 } });
    const summarize = (StreamName: string) =>
      kinesis.send(new DescribeStreamSummaryCommand({ StreamName }));
    for (let i = 0; i < 10; i++) await Promise.all([summarize("s"), summarize("t")]);
    await expect(summarize("t")).rejects.toMatchObject({
      name: "LimitExceededException",
      message: expect.stringContaining("DescribeStreamSummary on account 000000000000: 20 calls"),
    });
    await kinesis.send(new DescribeLimitsCommand({}));
    await expect(kinesis.send(new DescribeLimitsCommand({}))).rejects.toThrow(
      LimitExceededException,
    );
    await clock.advance(50);
    await summarize("t");
  });

  it("count single streams where the service does", async () => {
    const { kinesis } = setup({ streams: { s: 1, t: 1 } });
    const list = (StreamName: string) => kinesis.send(new ListShardsCommand({ StreamName }));
    for (let i = 0; i < 1000; i++) await list("s");
    await expect(list("s")).rejects.toThrow("ListShards on stream s under account");
    await list("t");
    const raise = (StreamName: string) =>
      kinesis.send(
        new IncreaseStreamRetentionPeriodCommand({ StreamName, RetentionPeriodHours: 48 }),
      );
    for (let i = 0; i < 5; i++) await raise("s");
    await expect(raise("s")).rejects.toThrow(LimitExceededException);
    await raise("t");
  });

  it("admit what scales a stream so many times within 24 hours", async () => {
    const { clock, kinesis } = setup();
    const scale = (TargetShardCount: number) =>
      kinesis.send(
        new UpdateShardCountCommand({ ...s, TargetShardCount, ScalingType: "UNIFORM_SCALING" }),
      );
    for (let i = 0; i < 10; i++) {
      await scale(1 + ((i + 1) % 2));
      await clock.advance(3_600_000);
    }
    await expect(scale(2)).rejects.toThrow("UpdateShardCount succeeds 10 times within 24 hours");
    await clock.advance(15 * 3_600_000);
    await scale(2);

    const StreamARN = "arn:aws:kinesis:us-east-1:000000000000:stream/s";
    const mode = (StreamMode: "ON_DEMAND" | "PROVISIONED") =>
      kinesis.send(new UpdateStreamModeCommand({ StreamARN, StreamModeDetails: { StreamMode } }));
    await mode("ON_DEMAND");
    await mode("PROVISIONED");
    await expect(mode("ON_DEMAND")).rejects.toThrow(LimitExceededException);
  });

  it("admit five streams in the CREATING state", async () => {
    const { clock, kinesis } = setup({ transitionMs: 60_000 });
    const create = (StreamName: string) =>
      kinesis.send(new CreateStreamCommand({ StreamName, ShardCount: 1 }));
    for (const name of ["a", "b", "c", "d", "e"]) await create(name);
    await clock.advance(1000);
    await expect(create("f")).rejects.toThrow("5 streams are in the CREATING state");
    await clock.advance(60_000);
    await create("f");
  });

  it("can be switched off, alone", async () => {
    const { kinesis } = setup({ quotas: { controlPlane: false } });
    for (let i = 0; i < 50; i++) await kinesis.send(new DescribeStreamSummaryCommand(s));
  });
});
