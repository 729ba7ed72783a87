// Channels of the whole program: the command, the addresses that chats call, and a server that is killed.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { api } from '@keyward/contract'
import { commanded, newSecret, slackRequest } from './support/channels-world.ts'
import { startSlack, wordsOf } from './support/chat-servers.ts'
import { eventually } from './support/eventually.ts'
import { codeOf, scratchFolder, startServer } from './support/server.ts'

test('APPR-2, CONN-1: what a killed server had heard of is told by the next one, once; chats reach it signed alone', async (t) => {
  const token = `xoxb-${newSecret()}`
  const signing = newSecret()
  const slack = await startSlack(t, token)
  const dataDir = scratchFolder(t)
  const options = {
    dataDir,
    token: `test-root-${newSecret()}`,
    env: { KEYWARD_PUBLIC_ADDRESS: 'https://keyward.example/' },
  }
  const server = await startServer(t, options)
  const written = await server.ask('POST', '/v1/secret/data/channels/slack', {
    body: { data: { 'bot-token': token, 'signing-secret': signing } },
  })
  assert.equal(written.status, 200)
  const setting = (text: string): string[] => ['--set', text]
  const made = await server.keyward([
    ...['channels', 'create', 'slack', 'releases', '--secret', 'secret/channels/slack'],
    ...[...setting('conversation=C01'), ...setting(`apiUrl=${slack.apiUrl}`), '--allow-private'],
    ...['--route', 'agent.quarantined'],
  ])
  assert.equal(made.code, 0, made.stderr)
  const tested = await server.keyward(['channels', 'test', 'releases'])
  assert.equal(tested.code, 0, tested.stderr)
  assert.equal(slack.posts.length, 1)

  const { code } = await server.call(api.channels.link, {})
  const send = (secret: string, form: Record<string, string>) => {
    const { headers, body } = slackRequest(secret, new Date(), form)
    return server.ask('POST', '/hooks/slack/command', { token: null, headers, body: body.toString() })
  }
  const forged = await send(newSecret(), commanded(`link ${code}`))
  assert.deepEqual([forged.status, codeOf(forged)], [401, 'channel.unsigned'])
  const linked = await send(signing, commanded(`link ${code}`))
  assert.equal(linked.status, 200)
  assert.match(JSON.stringify(linked.body), /now linked to owner/)
  const accounts = await server.keyward(['channels', 'accounts'])
  assert.match(accounts.stdout, /slack +T01 +U01 +owner/)
  const teams = await server.ask('POST', '/hooks/teams', { token: null, body: {} })
  assert.equal(codeOf(teams), 'channel.unsigned')

  const { agent } = await server.call(api.agents.register, {
    name: 'shop-bot',
    description: 'Looks after the shop',
  })
  for (let i = 0; i < 50; i++) slack.next.push({ status: 503 })
  await server.call(api.agents.quarantine, { agentId: agent.id, reason: 'it acts oddly' })
  await eventually(async () => slack.next.length < 50, 'the first try')
  await server.stop('SIGKILL')
  slack.next.length = 0
  const again = await startServer(t, options)
  await eventually(async () => slack.posts.length > 1, 'the message')
  const about = slack.posts.filter((post) => wordsOf(post).includes(agent.id))
  assert.equal(about.length, 1)
  const { items } = await again.call(api.channels.list, {})
  await eventually(
    async () => (await again.call(api.channels.list, {})).items[0]?.waiting === 0,
    'the end of the queue',
  )
  const deliveries = await again.call(api.channels.deliveries, { channelId: items[0]?.id ?? '' })
  assert.deepEqual(
    deliveries.items.map(({ event, state }) => [event, state]),
    [
      ['agent.quarantined', 'sent'],
      ['test', 'sent'],
    ],
  )
  const metrics = await again.ask('GET', '/metrics')
  assert.match(String(metrics.body), /keyward_channel_messages\{state="dead"\} 0/)
  const { items: entries } = await again.call(api.audit.list, { limit: 500 })
  const said = JSON.stringify(entries) + again.output() + server.output()
  for (const secret of [token, signing, code]) assert.ok(!said.includes(secret), 'no secret is in logs')
})
