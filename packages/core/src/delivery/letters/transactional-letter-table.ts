import type { TransactionalStore } from "../../checkpoints/transactional-store.ts";
import type { DeadLetter, TransactionalDeadLetters } from "./dead-letter.ts";
import { StatementsDeadLetterTable, type LetterStatements } from "./letter-table.ts";

/** The statements of a dead-letter table that the transactions of its store write too. */
export interface TransactionalLetterStatements<Tx> extends LetterStatements {
  /** As `put`, in a transaction of the store. Synchronous if the store's transactions are. */
  putIn(tx: Tx, letters: readonly DeadLetter[]): void | Promise<void>;
}

/** The dead-letter table of a store with transactions: letters are sent by themselves, or in a transaction. */
export class TransactionalLetterTable<Tx>
  extends StatementsDeadLetterTable
  implements TransactionalDeadLetters<Tx>
{
  readonly store: TransactionalStore<Tx>;
  readonly #statements: TransactionalLetterStatements<Tx>;

  constructor(statements: TransactionalLetterStatements<Tx>, store: TransactionalStore<Tx>) {
    super(statements);
    this.#statements = statements;
    this.store = store;
  }

  sendIn(tx: Tx, letters: readonly DeadLetter[]): void | Promise<void> {
    return this.#statements.putIn(tx, letters);
  }
}
