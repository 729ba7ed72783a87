import { constants, type Http2Stream } from 'node:http2'
import { Readable } from 'node:stream'

/** What is read from a stream, alone: that it is broken off is an error, and what ends its reading leaves the stream as it is. */
export function bodyOf(stream: Http2Stream, isEmpty: boolean): Readable {
  let isOver = isEmpty
  const body = new Readable({ read: () => void stream.resume() })
  // Who reads hears of it; what nobody reads needs no hearing.
  body.on('error', () => {})
  stream.on('data', (chunk: Buffer) => {
    if (!isOver && !body.destroyed && !body.push(chunk)) stream.pause()
  })
  const finish = (isWhole: boolean): void => {
    if (isOver) return
    isOver = true
    if (isWhole) body.push(null)
    else body.destroy(new Error('the stream was broken off'))
  }
  // What nobody reads any more must not keep the stream from its end.
  body.once('close', () => stream.resume())
  // Node ends a stream also when the other side resets it.
  stream.once('end', () => finish(stream.rstCode === constants.NGHTTP2_NO_ERROR))
  stream.once('close', () => finish(false))
  if (isEmpty) {
    body.push(null)
    stream.resume()
  }
  return body
}
