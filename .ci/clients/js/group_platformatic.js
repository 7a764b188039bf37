// A member of a consumer group (@platformatic/kafka) that notes what it knows: group_member.js with another client.
//
// 1.35.0 looks for its coordinator once, and a stream of its ends with the first error: when either is over, it begins anew,
// in a thread of its own, so that nothing of what it was stays in the group for longer than a session.
const { Worker, isMainThread, parentPort } = require('node:worker_threads')
const { Noted } = require('./noted.js')

const [addr, topic, groupId, strategy, ...rest] = process.argv.slice(2)
const PAUSE = 200

function supervise () {
  let [ended, session] = [false, null]
  const begin = () => {
    session = new Worker(__filename, { argv: process.argv.slice(2) })
    session.on('error', error => console.error(error))
    session.on('exit', () => ended ? process.exit(0) : setTimeout(begin, PAUSE))
    if (ended) session.postMessage('end')
  }
  begin()
  process.stdin.resume()
  process.stdin.on('end', () => {
    ended = true
    session.postMessage('end')
  })
}

async function session () {
  // What `import` looks for itself it does not look for in NODE_PATH.
  const { Consumer } = await import(require.resolve('@platformatic/kafka'))
  const member = new Noted(rest)
  const consumer = new Consumer({
    clientId: 'platformatic', bootstrapBrokers: addr.split(','), groupId, sessionTimeout: 6000, rebalanceTimeout: 10_000,
    heartbeatInterval: 300, maxWaitTime: 200, connectTimeout: 2000, requestTimeout: 8000,
    // It commits what was refused once more after it has joined again, for whoever has the partition then.
    retries: 0,
    // It writes no owned partitions, which the first version has and others look for.
    protocols: [{ name: strategy, version: 0, metadata: Buffer.alloc(0) }]
  })
  function over (error) {
    console.error(error)
    member.leaves('lost')
    process.exit(1)
  }
  let assigned = new Set()
  consumer.on('error', over)
  consumer.on('consumer:heartbeat:error', ({ error }) => over(error))
  consumer.on('consumer:group:rebalance', () => member.leaves('revoked'))
  consumer.on('consumer:group:join', ({ generationId, isLeader, assignments }) => {
    // What it holds until then it did not give up.
    member.leaves('lost')
    member.enters(generationId, isLeader)
    assigned = new Set(assignments.filter(each => each.topic === topic).flatMap(each => each.partitions))
  })
  parentPort.on('message', async () => {
    member.stopped = true
    member.leaves('revoked')
    await consumer.close(true).catch(error => console.error(error))
    member.left()
    process.exit(0)
  })

  async function found (tp) {
    const committed = await consumer.listCommittedOffsets({ topics: [{ topic, partitions: [tp] }] })
    return Number(committed.get(topic)[tp])
  }
  // From before it joined it may still bring what is another's now, or what comes again from where the group left off.
  async function takes ({ partition: tp, offset, timestamp, value }) {
    if (member.stopped || !assigned.has(tp) || (!member.held.has(tp) && !await member.begins(tp, found))) return
    if (Number(offset) !== member.next[tp]) return
    const commit = next => consumer.commit({ offsets: [{ topic, partition: tp, offset: BigInt(next), leaderEpoch: -1 }] })
    await member.processes(tp, { offset: Number(offset), timestamp: Number(timestamp), value, epoch: 0 }, commit)
  }
  try {
    const stream = await consumer.consume({ topics: [topic], mode: 'committed', fallbackMode: 'earliest', autocommit: false })
    for await (const message of stream) await takes(message)
    if (!member.stopped) over(new Error('the stream ended'))
  } catch (error) {
    if (!member.stopped) over(error)
  }
}

if (isMainThread) supervise()
else session()
