// A member of a consumer group (kafkajs) that notes what it knows: group_member.py with another client, and its arguments.
const { Kafka, AssignerProtocol, PartitionAssigners, logLevel } = require('kafkajs')
const { Noted } = require('./noted.js')

const [addr, topic, groupId, strategy, ...rest] = process.argv.slice(2)
const member = new Noted(rest)

// It goes by the name that the strategy has with everyone else.
function assigner (tools) {
  const own = PartitionAssigners.roundRobin(tools)
  const metadata = topics => AssignerProtocol.MemberMetadata.encode({ version: 0, topics, userData: Buffer.alloc(0) })
  return { ...own, name: strategy, protocol: ({ topics }) => ({ name: strategy, metadata: metadata(topics) }) }
}

const kafka = new Kafka({
  clientId: 'kafkajs', brokers: addr.split(','), logLevel: logLevel.NOTHING,
  requestTimeout: 5000, retry: { retries: 60, maxRetryTime: 1000 }
})
const admin = kafka.admin()
const consumer = kafka.consumer({
  groupId, sessionTimeout: 6000, heartbeatInterval: 300, metadataMaxAge: 2000, maxWaitTimeInMs: 200, partitionAssigners: [assigner]
})

// It was accepted, in a generation that kafkajs tells nowhere else.
consumer.on(consumer.events.HEARTBEAT, ({ payload: { groupGenerationId } }) => {
  if (groupGenerationId !== member.generation) member.enters(groupGenerationId, false)
})
consumer.on(consumer.events.REBALANCING, () => member.leaves('revoked'))
// What it holds until then it did not give up.
consumer.on(consumer.events.GROUP_JOIN, () => member.leaves('lost'))
consumer.on(consumer.events.CRASH, ({ payload }) => {
  console.error(payload.error)
  if (!payload.restart) process.exit(1)
})

// Asks itself, because what kafkajs finds it does not tell; it tells where it begins.
async function found (tp) {
  const [{ partitions }] = await admin.fetchOffsets({ groupId, topics: [topic] })
  return Number(partitions.find(({ partition }) => partition === tp).offset)
}

async function takes (tp, message) {
  const offset = Number(message.offset)
  // Its rejoining takes it to where the group left off.
  if (member.stopped || (!member.held.has(tp) && !await member.begins(tp, found, offset))) return
  const epoch = message.batchContext?.partitionLeaderEpoch ?? 0
  const record = { offset, timestamp: Number(message.timestamp), value: message.value, epoch }
  await member.processes(tp, record, next => consumer.commitOffsets([{ topic, partition: tp, offset: String(next) }]))
}

async function main () {
  await Promise.all([admin.connect(), consumer.connect()])
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({ autoCommit: false, eachMessage: ({ partition, message }) => takes(partition, message) })
  process.stdin.resume()
  process.stdin.on('end', async () => {
    member.stopped = true
    member.leaves('revoked')
    await Promise.all([consumer.disconnect(), admin.disconnect()])
    member.left()
    process.exit(0)
  })
}

main().catch(error => {
  console.error(error)
  process.exit(1)
})
