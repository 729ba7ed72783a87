import { crc32, deflateSync } from 'node:zlib'

const border = 4

/** A QR code as PNG in base64, about `size` pixels wide; never so small that a point would be less than a pixel. */
export async function qrImage(text: string, size: number): Promise<string> {
  // Most servers never draw one.
  const { default: encodeQR } = await import('qr')
  const points = encodeQR(text, 'raw', { ecc: 'medium', border })
  const scale = Math.max(1, Math.floor(size / points.length))
  return png(points, scale).toString('base64')
}

/** One bit a pixel, 0 black (PNG, ISO/IEC 15948). */
function png(points: readonly (readonly boolean[])[], scale: number): Buffer {
  const width = points.length * scale
  const rowBytes = Math.ceil(width / 8)
  const rows = points.flatMap((row) => {
    const line = Buffer.alloc(1 + rowBytes)
    for (let x = 0; x < width; x++)
      if (!row[Math.floor(x / scale)]) line[1 + (x >> 3)] = (line[1 + (x >> 3)] ?? 0) | (0x80 >> (x & 7))
    return Array<Buffer>(scale).fill(line)
  })
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(width, 4)
  header[8] = 1
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(Buffer.concat(rows))),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

function chunk(name: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(name, 'latin1'), data])
  const ends = Buffer.alloc(8)
  ends.writeUInt32BE(data.length, 0)
  ends.writeUInt32BE(crc32(body), 4)
  return Buffer.concat([ends.subarray(0, 4), body, ends.subarray(4)])
}
