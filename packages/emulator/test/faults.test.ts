import { DescribeStreamSummaryCommand, KinesisServiceException } from "@aws-sdk/client-kinesis";
import { describe, expect, it } from "vitest";
import { FakeKinesis } from "../src/index.ts";
import { setup } from "./setup.ts";

describe("faults", () => {
  it("befall the call that they are planned for", async () => {
    const { kinesis, iterator, read } = setup();
    kinesis.faults.fail({
      operation: "GetRecords",
      error: "KMSAccessDeniedException",
      call: 2,
      times: 2,
    });
    const at = await iterator();
    await read(at);
    for (let i = 0; i < 2; i++) {
      await expect(read(at)).rejects.toMatchObject({
        name: "KMSAccessDeniedException",
        $metadata: { httpStatusCode: 400 },
      });
    }
    await read(at);
  });

  it("befall only inputs that match, until they are taken back", async () => {
    const { kinesis, iterator } = setup({ streams: { s: 2 } });
    const error = new Error("credentials are gone");
    const takeBack = kinesis.faults.fail({
      where: (input) => input["ShardId"] === "shardId-000000000001",
      times: Infinity,
      error,
    });
    await iterator();
    await expect(iterator({ ShardId: "shardId-000000000001" })).rejects.toBe(error);
    takeBack();
    await iterator({ ShardId: "shardId-000000000001" });
  });

  it("drop connections, answer with 5xx, and delay by the clock", async () => {
    const { clock, kinesis } = setup();
    const command = new DescribeStreamSummaryCommand({ StreamName: "s" });
    kinesis.faults.drop();
    await expect(kinesis.send(command)).rejects.toMatchObject({ code: "ECONNRESET" });

    kinesis.faults.htmlError({ status: 502 });
    const error = await kinesis.send(command).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(KinesisServiceException);
    expect(error).toMatchObject({ $fault: "server", $metadata: { httpStatusCode: 502 } });

    kinesis.faults.delay({ ms: 5000 });
    let replied = false;
    const reply = kinesis.send(command).then(() => (replied = true));
    await clock.advance(4999);
    expect(replied).toBe(false);
    await clock.advance(1);
    expect(await reply).toBe(true);
  });

  it("befall a part of the calls, by the random that was handed in", async () => {
    const rolls = [0.05, 0.5, 0.099, 0.1];
    const { kinesis } = setup({ random: () => rolls.shift() ?? 0.9 });
    kinesis.faults.fail({
      operation: "DescribeStreamSummary",
      chance: 0.1,
      error: "InternalFailure",
    });
    const command = new DescribeStreamSummaryCommand({ StreamName: "s" });
    const failed: boolean[] = [];
    for (let i = 0; i < 5; i++) {
      failed.push(
        await kinesis.send(command).then(
          () => false,
          () => true,
        ),
      );
    }
    expect(failed).toEqual([true, false, true, false, false]);
  });

  it("end a call only by its caller's abort, where no reply comes", async () => {
    const { clock, kinesis } = setup();
    kinesis.faults.hang();
    const controller = new AbortController();
    const command = new DescribeStreamSummaryCommand({ StreamName: "s" });
    let error: unknown;
    kinesis
      .send(command, { abortSignal: controller.signal })
      .catch((thrown: unknown) => (error = thrown));
    await clock.advance(3_600_000);
    expect(error).toBeUndefined();
    controller.abort();
    await clock.settle();
    expect(error).toMatchObject({ name: "AbortError" });
    await kinesis.send(command);
  });

  it("let the operation take effect all the same, where they are told to", async () => {
    const { clock, kinesis, put, iterator, read } = setup();
    kinesis.faults.fail({ error: "InternalFailure", takesEffect: true });
    await expect(put("a")).rejects.toMatchObject({ name: "InternalFailure" });
    kinesis.faults.drop({ takesEffect: true });
    await expect(put("b")).rejects.toMatchObject({ code: "ECONNRESET" });
    kinesis.faults.htmlError({ takesEffect: true });
    await expect(put("c")).rejects.toMatchObject({ $metadata: { httpStatusCode: 503 } });
    kinesis.faults.hang({ takesEffect: true });
    put("d").catch(() => {});
    await clock.settle();
    kinesis.faults.drop({ operation: "PutRecord" });
    await expect(put("e")).rejects.toMatchObject({ code: "ECONNRESET" });
    const { Records } = await read(await iterator());
    expect(Records!.map(({ Data }) => Buffer.from(Data!).toString())).toEqual(["a", "b", "c", "d"]);
  });

  it("lose a refusal like any other reply", async () => {
    const { kinesis, read } = setup();
    kinesis.faults.drop({ takesEffect: true });
    await expect(read("nonsense")).rejects.toMatchObject({ code: "ECONNRESET" });
  });

  it("are refused when they could never happen", () => {
    const { faults } = new FakeKinesis();
    expect(() => faults.fail({ call: 0, error: "InternalFailure" })).toThrow(RangeError);
    expect(() => faults.htmlError({ status: 404 })).toThrow(RangeError);
    expect(() => faults.drop({ chance: 0 })).toThrow(RangeError);
    expect(() => faults.hang({ chance: 1.1 })).toThrow(RangeError);
    expect(() => faults.blackHole({ ms: Number.NaN })).toThrow(RangeError);
    // @ts-expect-error a name that the service does not use
    expect(() => faults.fail({ error: "NoSuchException" })).toThrow(TypeError);
  });
});
