/** What a scan has passed to the handler, over all shards. */
export interface Totals {
  records: number;
  bytes: number;
}
