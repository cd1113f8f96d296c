import { CreateStreamCommand, DeleteStreamCommand } from "@aws-sdk/client-kinesis";
import { describe, expect, it } from "vitest";
import { setup } from "./setup.ts";

describe("CreateStream", () => {
  it("refuses a stream without a number of shards", async () => {
    const { kinesis } = setup();
    await expect(kinesis.send(new CreateStreamCommand({ StreamName: "t" }))).rejects.toMatchObject({
      name: "InvalidArgumentException",
      message: expect.stringContaining("ShardCount must be provided"),
    });
  });

  it("numbers the records of a stream recreated above the old one's, within one second too", async () => {
    const { kinesis, put } = setup();
    const numbers: string[] = [];
    for (let round = 0; round < 3; round++) {
      for (const text of ["a", "b"]) numbers.push((await put(text)).SequenceNumber!);
      await kinesis.send(new DeleteStreamCommand({ StreamName: "s" }));
      await kinesis.send(new CreateStreamCommand({ StreamName: "s", ShardCount: 1 }));
    }
    expect(numbers).toEqual(numbers.toSorted());
    expect(new Set(numbers).size).toBe(6);
  });
});
