/** What a scan has handed to the handler, over all shards. */
export interface Totals {
  records: number;
  bytes: number;
}
