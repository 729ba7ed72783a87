// Microsoft Teams: a bot's token endpoint, the connector and the keys of the Bot Framework, on one server of the test's own.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type CryptoKey, exportJWK, generateKeyPair, SignJWT } from 'jose'
import { newSecret, openChannelsWorld } from '../../test/support/channels-world.ts'
import { startService } from '../../test/support/chat-servers.ts'
import { eventually } from '../../test/support/eventually.ts'

const appId = '00000000-0000-4000-8000-000000000001'
const issuer = 'https://api.botframework.com'
type Card = {
  body: { facts?: { title: string; value: string }[] }[]
  actions: { type: string; verb?: string; data?: { approvalId: string; digest: string }; url?: string }[]
}

async function openTeams(t: TestContext) {
  const { publicKey, privateKey } = await generateKeyPair('RS256')
  const other = await generateKeyPair('RS256')
  const keyOf = async (key: CryptoKey, kid: string, endorsements: string[]) => ({
    ...(await exportJWK(key)),
    kid,
    use: 'sig',
    endorsements,
  })
  const keys = [await keyOf(publicKey, 'k1', ['msteams']), await keyOf(other.publicKey, 'k2', ['skype'])]
  const bearer = newSecret()
  const cards: Card[] = []
  const texts: string[] = []
  const post = (text: string): object => {
    const said = JSON.parse(text) as { text?: string; attachments?: { content: Card }[] }
    if (said.text !== undefined) texts.push(said.text)
    for (const { content } of said.attachments ?? []) cards.push(content)
    return { status: 201, body: { id: String(cards.length - 1) } }
  }
  const put = (text: string, at: number): object => {
    const said = JSON.parse(text) as { attachments: [{ content: Card }] }
    cards[at] = said.attachments[0].content
    return { status: 200, body: { id: String(at) } }
  }
  const service = await startService(t, ({ method, path, headers, text }) => {
    const known: Record<string, object> = {
      '/metadata': { issuer, jwks_uri: `${service.url}keys` },
      '/keys': { keys },
      '/token': { token_type: 'Bearer', expires_in: 3600, access_token: bearer },
    }
    if (known[path]) return { body: known[path] }
    if (headers.authorization !== `Bearer ${bearer}`) return { status: 401 }
    return method === 'POST' ? post(text) : put(text, Number(path.split('/').at(-1)))
  })
  const world = await openChannelsWorld(t)
  const bot = {
    appId,
    serviceUrl: service.url,
    conversationId: '19:releases@thread.tacv2',
    tokenUrl: `${service.url}token`,
    openIdMetadataUrl: `${service.url}metadata`,
  }
  const channel = await world.add('teams', { bot }, { 'app-password': newSecret() })
  let count = 0
  const activity = (more: object) => ({
    id: `act-${++count}`,
    channelId: 'msteams',
    serviceUrl: service.url,
    from: { id: '29:1abc', aadObjectId: '11111111-0000-4000-8000-000000000000', name: 'owner' },
    conversation: { id: '19:releases@thread.tacv2', tenantId: 'tenant-1' },
    recipient: { id: `28:${appId}` },
    ...more,
  })
  const token = (
    claims: { aud?: string; iss?: string; serviceurl?: string } = {},
    { key = privateKey, kid = 'k1', at = world.clock.now() } = {},
  ): Promise<string> =>
    new SignJWT({ serviceurl: claims.serviceurl ?? service.url })
      .setProtectedHeader({ alg: 'RS256', kid })
      .setIssuer(claims.iss ?? issuer)
      .setAudience(claims.aud ?? appId)
      .setIssuedAt(Math.floor(at.getTime() / 1000))
      .setExpirationTime(Math.floor(at.getTime() / 1000) + 3600)
      .sign(key)
  const send = async (said: object, jwt?: string) =>
    world.channels.receive('teams', {
      headers: { authorization: `Bearer ${jwt ?? (await token())}` },
      body: Buffer.from(JSON.stringify(said)),
    })
  const pressed = ({ verb, data }: Card['actions'][number]) =>
    activity({
      type: 'invoke',
      name: 'adaptiveCard/action',
      value: { action: { type: 'Action.Execute', verb, data } },
    })
  const link = async () => {
    const { code } = await world.channels.link(world.owner)
    await send(activity({ type: 'message', text: `<at>Keyward</at> link ${code.reveal()}` }))
  }
  const card = (at = 0) => eventually(async () => cards[at], 'the card')
  return { ...world, service, channel, cards, texts, token, other, activity, send, pressed, link, card }
}

