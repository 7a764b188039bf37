// What a member of a consumer group knows, written down as it happens: group_member.py in JavaScript, for whichever client.
const fs = require('node:fs')

const TABLE = Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? n >>> 1 ^ 0x82F63B78 : n >>> 1
  return n >>> 0
})

function crc32c (...parts) {
  let crc = 0xFFFFFFFF
  for (const part of parts) for (const byte of part) crc = TABLE[(crc ^ byte) & 0xFF] ^ crc >>> 8
  return (crc ^ 0xFFFFFFFF) >>> 0
}

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

// Kafka's code, if it is one of those.
const codeOf = error => Number.isInteger(error.code) ? error.code : -1

class Noted {
  #file
  #numbers
  #base
  #recorders
  #last = 0
  generation = -1
  // How often what it holds has changed hands.
  joined = 0
  stopped = false
  held = new Set()
  next = {}

  // Of group_member.py's arguments: who it is, and where it writes.
  constructor ([group, client, base, recorders, path]) {
    this.#file = fs.openSync(path, 'a')
    this.#numbers = { client: Number(client), incarnation: 0, group: Number(group) }
    this.#base = BigInt(base)
    this.#recorders = Number(recorders)
  }

  note (kind, more) {
    this.#last = Math.max(this.#last + 1, Number(process.hrtime.bigint() - this.#base))
    // Written at once: it may be killed.
    fs.writeSync(this.#file, JSON.stringify({ at: this.#last, kind, ...more(this.#last) }) + '\n')
  }

  call (name, more) {
    const { client, incarnation } = this.#numbers
    let op
    this.note('call', at => {
      op = at * this.#recorders + client
      return { op, client, incarnation, call: { call: name, ...more } }
    })
    return op
  }

  returned (op, outcome, code, reply, more) {
    this.note('return', () => ({ op, outcome, code, reply: { reply, ...more } }))
  }

  step (generation, name, more) {
    this.note('group', () => ({ ...this.#numbers, generation, step: name, ...more }))
  }

  enters (generation, leads) {
    this.generation = generation
    this.step(generation, 'entered', { leads })
    this.step(generation, 'synced')
  }

  // Everything that it holds, `revoked` or `lost`.
  leaves (how) {
    for (const tp of this.held) this.step(how === 'lost' ? -1 : this.generation, how, { tp })
    this.held.clear()
    this.generation = -1
    this.joined++
  }

  // Looks up where the group left off (`found`: -1 for nowhere), until an answer comes; begins there, or at `position`.
  async begins (tp, found, position) {
    const at = this.joined
    while (at === this.joined) {
      const op = this.call('fetch_offset', { group: this.#numbers.group, tp })
      try {
        const offset = await found(tp)
        this.returned(op, 'ok', 0, 'offset', { offset })
        position ??= Math.max(offset, 0)
        break
      } catch (error) {
        this.returned(op, 'info', codeOf(error), 'none')
      }
    }
    if (at !== this.joined) return false
    this.step(this.generation, 'assigned', { tp, position })
    this.returned(this.call('assign', { tp, position, last: false }), 'ok', 0, 'none')
    this.held.add(tp)
    this.next[tp] = position
    return true
  }

  // A record of a partition that it holds: processed, and then committed.
  async processes (tp, { offset, timestamp, value, epoch }, commit) {
    const { client, group } = this.#numbers
    const poll = this.call('poll', { tp, position: this.next[tp] })
    this.note('deliver', () => ({
      op: poll, client, tp, offset, id: decode(value), checksum: checksum(value, timestamp), timestamp, epoch, last: false
    }))
    const next = this.next[tp] = offset + 1
    this.returned(poll, 'ok', 0, 'polled', { records: 1, position: next, high: next })
    this.step(this.generation, 'processed', { tp, position: next })
    const at = this.joined
    const op = this.call('commit', { group, tp, offset: next, generation: this.generation })
    try {
      await commit(next)
      // What was not stated as noted did not happen as noted.
      this.returned(op, at === this.joined ? 'ok' : 'info', 0, 'none')
    } catch (error) {
      this.returned(op, 'info', codeOf(error), 'none')
    }
  }

  left () {
    const { client, incarnation } = this.#numbers
    this.step(-1, 'left')
    this.note('quit', () => ({ client, incarnation }))
  }
}

module.exports = { Noted }
