// One peer on loopback: node peer.mjs SIDE [PORT [PEM]]; SIDE is medplum-server, node-hl7-server, medplum-client or
// node-hl7-client. PORT "0": any. PEM holds key and certificate, for TLS with certificates on both sides.
// A server prints {"port"} and then {"received"}, a message as its library parsed it, for each it acknowledged with AA.
// A client reads messages as JSON strings, a line each, and prints {"answer"} for each.
import { readFileSync } from "node:fs"
import net from "node:net"
import { createInterface } from "node:readline"
import tls from "node:tls"

const [side, port = "0", pem] = process.argv.slice(2)
const secret = pem && readFileSync(pem)
const proof = secret && { key: secret, cert: secret, ca: secret }
const host = "127.0.0.1"
const say = (line) => console.log(JSON.stringify(line))

const sides = {
  // @medplum/hl7 knows no TLS of its own; its connection works over any socket
  async "medplum-server"() {
    const { Hl7Connection } = await import("@medplum/hl7")
    const talk = (socket) => {
      const connection = new Hl7Connection(socket)
      connection.addEventListener("error", () => socket.destroy())
      connection.addEventListener("message", ({ message }) => {
        say({ received: message.toString() })
        connection.send(message.buildAck())
      })
    }
    const server = secret ? tls.createServer({ ...proof, requestCert: true }, talk) : net.createServer(talk)
    server.listen(0, host, () => say({ port: server.address().port }))
  },

  async "node-hl7-server"() {
    const { Server } = await import("node-hl7-server")
    const server = new Server({ bindAddress: host, ...(secret && { tls: { ...proof, requestCert: true } }) })
    const inbound = server.createInbound({ port: 0 }, async (request, response) => {
      say({ received: request.getMessage().toString() })
      await response.sendResponse("AA")
    })
    inbound.on("client.error", () => {})
    inbound.on("listen", () => say({ port: inbound._socket.address().port }))
  },

  async "medplum-client"() {
    const { Hl7Connection } = await import("@medplum/hl7")
    const { Hl7Message } = await import("@medplum/core")
    const to = { host, port: Number(port) }
    const socket = secret ? tls.connect({ ...to, ...proof }) : net.connect(to)
    const connection = new Hl7Connection(socket)
    for await (const message of messages()) {
      const answer = await connection.sendAndWait(Hl7Message.parse(message), { timeoutMs: 10_000 })
      say({ answer: answer.toString() })
    }
    await connection.close()
  },

  async "node-hl7-client"() {
    const { Client, Message } = await import("node-hl7-client")
    const client = new Client({ host, ...(secret && { tls: proof }) })
    let answered
    const connection = client.createConnection({ port: Number(port), waitAck: true }, (response) =>
      answered(response.getMessage().toString()),
    )
    for await (const message of messages()) {
      const answer = new Promise((resolve) => (answered = resolve))
      await connection.sendMessage(new Message({ text: message }))
      say({ answer: await answer })
    }
    await connection.close()
  },
}

async function* messages() {
  for await (const line of createInterface({ input: process.stdin })) yield JSON.parse(line)
}

await sides[side]()
