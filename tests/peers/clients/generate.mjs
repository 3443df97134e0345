// Generates the TypeScript client of the document `openapi.json` into `generated`, both in the folder it is run in.
import { createClient } from "@hey-api/openapi-ts";

await createClient({
  input: "openapi.json",
  output: { path: "generated", module: { extension: ".js" } },
  plugins: ["@hey-api/client-fetch", "@hey-api/typescript", "@hey-api/sdk"],
  logs: { level: "warn" },
});
