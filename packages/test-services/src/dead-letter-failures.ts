/** Tests of a dead-letter queue of an AWS service behind a front that answers in the service's place. */
import { expect, test } from "vitest";
import type { Front, FrontAnswer } from "./front.ts";

/** A queue, and the front that its requests go through. */
interface Behind {
  readonly front: Front;
  /** Sends letters. */
  readonly send: (signal?: AbortSignal) => Promise<void>;
}

export interface DeadLetterFailures {
  readonly open: (timeoutMs?: number) => Promise<Behind>;
  /** The service's answer of an error. */
  readonly refusal: (status: number, error: string) => FrontAnswer;
  /** Errors of the service's, the code that each becomes, and a part of its message. */
  readonly refusals: readonly (readonly [
    status: number,
    error: string,
    code: "DEAD_LETTERS_UNAVAILABLE" | "DEAD_LETTERS_REFUSED",
    text: string,
  ])[];
}

export function deadLetterFailureTests({ open, refusal, refusals }: DeadLetterFailures): void {
  test.each(refusals)("an answer of %i %s is %s: %s", async (status, error, code, text) => {
    const { front, send } = await open();
    front.answer = () => refusal(status, error);
    await expect(send()).rejects.toMatchObject({
      code,
      retryable: code === "DEAD_LETTERS_UNAVAILABLE",
      message: expect.stringContaining(text),
    });
  });

  test("a request that is never answered ends by its time, or before by the signal", async () => {
    const { front, send } = await open(100);
    front.answer = () => "silence";
    await expect(send()).rejects.toMatchObject({
      code: "DEAD_LETTERS_UNAVAILABLE",
      retryable: true,
      message: expect.stringContaining("no answer within 100 ms"),
    });
    const patient = await open(600_000);
    patient.front.answer = () => "silence";
    const stop = new AbortController();
    const call = patient.send(stop.signal);
    stop.abort(new Error("the shard stops"));
    await expect(call).rejects.toThrow("the shard stops");
  });
}
