// Message DB: tables and functions of its own installer, written to by its function write_message.

import { spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { fileURLToPath } from "node:url";
import pg from "pg";

import { drive } from "./load.mjs";

const INSTALLER = fileURLToPath(new URL("node_modules/@eventide/message-db/database/install.sh", import.meta.url));

function prepare(database) {
  const url = new URL(database);
  const env = {
    ...process.env,
    PGHOST: url.hostname,
    PGPORT: url.port,
    PGUSER: decodeURIComponent(url.username),
    PGPASSWORD: decodeURIComponent(url.password),
    DATABASE_NAME: url.pathname.slice(1),
    CREATE_DATABASE: "off",
  };
  const installer = spawnSync("bash", [INSTALLER], { env, encoding: "utf8" });
  if (installer.status !== 0) throw new Error(`install.sh: ${installer.stderr || installer.error}`);
}

async function open(database, connections) {
  const pool = new pg.Pool({
    connectionString: database,
    max: connections,
    idleTimeoutMillis: 0,
    options: "-c search_path=message_store,public",
  });
  const clients = await Promise.all(Array.from({ length: connections }, () => pool.connect()));
  for (const client of clients) client.release();
  return {
    // A category takes one writer at a time until its commit, so each writer has one of its own: the faster way.
    append: ({ writer, id }, records) => {
      const stream = `participant:${writer.replaceAll("-", "")}-${id}`;
      const values = records.flatMap((record) => [randomUUID(), JSON.stringify(record)]);
      return pool.query({ name: `write ${records.length}`, text: writeMessages(records.length), values: [stream, ...values] });
    },
    close: () => pool.end(),
  };
}

/// A batch is a call for each message, in one transaction; in one statement, that takes a single round trip.
function writeMessages(count) {
  const call = (_, at) => `write_message($${2 * at + 2}, $1, 'Recorded', $${2 * at + 3}::jsonb)`;
  return `SELECT ${Array.from({ length: count }, call).join(", ")}`;
}

await drive(import.meta.url, prepare, open);
