// A member of a consumer group (kafkajs) that notes what it knows: group_member.py with another client, and its arguments.
const fs = require('node:fs')
const { Kafka, AssignerProtocol, PartitionAssigners, logLevel } = require('kafkajs')

const [addr, topic, groupId, strategy, group, client, base, recorders, path] = process.argv.slice(2)
const file = fs.openSync(path, 'w')
const numbers = { client: Number(client), incarnation: 0, group: Number(group) }
const TABLE = Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? n >>> 1 ^ 0x82F63B78 : n >>> 1
  return n >>> 0
})

function crc32c (...parts) {
  let crc = 0xFFFFFFFF
  for (const part of parts) for (const byte of part) crc = TABLE[(crc ^ byte) & 0xFF] ^ crc >>> 8
  return (crc ^ 0xFFFFFFFF) >>> 0
}

let last = 0
function note (kind, more) {
  last = Math.max(last + 1, Number(process.hrtime.bigint() - BigInt(base)))
  // Written at once: it may be killed.
  fs.writeSync(file, JSON.stringify({ at: last, kind, ...more(last) }) + '\n')
}

function call (name, more) {
  let op
  note('call', at => {
    op = at * Number(recorders) + numbers.client
    return { op, client: numbers.client, incarnation: 0, call: { call: name, ...more } }
  })
  return op
}

const returned = (op, outcome, code, reply, more) => note('return', () => ({ op, outcome, code, reply: { reply, ...more } }))
const step = (generation, name, more) => note('group', () => ({ ...numbers, generation, step: name, ...more }))

// Which record a value says it is, as harness/src/history/value.rs lays it out.
function decode (value) {
  const ours = value.length >= 26 && value.readUInt32BE(0) === 0x4C513100 &&
    value.readUInt32BE(22) === crc32c(value.subarray(0, 22), value.subarray(26))
  return ours ? { producer: value.readUInt32BE(4), incarnation: value.readUInt16BE(8), seq: Number(value.readBigUInt64BE(10)) } : null
}

function checksum (value, timestamp) {
  const head = Buffer.alloc(24)
  for (const [at, part] of [timestamp, -1, value.length].entries()) head.writeBigInt64BE(BigInt(part), 8 * at)
  return crc32c(head, value)
}

// It goes by the name that the strategy has with everyone else.
function assigner (tools) {
  const own = PartitionAssigners.roundRobin(tools)
  const metadata = topics => AssignerProtocol.MemberMetadata.encode({ version: 0, topics, userData: Buffer.alloc(0) })
  return { ...own, name: strategy, protocol: ({ topics }) => ({ name: strategy, metadata: metadata(topics) }) }
}

const kafka = new Kafka({
  clientId: `member-${client}`, brokers: addr.split(','), logLevel: logLevel.NOTHING,
  requestTimeout: 5000, retry: { retries: 60, maxRetryTime: 1000 }
})
const admin = kafka.admin()
const consumer = kafka.consumer({
  groupId, sessionTimeout: 6000, heartbeatInterval: 300, metadataMaxAge: 2000, maxWaitTimeInMs: 200, partitionAssigners: [assigner]
})
const [held, next] = [new Set(), {}]
let [generation, joined, stopped] = [-1, 0, false]

function leaves (how) {
  for (const tp of held) step(how === 'lost' ? -1 : generation, how, { tp })
  held.clear()
  generation = -1
  joined++
}

// It was accepted, in a generation that kafkajs tells nowhere else.
consumer.on(consumer.events.HEARTBEAT, ({ payload: { groupGenerationId } }) => {
  if (groupGenerationId === generation) return
  generation = groupGenerationId
  step(generation, 'entered', { leads: false })
  step(generation, 'synced')
})
consumer.on(consumer.events.REBALANCING, () => leaves('revoked'))
// What it holds until then it did not give up.
consumer.on(consumer.events.GROUP_JOIN, () => leaves('lost'))
consumer.on(consumer.events.CRASH, ({ payload }) => {
  console.error(payload.error)
  if (!payload.restart) process.exit(1)
})

// Looks up itself where the group left off, because what kafkajs finds it does not tell; it tells where it begins.
async function begins (tp, position) {
  const at = joined
  while (at === joined) {
    const op = call('fetch_offset', { group: numbers.group, tp })
    try {
      const [{ partitions }] = await admin.fetchOffsets({ groupId, topics: [topic] })
      const found = partitions.find(({ partition }) => partition === tp)
      returned(op, 'ok', 0, 'offset', { offset: Number(found.offset) })
      break
    } catch (error) {
      returned(op, 'info', error.code ?? -1, 'none')
    }
  }
  if (at !== joined) return false
  step(generation, 'assigned', { tp, position })
  returned(call('assign', { tp, position, last: false }), 'ok', 0, 'none')
  held.add(tp)
  next[tp] = position
  return true
}

async function process1 (tp, message) {
  const [offset, timestamp] = [Number(message.offset), Number(message.timestamp)]
  // Its rejoining takes it to where the group left off.
  if (stopped || (!held.has(tp) && !await begins(tp, offset))) return
  const poll = call('poll', { tp, position: next[tp] })
  const epoch = message.batchContext?.partitionLeaderEpoch ?? 0
  note('deliver', () => ({
    op: poll, client: numbers.client, tp, offset, id: decode(message.value), checksum: checksum(message.value, timestamp),
    timestamp, epoch, last: false
  }))
  next[tp] = offset + 1
  returned(poll, 'ok', 0, 'polled', { records: 1, position: next[tp], high: next[tp] })
  step(generation, 'processed', { tp, position: next[tp] })
  const [at, stated] = [joined, generation]
  const op = call('commit', { group: numbers.group, tp, offset: next[tp], generation: stated })
  try {
    await consumer.commitOffsets([{ topic, partition: tp, offset: String(next[tp]) }])
    // What was not stated as noted did not happen as noted.
    returned(op, at === joined ? 'ok' : 'info', 0, 'none')
  } catch (error) {
    returned(op, 'info', error.code ?? -1, 'none')
  }
}

async function main () {
  await Promise.all([admin.connect(), consumer.connect()])
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({ autoCommit: false, eachMessage: ({ partition, message }) => process1(partition, message) })
  process.stdin.resume()
  process.stdin.on('end', async () => {
    stopped = true
    leaves('revoked')
    await Promise.all([consumer.disconnect(), admin.disconnect()])
    step(-1, 'left')
    note('quit', () => ({ client: numbers.client, incarnation: 0 }))
    process.exit(0)
  })
}

main().catch(error => {
  console.error(error)
  process.exit(1)
})
