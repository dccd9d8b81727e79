// Emmett with its PostgreSQL event store, by its own appendToStream.

import { getPostgreSQLEventStore } from "@event-driven-io/emmett-postgresql";
import pg from "pg";

import { drive } from "./load.mjs";

async function prepare(database) {
  const store = getPostgreSQLEventStore(database);
  await store.schema.migrate();
  await store.close();
}

async function open(database, connections) {
  const pool = new pg.Pool({ connectionString: database, max: connections, idleTimeoutMillis: 0 });
  const clients = await Promise.all(Array.from({ length: connections }, () => pool.connect()));
  for (const client of clients) client.release();
  const store = getPostgreSQLEventStore(database, {
    schema: { autoMigration: "None" },
    connectionOptions: { pool },
  });
  return {
    append: ({ id }, records) =>
      store.appendToStream(
        `participant-${id}`,
        records.map((data) => ({ type: "Recorded", data })),
      ),
    close: async () => {
      await store.close();
      await pool.end();
    },
  };
}

await drive(import.meta.url, prepare, open);
