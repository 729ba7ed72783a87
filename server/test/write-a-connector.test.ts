// The connector that docs/how-to/write-a-connector.md writes, against a board of the test's own.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { cleanUp } from './support/clean-up.ts'
import { connectorSuite, type OpenedService, type Wrong } from './support/connector-suite.ts'
import { openConnectorWorld, secretPath } from './support/connector-world.ts'
import { noticeBoard } from './support/notice-board.ts'

const statuses: Record<Exclude<Wrong, 'silent'>, number> = {
  unauthorized: 401,
  'rate-limited': 429,
  refused: 422,
  unavailable: 503,
}

async function open(t: TestContext): Promise<OpenedService> {
  const token = randomBytes(24).toString('base64url')
  const notices = new Map<string, { id: string; text: string }>()
  let asked = 0
  let wrong: Wrong | undefined
  const server = createServer(async (request, response) => {
    asked++
    const body = await text(request)
    const now = wrong
    wrong = undefined
    if (now === 'silent') return void request.socket.destroy()
    const allowed = request.headers.authorization === `Bearer ${token}`
    const status = now ? statuses[now] : allowed ? 200 : 401
    const key = String(request.headers['idempotency-key'])
    if (status === 200 && request.url === '/notices' && !notices.has(key))
      notices.set(key, { id: `n${notices.size + 1}`, ...JSON.parse(body) })
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ id: notices.get(key)?.id ?? null }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanUp(t, () => {
    server.closeAllConnections()
    server.close()
  })
  const world = await openConnectorWorld(t, [noticeBoard])
  world.secrets.set(secretPath, { token })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  await world.connect({ connector: 'notice-board', settings: { url } })
  return {
    world,
    secretValues: () => [token],
    inputs: { 'notice-board.post': { text: 'Lunch at noon' } },
    asked: () => asked,
    state: () => [...notices.values()],
    goWrong: (next) => {
      wrong = next
    },
  }
}

connectorSuite(noticeBoard, open)

test('CONN-1: the guide shows the very connector that is tested here', () => {
  const read = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8')
  const [, body = ''] = /(const settings = .*)/s.exec(read('support/notice-board.ts')) ?? []
  assert.ok(read('../../docs/how-to/write-a-connector.md').includes(body.trim()))
})
