// The replica set and the service's user. Run again it changes nothing.
const fs = require("fs");
const { admin, messaging } = JSON.parse(fs.readFileSync("/run/secrets/mongo_passwords.json", "utf8"));

const there = (code) => { try { return code(); } catch (error) { if (error.codeName === "NotYetInitialized") return null; if (error.codeName === "Unauthorized") return "done"; throw error; } };

const state = there(() => rs.status());
if (state === null) {
  rs.initiate({
    _id: "messaging",
    members: [1, 2, 3].map((number) => ({ _id: number, host: `mongo-${number}:27017` })),
  });
}
while (!db.hello().isWritablePrimary) sleep(500);

if (state !== "done") {
  const roles = [{ role: "readWrite", db: "messaging" }, { role: "clusterMonitor", db: "admin" }];
  db.getSiblingDB("admin").createUser({ user: "admin", pwd: admin, roles: ["root"] });
  db.getSiblingDB("admin").auth("admin", admin);
  db.getSiblingDB("admin").createUser({ user: "messaging", pwd: messaging, roles });
}
