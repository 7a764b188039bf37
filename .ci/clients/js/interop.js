// kafkajs and @platformatic/kafka: create a topic, produce with each codec, ask for offsets. One argument, host:port.
// Both read only through consumer groups; what they wrote is read back by the caller.
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

async function main () {
  const topics = [...await kafkajs(), ...await platformatic()]
  console.log(JSON.stringify({ topics, records: RECORDS }))
}

main().catch(error => {
  console.error(error)
  process.exit(1)
})
