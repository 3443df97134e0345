// A receiver of webhooks: verifies with the package `standardwebhooks` (v1) and Node's own crypto (v1a), and tells what came, a
// line each. Keys come on standard input, a JSON list a line. Every path is answered 204.
import { createPublicKey, verify } from "node:crypto";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { Webhook } from "standardwebhooks";

let keys = [];
const tell = (what) => process.stdout.write(JSON.stringify(what) + "\n");

function verifies(key, headers, body) {
  if (key.startsWith("whsec_")) {
    try {
      new Webhook(key).verify(body, headers);
      return true;
    } catch {
      return false;
    }
  }
  if (Math.abs(Date.now() / 1000 - Number(headers["webhook-timestamp"])) > 300) return false;
  const raw = Buffer.from(key.slice("whpk_".length), "base64").toString("base64url");
  const publicKey = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x: raw }, format: "jwk" });
  const signed = Buffer.from(`${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`);
  return headers["webhook-signature"].split(" ").some((signature) => {
    const [version, text] = signature.split(",");
    return version === "v1a" && verify(null, signed, publicKey, Buffer.from(text, "base64"));
  });
}

const server = createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    const body = Buffer.concat(parts).toString();
    const verified = keys.filter((key) => verifies(key, request.headers, body));
    tell({ path: request.url, id: request.headers["webhook-id"], type: request.headers["content-type"], verified, body });
    response.writeHead(204).end();
  });
});

createInterface({ input: process.stdin })
  .on("line", (line) => {
    keys = JSON.parse(line);
    tell({ keys: keys.length });
  })
  .on("close", () => process.exit(0));
server.listen(0, "127.0.0.1", () => tell({ port: server.address().port }));
