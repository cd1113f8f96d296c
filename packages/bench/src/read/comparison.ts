import { compare, type Comparison } from "../rounds.ts";
import { Canned } from "./canned.ts";
import type { CannedPages } from "./canned-server.ts";
import {
  type Command,
  ContestantProcess,
  nodeContestant,
  nodePoller,
} from "./contestant-process.ts";
import type { ContestantName } from "./contestant.ts";
import { buildGoLoop, buildJavaLoop, loopArguments } from "./loops.ts";
import { installNpmPeers } from "./npm-peers.ts";
import { IDLE_INTERVAL_MS } from "./contestants.ts";
import { measurePace } from "./pace.ts";
import type { PollerName } from "./poller.ts";

const ROUNDS = 3;
const OURS: readonly ContestantName[] = [
  "consumer",
  "consumerOverTheSdksHttp",
  "consumerWireJson",
  "sdkLoop",
  "rawSocket",
];
const POLLERS: readonly PollerName[] = ["consumer", "consumerOverTheSdksHttp", "sdkLoop"];
const NPM_PEERS: readonly ContestantName[] = ["kinesis-readable", "kinesis-streams"];
const NEED_DYNAMODB = "it reads nothing without a DynamoDB table for its leases";

/** The contestants that this machine can run, and the reasons why it cannot run the others. */
export class Contestants {
  readonly notMeasured: Record<string, string> = {
    "lifion-kinesis": NEED_DYNAMODB,
    "KCL for Java": NEED_DYNAMODB,
  };
  readonly #go = this.#prepare("sdkLoopInGo", buildGoLoop);
  readonly #java = this.#prepare("sdkLoopInJava", buildJavaLoop);
  readonly #npm = this.#prepare(NPM_PEERS.join(", "), () => {
    installNpmPeers();
    return NPM_PEERS;
  });

  /** Compares all of them on one server, in turn, each in its own process. */
  async compareOn(pages: CannedPages): Promise<Comparison> {
    await using canned = await Canned.start(pages);
    const processes = Object.entries(this.#commands(canned)).map(
      ([name, command]) => [name, new ContestantProcess(command)] as const,
    );
    try {
      return await compare(
        Object.fromEntries(processes.map(([name, { round }]) => [name, round])),
        ROUNDS,
      );
    } finally {
      await Promise.all(processes.map(([, each]) => each[Symbol.asyncDispose]()));
    }
  }

  /** Compares those that can poll idle shards at a given pace. */
  pollAtPace(tls: CannedPages["tls"]): Promise<object> {
    return measurePace(tls, (canned) => ({
      ...Object.fromEntries(POLLERS.map((name) => [name, nodePoller(name, canned)])),
      ...this.#loops(canned, IDLE_INTERVAL_MS),
    }));
  }

  #commands(canned: Canned): Record<string, Command> {
    const ours = [...OURS, ...(this.#npm ?? [])].map((name) => [
      name,
      nodeContestant(name, canned),
    ]);
    return { ...(Object.fromEntries(ours) as Record<string, Command>), ...this.#loops(canned) };
  }

  #loops(canned: Canned, intervalMs?: number): Record<string, Command> {
    const loops = Object.entries({ sdkLoopInGo: this.#go, sdkLoopInJava: this.#java }).flatMap(
      ([name, loop]) =>
        loop === undefined
          ? []
          : [[name, { ...loop, args: [...loop.args, ...loopArguments(canned, intervalMs)] }]],
    );
    return Object.fromEntries(loops) as Record<string, Command>;
  }

  #prepare<T>(name: string, prepare: () => T): T | undefined {
    try {
      return prepare();
    } catch (error) {
      console.error(`${name} cannot run here:`, error);
      this.notMeasured[name] = String(error);
      return undefined;
    }
  }
}
