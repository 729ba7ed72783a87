import assert from 'node:assert/strict'
import { test } from 'node:test'
import { apiHost, openProxy, openTls, openUpstream, until } from '../../test/support/egress.ts'
import { nothingOpen } from './open-now.ts'

test('OBS-1: what is open through the proxy is counted by agent, and falls to none when the proxy is killed', async (t) => {
  const upstream = await openUpstream(t, (_request, response) => response.end())
  const { proxy, channel } = await openProxy(t)
  const way = await channel({ host: apiHost, port: 443, ...upstream })
  const [first, second] = [await openTls(way), await openTls(way)]
  for (const socket of [first, second]) socket.on('error', () => undefined)
  await until(() => proxy.openNow('agt_1').https === 2)
  assert.deepEqual(proxy.openNow(), { ...nothingOpen, https: 2 })
  assert.deepEqual(proxy.openNow('agt_2'), nothingOpen)
  first.destroy()
  await until(() => proxy.openNow().https === 1)
  process.kill(proxy.health().pid ?? 0, 'SIGKILL')
  await until(() => proxy.openNow().https === 0)
  await until(() => proxy.health().restarts === 1 && proxy.health().state === 'ok')
  assert.deepEqual(proxy.openNow(), nothingOpen)
})
