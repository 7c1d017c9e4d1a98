// fetch, and http with an agent that keeps connections.

import assert from "node:assert";
import http from "node:http";
import { setTimeout as pause } from "node:timers/promises";

const [base, closing] = process.argv.slice(2);
const json = { "content-type": "application/json" };
const ids = JSON.stringify({ count: 1 });

async function withFetch() {
  const post = async (where = base) => {
    const response = await fetch(`${where}/api/v1/ids`, { method: "POST", headers: json, body: ids });
    assert.equal(response.status, 200);
    await response.json();
  };
  for (let round = 0; round < 10; round++) {
    await Promise.all(Array.from({ length: 20 }, () => post()));
  }
  // With a pause that is longer than connections are kept there.
  await post(closing);
  await pause(2_000);
  await post(closing);
  const refused = await fetch(`${base}/api/v1/jobs`, { method: "POST", body: "x".repeat(100_000) });
  assert.equal(refused.status, 415);
}

function ask(agent, method, path, headers, body) {
  return new Promise((resolve, reject) => {
    const request = http.request(base + path, { agent, method, headers, timeout: 30_000 });
    request.on("error", reject);
    request.on("timeout", () => request.destroy(new Error("no answer")));
    request.on("upgrade", () => reject(new Error("upgraded")));
    request.on("response", (response) => {
      response.resume();
      response.on("end", () => resolve({ response, reused: request.reusedSocket }));
    });
    // Without a length it goes out in chunks.
    if (headers.expect) request.on("continue", () => request.end(body));
    else request.end(body);
  });
}

async function withAgent() {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const wish = { connection: "upgrade", upgrade: "websocket" };
  const sized = { "content-length": ids.length };
  const ways = [{}, sized, wish, { ...wish, ...sized }, { ...sized, expect: "100-continue" }];
  let first = true;
  for (let round = 0; round < 10; round++) {
    for (const way of ways) {
      const headers = { ...json, ...way };
      const { response, reused } = await ask(agent, "POST", "/api/v1/ids", headers, ids);
      assert.equal(response.statusCode, 200, JSON.stringify(way));
      assert.notEqual(response.headers.connection, "upgrade");
      // Node itself lets go of a connection that it wished to be another.
      if (way !== ways[0] && !way.upgrade && !first) assert(reused, JSON.stringify(way));
      first = Boolean(way.upgrade);
    }
  }
  agent.destroy();
}

await withFetch();
await withAgent();
