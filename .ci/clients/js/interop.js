// kafkajs and @platformatic/kafka: create a topic, produce with each codec, ask for offsets, read as a group. One argument,
// host:port. What they wrote is read back by the caller, too.
const assert = require('node:assert/strict')

const RECORDS = 500
const [, , addr] = process.argv
const value = n => `value ${n}`

async function kafkajs () {
  const { Kafka, CompressionTypes, ConfigResourceTypes, logLevel } = require('kafkajs')
  const kafka = new Kafka({ clientId: 'interop', brokers: [addr], logLevel: logLevel.ERROR })
  const [admin, producer] = [kafka.admin(), kafka.producer()]
  await Promise.all([admin.connect(), producer.connect()])
  const topics = []
  for (const codec of ['None', 'GZIP']) {
    const topic = `kafkajs-${codec}-${process.pid}`
    assert.equal(await admin.createTopics({ topics: [{ topic, numPartitions: 1 }] }), true)
    const messages = Array.from({ length: RECORDS }, (_, n) => ({ key: `k${n}`, value: value(n), headers: { h: 'v' } }))
    const [said] = await producer.send({ topic, messages, acks: -1, compression: CompressionTypes[codec] })
    assert.deepEqual([said.errorCode, said.baseOffset], [0, '0'])
    const [offsets] = await admin.fetchTopicOffsets(topic)
    assert.deepEqual([offsets.low, offsets.high], ['0', String(RECORDS)])
    topics.push(topic)
  }
  const { topics: [described] } = await admin.fetchTopicMetadata({ topics: [topics[0]] })
  assert.equal(described.partitions.length, 1)
  const topic = { type: ConfigResourceTypes.TOPIC, name: topics[0] }
  const configEntries = [{ name: 'retention.ms', value: '86400000' }]
  await admin.alterConfigs({ validateOnly: false, resources: [{ ...topic, configEntries }] })
  const { resources: [told] } = await admin.describeConfigs({
    includeSynonyms: false, resources: [{ ...topic, configNames: ['retention.ms'] }]
  })
  assert.equal(told.configEntries[0].configValue, '86400000')
  await Promise.all([admin.disconnect(), producer.disconnect()])
  return topics
}

async function platformatic () {
  const { Producer, Admin, stringSerializers } = await import('@platformatic/kafka')
  const options = { clientId: 'interop', bootstrapBrokers: [addr] }
  const admin = new Admin(options)
  const topics = []
  for (const compression of ['none', 'gzip', 'snappy', 'lz4', 'zstd']) {
    // Node 20 has no zstd of its own.
    if (compression === 'zstd' && !require('node:zlib').createZstdCompress) continue
    const topic = `platformatic-${compression}-${process.pid}`
    await admin.createTopics({ topics: [topic], partitions: 1, replicas: 1 })
    const producer = new Producer({ ...options, serializers: stringSerializers, compression, idempotent: false })
    const messages = Array.from({ length: RECORDS }, (_, n) => ({
      topic, partition: 0, key: `k${n}`, value: value(n), headers: { h: 'v' }
    }))
    const said = await producer.send({ messages, acks: -1 })
    assert.equal(Number(said.offsets[0].offset), 0)
    await producer.close()
    topics.push(topic)
  }
  await admin.close()
  return topics
}

// Two members share two partitions, and have committed everything when they leave.
async function kafkajsGroup () {
  const { Kafka, logLevel } = require('kafkajs')
  const kafka = new Kafka({ clientId: 'interop', brokers: [addr], logLevel: logLevel.NOTHING })
  const [admin, producer] = [kafka.admin(), kafka.producer()]
  const [topic, groupId] = [`kafkajs-group-${process.pid}`, `kafkajs-${process.pid}`]
  await Promise.all([admin.connect(), producer.connect()])
  await admin.createTopics({ topics: [{ topic, numPartitions: 2 }] })
  const seen = [new Set(), new Set()]
  const members = seen.map(mine => kafka.consumer({ groupId, sessionTimeout: 6000, heartbeatInterval: 200 }))
  for (const [at, member] of members.entries()) {
    await member.connect()
    await member.subscribe({ topic, fromBeginning: true })
    await member.run({
      autoCommit: false,
      eachMessage: async ({ topic, partition, message }) => {
        seen[at].add(`${partition}/${message.offset}`)
        await member.commitOffsets([{ topic, partition, offset: String(Number(message.offset) + 1) }])
      }
    })
  }
  const shared = async () => {
    const { groups: [group] } = await admin.describeGroups([groupId])
    return group.state === 'Stable' && group.members.length === 2
  }
  await until('two do not share', shared)
  for (const partition of [0, 1]) {
    const messages = Array.from({ length: 50 }, (_, n) => ({ partition, value: value(n) }))
    await producer.send({ topic, messages, acks: -1 })
  }
  await until('not everything is read', async () => seen[0].size === 50 && seen[1].size === 50)
  const committed = async () => {
    const [{ partitions }] = await admin.fetchOffsets({ groupId, topics: [topic] })
    return partitions.every(({ offset }) => offset === '50')
  }
  await until('not everything is committed', committed)
  await Promise.all(members.map(member => member.disconnect()))
  await admin.deleteGroups([groupId])
  await Promise.all([admin.disconnect(), producer.disconnect()])
}

async function platformaticGroup (groupProtocol) {
  const { Admin, Consumer, Producer, stringDeserializers, stringSerializers } = await import('@platformatic/kafka')
  const options = { clientId: 'interop', bootstrapBrokers: [addr] }
  const [topic, groupId] = [`platformatic-${groupProtocol}-${process.pid}`, `platformatic-${groupProtocol}-group-${process.pid}`]
  const admin = new Admin(options)
  await admin.createTopics({ topics: [topic], partitions: 2, replicas: 1 })
  const producer = new Producer({ ...options, serializers: stringSerializers })
  const messages = Array.from({ length: 100 }, (_, n) => ({ topic, partition: n % 2, key: `k${n}`, value: value(n) }))
  await producer.send({ messages, acks: -1 })
  const consumer = new Consumer({ ...options, groupId, groupProtocol, deserializers: stringDeserializers })
  const stream = await consumer.consume({ topics: [topic], mode: 'earliest', autocommit: false })
  const seen = new Set()
  for await (const message of stream) {
    seen.add(`${message.partition}/${message.offset}`)
    await message.commit()
    if (seen.size === 100) break
  }
  const offsets = await consumer.listCommittedOffsets({ topics: [{ topic, partitions: [0, 1] }] })
  assert.deepEqual(offsets.get(topic).map(Number), [50, 50])
  await consumer.close(true)
  await Promise.all([admin.close(), producer.close()])
}

async function until (what, found) {
  for (const began = Date.now(); !await found();) {
    assert(Date.now() - began < 30_000, what)
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}

async function main () {
  await kafkajsGroup()
  for (const protocol of ['classic', 'consumer']) await platformaticGroup(protocol)
  const topics = [...await kafkajs(), ...await platformatic()]
  console.log(JSON.stringify({ topics, records: RECORDS }))
}

main().catch(error => {
  console.error(error)
  process.exit(1)
})
