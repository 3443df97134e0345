// A back office in TypeScript, over the client that was generated beside this file: brings a visit in, works on it, and follows
// the feed. Says on stdout what it saw, as JSON.
import { client } from "./generated/client.gen.js";
import {
  getChanges, getRequests, getRequestsById, getRequestsByIdInteractions, patchRequestsById, postIntakeCounter,
} from "./generated/sdk.gen.js";

declare const process: { env: Record<string, string | undefined> };
const { VOXEA, KEY } = process.env;
if (!VOXEA || !KEY) throw new Error("VOXEA and KEY must be set");
client.setConfig({ baseUrl: VOXEA, auth: () => KEY });

function sure<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`${what}: no answer`);
  return value;
}

const begun = sure((await getChanges({ query: { limit: 500 } })).data, "changes");
const brought = await postIntakeCounter({
  headers: { "Idempotency-Key": "typescript-1" },
  body: { text: "Un lampadaire est en panne", from: "0612345678", subject: "Éclairage" },
});
const made = sure(brought.data, "intake");
const listed = sure((await getRequests({ query: { limit: 500 } })).data, "requests");
const found = sure(listed.items.find((item) => item.id === made.id), "the request in the list");

const read = await getRequestsById({ path: { id: found.id } });
const etag = sure(read.response.headers.get("etag") ?? undefined, "ETag");
const patched = await patchRequestsById({
  path: { id: found.id }, headers: { "If-Match": etag }, body: { status: "to_qualify" },
});
const stale = await patchRequestsById({
  path: { id: found.id }, headers: { "If-Match": etag }, body: { status: "open" },
});
const contacts = sure((await getRequestsByIdInteractions({ path: { id: found.id } })).data, "interactions");

const seen: string[] = [];
for (let after = begun.next, more = true; more;) {
  const page = sure((await getChanges({ query: { after } })).data, "changes");
  seen.push(...page.items.filter((event) => event.subject === found.id).map((event) => event.type));
  [after, more] = [page.next, page.has_more];
}
const missing = await getRequestsById({ path: { id: "00000000-0000-7000-8000-000000000000" } });

console.log(JSON.stringify({
  id: found.id, subject: read.data?.subject, status: patched.data?.status, stale: stale.response.status,
  text: contacts.items[0]?.text, seen, missing: missing.error?.type,
}));
