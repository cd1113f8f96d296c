import { PAGE_SCRIPT } from "./page-script.ts";

/** A read-only page with the workers, their shards, and the last five minutes. */
export const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>orders: @kc observability</title>
<style>
  :root { color-scheme: light dark; --line: #8884; --dim: #888 }
  body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem }
  h1 { margin: 0 } h2 { font-size: 1rem; margin: 1.6rem 0 .3rem }
  #tiles { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1rem 0 }
  .tile { border: 1px solid var(--line); border-radius: .4rem; padding: .5rem .9rem; min-width: 7.5rem }
  .tile b { display: block; font-size: 1.5rem; font-variant-numeric: tabular-nums }
  .tile span, .dim { color: var(--dim) }
  .bad { color: #d33; font-weight: 600 }
  table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
  th { text-align: left } th, td:first-child, td:nth-child(2) { white-space: nowrap } .number { text-align: right }
  th, td { padding: .25rem .8rem .25rem 0; border-bottom: 1px solid var(--line) }
  svg { width: 100%; height: 11rem; display: block; border: 1px solid var(--line); border-radius: .4rem }
  svg path { fill: none; stroke-width: 1.6; vector-effect: non-scaling-stroke }
  figure { margin: 0 } figcaption { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; font-size: .85rem }
  .swatch { display: inline-block; width: .8em; height: .8em; border-radius: .2em; margin-right: .4em }
  #events { list-style: none; padding: 0; margin: 0 } #events time { color: var(--dim); margin-right: .8em }
</style>
<h1>orders</h1>
<p id="problem" class="bad" hidden></p>
<div id="tiles"></div>
<h2>Records a second, all workers</h2>
<figure id="rate"></figure>
<h2>Lag by shard</h2>
<figure id="lag"></figure>
<h2>Workers</h2>
<table><thead><tr><th>worker<th class="number">process<th>state<th class="number">shards<th class="number">records<th class="number">records/s<th>pages</tr></thead><tbody id="workers"></tbody></table>
<h2>Shards</h2>
<table><thead><tr><th>shard<th>worker<th>state<th class="number">in flight<th class="number">lag</tr></thead><tbody id="shards"></tbody></table>
<h2>What happened</h2>
<ul id="events"></ul>
<p class="dim">Lag is how far handled records are behind the tip of the shard. In flight are records that were
read and are not handled yet. A worker that does not answer was killed or hangs: its shards are not read until
another worker takes them over, and the totals keep what it had reported.</p>
<script>${PAGE_SCRIPT}</script>
</html>
`;
