import type { CallOptions, StoreScope } from "@kc/core";
import { checkScope } from "@kc/core/adapter";
import type { Connection } from "./connection.ts";
import type { Session } from "./driver.ts";
import { checkSchema, isEmptyDatabase, migrate, SCHEMA_STEPS } from "./schema.ts";

/** Runs synchronous work for a scope, once the schema has been checked. */
export class Calls {
  readonly #connection: Connection;
  #schemaChecked = false;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** @throws StoreError for everything but an abort, which rejects with the signal's reason */
  async run<Answer>(
    scope: StoreScope,
    options: CallOptions | undefined,
    work: (session: Session) => Answer,
  ): Promise<Answer> {
    checkScope(scope);
    return this.#connection.run((session) => {
      if (!this.#schemaChecked) {
        if (this.#connection.owned && isEmptyDatabase(session)) migrate(session, SCHEMA_STEPS);
        checkSchema(session, SCHEMA_STEPS, this.#connection.where);
        this.#schemaChecked = true;
      }
      return work(session);
    }, options);
  }

  /**
   * As `run`, but in a write transaction. Only one process at a time is in one, so `work` can read first and then
   * write.
   */
  change<Answer>(
    scope: StoreScope,
    options: CallOptions | undefined,
    work: (session: Session) => Answer,
  ): Promise<Answer> {
    return this.run(scope, options, (session) => session.write(() => work(session)));
  }
}
