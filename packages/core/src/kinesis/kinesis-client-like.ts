/**
 * The part of the SDK's `KinesisClient` that is used. Structural, so that another copy of the SDK,
 * or `FakeKinesis` of `@kc/emulator`, fits.
 */
export interface KinesisClientLike {
  // The SDK's `send` is overloaded for each command; the callers name the output.
  // oxlint-disable-next-line typescript/no-explicit-any
  send(command: any, options?: { abortSignal?: AbortSignal }): Promise<any>;
}
