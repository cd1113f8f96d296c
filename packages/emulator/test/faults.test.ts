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

  it("are refused when they could never happen", () => {
    const { faults } = new FakeKinesis();
    expect(() => faults.fail({ call: 0, error: "InternalFailure" })).toThrow(RangeError);
    expect(() => faults.htmlError({ status: 404 })).toThrow(RangeError);
    // @ts-expect-error a name that the service does not use
    expect(() => faults.fail({ error: "NoSuchException" })).toThrow(TypeError);
  });
});
