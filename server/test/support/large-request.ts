import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'

/** What is said to a body that is announced to be so long; nothing of it is sent, so that nobody hangs up on a writer. */
export async function statusOfLarge(address: string, sizeBytes: number): Promise<number | undefined> {
  const sent = request(address, { method: 'POST', headers: { 'content-length': sizeBytes } })
  sent.flushHeaders()
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  sent.on('error', () => undefined).destroy()
  return response.statusCode
}