const actionOf = (card: Card, verb: string): Card['actions'][number] => {
  const found = card.actions.find((action) => action.verb === verb)
  assert.ok(found, `there is no ${verb}`)
  return found
}

test('APPR-2: what is of low risk is asked on a card, answered there, and the card shows who decided', async (t) => {
  const { asked, link, card, cards, send, pressed, approvals, owner, texts } = await openTeams(t)
  await link()
  await eventually(async () => texts.some((text) => text.includes('now linked to owner')), 'the words')
  const { id } = await asked()
  const reply = await send(pressed(actionOf(await card(), 'keyward.approve')))
  assert.deepEqual(reply, {
    status: 200,
    body: { statusCode: 200, type: 'application/vnd.microsoft.activity.message', value: 'Task a: approved.' },
  })
  assert.equal((await approvals.read(id)).decidedBy, `person:${owner.id}`)
  await eventually(
    async () => JSON.stringify(cards[0]).includes(`approved by person:${owner.id}`),
    'the update',
  )
  // The end of the run may have a card of its own by now; none of them asks any more.
  assert.deepEqual(
    cards.flatMap(({ actions }) => actions.map(({ type }) => type)),
    cards.map(() => 'Action.OpenUrl'),
  )
})

test('APPR-2: in Teams, too, nobody answers who is not linked, or what is above low risk', async (t) => {
  const { asked, link, card, send, pressed, approvals } = await openTeams(t)
  const { id, digest } = await asked()
  const approve = actionOf(await card(), 'keyward.approve')
  const unlinked = await send(pressed(approve))
  assert.match(JSON.stringify(unlinked.body), /Nobody is linked/)
  assert.equal((await approvals.read(id)).state, 'pending')
  await link()
  const high = await asked({ risk: 'high' })
  const shown = await card(1)
  assert.deepEqual(
    shown.actions.map(({ type }) => type),
    ['Action.OpenUrl'],
  )
  const forged = await send(
    pressed({ type: '', verb: 'keyward.approve', data: { approvalId: high.id, digest: high.digest } }),
  )
  assert.match(JSON.stringify(forged.body), /high risk/)
  assert.equal((await approvals.read(high.id)).state, 'pending')
  const unknown = await send(pressed({ type: '', verb: 'keyward.other', data: { approvalId: id, digest } }))
  assert.match(JSON.stringify(unknown.body), /not known/)
})

test('APPR-2: only the Bot Framework speaks to the bot, for this app, from its service, and once', async (t) => {
  const { asked, link, card, send, pressed, approvals, token, other, activity, clock, entries } =
    await openTeams(t)
  await link()
  const { id } = await asked()
  const said = pressed(actionOf(await card(), 'keyward.approve'))
  const unsigned = { code: 'channel.unsigned' }
  await assert.rejects(send(said, ''), unsigned)
  await assert.rejects(send(said, 'a.b.c'), unsigned)
  await assert.rejects(send(said, await token({ aud: '00000000-0000-4000-8000-000000000002' })), unsigned)
  await assert.rejects(send(said, await token({ iss: 'https://sts.example' })), unsigned)
  await assert.rejects(send(said, await token({ serviceurl: 'https://elsewhere.example' })), unsigned)
  await assert.rejects(
    send(said, await token({}, { at: new Date(clock.now().getTime() - 4_000_000) })),
    unsigned,
  )
  await assert.rejects(
    send(said, await token({}, { key: other.privateKey })),
    unsigned,
    'a signature of another key',
  )
  await assert.rejects(
    send(said, await token({}, { key: other.privateKey, kid: 'k2' })),
    unsigned,
    'a key not for Teams',
  )
  await assert.rejects(send(activity({ type: 'message', channelId: 'email', text: 'x' })), {
    code: 'request.invalid',
  })
  assert.equal((await approvals.read(id)).state, 'pending')
  assert.equal((await entries('channel.answer_refused')).length, 8)
  const jwt = await token()
  await send(said, jwt)
  await assert.rejects(send(said, jwt), { code: 'channel.repeated' })
})
