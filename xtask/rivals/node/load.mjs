// Drives an event store with the plan that `cargo xtask bench append` hands over, and prints one line of JSON.
//
// JavaScript runs on one thread, so that the store's client would be the limit and not the store. The writers are therefore
// spread over as many threads as there are processors.

import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { Worker, isMainThread, parentPort, workerData } from "node:worker_threads";

const MILLISECONDS = 1000;

// The same on every thread, and never set back, unlike Date.now().
const now = () => performance.timeOrigin + performance.now();

/// `prepare(database)` makes the tables, once. `open(database, connections)` is called on each thread, and answers with
/// `append(stream, records)`, which resolves when the records are stored, and `close()`.
export async function drive(module, prepare, open) {
  if (!isMainThread) return write(open);
  const plan = JSON.parse(readFileSync(process.argv[2], "utf8"));
  await prepare(plan.database);
  const measured = [];
  for (const load of plan.loads) measured.push(await measure(fileURLToPath(module), plan, load));
  console.log(JSON.stringify({ loads: measured }));
}

async function measure(module, plan, load) {
  const threads = Math.min(availableParallelism(), load.clients);
  const workers = Array.from({ length: threads }, (_, thread) => {
    const clients = Math.floor(load.clients / threads) + (thread < load.clients % threads ? 1 : 0);
    return new Worker(module, { workerData: { plan, load, clients } });
  });
  // A thread first says that its connections are open, then what it measured.
  await Promise.all(workers.map(message));
  const begin = now() + plan.warmUpSeconds * MILLISECONDS;
  const end = begin + plan.seconds * MILLISECONDS;
  const results = Promise.all(workers.map(message));
  for (const worker of workers) worker.postMessage({ begin, end });
  const parts = await results;
  const latencies = parts.flatMap((part) => part.latencies).sort((a, b) => a - b);
  if (latencies.length === 0) throw new Error(`nothing was answered within ${plan.seconds} s`);
  const at = (percent) => latencies[Math.floor(((latencies.length - 1) * percent) / 100)];
  return {
    name: load.name,
    eventsASecond: (latencies.length * load.events) / plan.seconds,
    p50Ms: at(50),
    p99Ms: at(99),
    stored: parts.reduce((sum, part) => sum + part.stored, 0),
  };
}

/// The next message of a thread.
function message(worker) {
  return new Promise((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
  });
}

/// What a thread does.
async function write(open) {
  const { plan, load, clients } = workerData;
  const store = await open(plan.database, clients);
  const started = new Promise((resolve) => parentPort.once("message", resolve));
  parentPort.postMessage("ready");
  const { begin, end } = await started;
  const parts = await Promise.all(
    Array.from({ length: clients }, () => submit(store, plan, load, begin, end)),
  );
  await store.close();
  parentPort.postMessage({
    latencies: parts.flatMap((part) => part.latencies),
    stored: parts.reduce((sum, part) => sum + part.stored, 0),
  });
}

/// One writer: sends one request after the other, and counts those answered between `begin` and `end`.
async function submit(store, plan, load, begin, end) {
  const writer = randomUUID();
  const latencies = [];
  let stream;
  for (let request = 0; ; request += 1) {
    const first = request * load.events;
    if (first % plan.eventsAStream === 0) stream = { writer, id: randomUUID() };
    const records = Array.from({ length: load.events }, (_, event) => ({
      ...plan.record,
      repeat: first + event + 1,
    }));
    const sent = now();
    await store.append(stream, records);
    const answered = now();
    if (answered > end) return { latencies, stored: (request + 1) * load.events };
    if (sent >= begin) latencies.push(answered - sent);
  }
}
