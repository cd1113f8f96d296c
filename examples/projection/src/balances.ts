import type { ConsumerRecord } from "@kc/core";

/** A record's data, as JSON. The partition key is the account. */
export interface Order {
  readonly account: string;
  readonly cents: number;
}

export interface Balance {
  readonly orders: number;
  readonly cents: number;
}

/** By account. */
export type Balances = ReadonlyMap<string, Balance>;

/**
 * The totals of these records by account, sorted by account so that transactions do not deadlock.
 */
export function totalsOf(records: readonly ConsumerRecord[]): Balances {
  const totals = new Map<string, Balance>();
  for (const record of records) add(totals, record.json<Order>());
  return new Map([...totals].toSorted(([one], [other]) => (one < other ? -1 : 1)));
}

export function add(balances: Map<string, Balance>, { account, cents }: Order): void {
  const before = balances.get(account) ?? { orders: 0, cents: 0 };
  balances.set(account, { orders: before.orders + 1, cents: before.cents + cents });
}

/** All accounts together. */
export function sumOf(balances: Balances): Balance {
  let orders = 0;
  let cents = 0;
  for (const balance of balances.values()) {
    orders += balance.orders;
    cents += balance.cents;
  }
  return { orders, cents };
}

/** The accounts whose balances differ; empty if all are equal. */
export function differences(one: Balances, other: Balances): readonly string[] {
  const accounts = new Set([...one.keys(), ...other.keys()]);
  return [...accounts].filter((account) => {
    const [a, b] = [one.get(account), other.get(account)];
    return a?.orders !== b?.orders || a?.cents !== b?.cents;
  });
}
