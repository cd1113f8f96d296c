/** One page that shows what the workers say of themselves, once a second. */
export function page(workers: readonly string[]): string {
  return `<!doctype html>
<meta charset="utf-8">
<title>@kc observability</title>
<style>
  body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem }
  table { border-collapse: collapse; width: 100% } th { text-align: left }
  th, td { padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #8884 }
  td.bar div { background: #d9822b; height: .8rem; max-width: 16rem }
</style>
<h1>orders</h1>
<p id="links"></p>
<table><thead><tr><th>shard<th>worker<th>state<th>in flight<th>lag<th></tr></thead><tbody></tbody></table>
<script>
  const workers = ${JSON.stringify(workers)};
  const links = document.querySelector("#links");
  for (const url of workers) for (const path of ["/metrics", "/status", "/live", "/ready"]) {
    links.append(Object.assign(document.createElement("a"), { href: url + path, textContent: url + path }), " ");
  }
  const row = (shard) => {
    const tr = document.createElement("tr");
    const cells = [shard.shardId, (shard.owner ?? "").split("#")[0], shard.error ? shard.state + ": " + shard.error : shard.state,
      shard.recordsInFlight, Math.round(shard.lagMs) + " ms"];
    for (const text of cells) tr.append(Object.assign(document.createElement("td"), { textContent: text }));
    const bar = Object.assign(document.createElement("td"), { className: "bar" });
    bar.append(document.createElement("div"));
    bar.firstChild.style.width = shard.lagMs / 20 + "px";
    tr.append(bar);
    return tr;
  };
  const show = async () => {
    const shards = (await (await fetch("/status")).json()).flatMap((status) => status.shards);
    shards.sort((a, b) => (a.shardId < b.shardId ? -1 : 1));
    document.querySelector("tbody").replaceChildren(...shards.map(row));
  };
  setInterval(show, 1000);
  show();
</script>
`;
}
