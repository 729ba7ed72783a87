/** What a TLS client says first, in the clear (RFC 8446, 4.1.2; RFC 6066, 3). */
export type ClientHello = {
  /** The name that it calls the server; undefined when it calls none, or several. */
  readonly serverName: string | undefined
  /** Another name is hidden in it (Encrypted Client Hello). */
  readonly isEncrypted: boolean
}

const handshake = 22
const clientHello = 1
const serverNameExtension = 0
const encryptedHelloExtension = 0xfe0d
/** Of a plain greeting; more is none. */
const longestBytes = 32 * 1024

/** Reads as much as is there: `more` when it is not all, undefined when it is no greeting of TLS. */
export function readClientHello(data: Buffer): ClientHello | 'more' | undefined {
  if (data.length > longestBytes) return undefined
  const message = handshakeIn(data)
  if (message === undefined || message === 'more') return message
  try {
    return helloIn(message)
  } catch {
    // A length leads beyond the end.
    return undefined
  }
}

/** The first handshake message, put together from its records. */
function handshakeIn(data: Buffer): Buffer | 'more' | undefined {
  let message: Buffer = Buffer.alloc(0)
  for (let rest = data; !isWhole(message); ) {
    const part = recordIn(rest)
    if (part === undefined || part === 'more') return part
    message = Buffer.concat([message, part])
    if (message[0] !== clientHello) return undefined
    rest = rest.subarray(recordHeadBytes + part.length)
  }
  return message.subarray(4, 4 + message.readUIntBE(1, 3))
}

const recordHeadBytes = 5
const isWhole = (message: Buffer): boolean =>
  message.length >= 4 && message.length >= 4 + message.readUIntBE(1, 3)

function recordIn(data: Buffer): Buffer | 'more' | undefined {
  if (data.length > 0 && data[0] !== handshake) return undefined
  if (data.length < recordHeadBytes) return 'more'
  const length = data.readUInt16BE(3)
  if (length === 0) return undefined
  return data.length < recordHeadBytes + length
    ? 'more'
    : data.subarray(recordHeadBytes, recordHeadBytes + length)
}

function helloIn(message: Buffer): ClientHello {
  const afterRandom = 2 + 32
  const afterSession = afterRandom + 1 + message.readUInt8(afterRandom)
  const afterSuites = afterSession + 2 + message.readUInt16BE(afterSession)
  const afterCompression = afterSuites + 1 + message.readUInt8(afterSuites)
  const names: string[] = []
  let isEncrypted = false
  for (let at = afterCompression + 2; at + 4 <= message.length; ) {
    const type = message.readUInt16BE(at)
    const length = message.readUInt16BE(at + 2)
    const body = message.subarray(at + 4, at + 4 + length)
    if (body.length < length) throw new Error('an extension is cut off')
    if (type === serverNameExtension) names.push(...namesIn(body))
    if (type === encryptedHelloExtension) isEncrypted = true
    at += 4 + length
  }
  return { serverName: names.length === 1 ? names[0] : undefined, isEncrypted }
}

/** Names of hosts are of type 0, the only one there is. */
function namesIn(list: Buffer): string[] {
  const names: string[] = []
  for (let at = 2; at + 3 <= list.length; ) {
    const length = list.readUInt16BE(at + 1)
    names.push(list.toString('latin1', at + 3, at + 3 + length).toLowerCase())
    at += 3 + length
  }
  return names
}
