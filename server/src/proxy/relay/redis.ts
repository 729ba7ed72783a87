import { type Duplex, Transform } from 'node:stream'
import type { RelayRule } from '../destination.ts'
import type { Limits } from '../messages.ts'
import { placeholdersIn } from '../placeholders.ts'
import type { Route } from '../route.ts'
import { dial, secure } from './dial.ts'
import { inSeconds, take } from './read.ts'
import { commandFilter, encoded, type Ruling, readCommand, readHello, refusalOf } from './redis-commands.ts'
import { followReplies } from './redis-replies.ts'
import { denied, refused } from './refused.ts'
import { answered, maskerFor, passThrough, type Relayed, type RelayNeeds, serve } from './relayed.ts'

type Rule = Extract<RelayRule, { kind: 'redis' }>
type Login = { readonly user: string; readonly password: string }
/** `next`: what the server is to be sent, or the client to be told, once the login is made. */
type Begun = Login & { readonly next: Buffer | 'ok' }

const unknownBefore = '-NOAUTH Authentication required.\r\n'
const ok = Buffer.from('+OK\r\n')
/** Commands of a client that does not sign in. */
const patience = 32
/** Answers of ours that a client has not read yet, or that wait for the server's before them. */
const mostWaiting = 256
const mostUnreadBytes = 64 * 1024

export function createRedisRelay(needs: RelayNeeds) {
  const { ask, sandboxId, limits, patterns } = needs

  async function converse(relayed: Relayed, rule: Rule): Promise<void> {
    const { client, route, about, tally } = relayed
    about.path = '/'
    const begun = await inSeconds(limits.handshakeSeconds, client, readLogin(client))
    if (!begun) return
    about.user = begun.user
    const [placeholder] = placeholdersIn(begun.password)
    if (placeholder === undefined || placeholder !== begun.password)
      throw refused({ code: 'lease.not_found', reason: 'The password must be the placeholder of a lease.' })
    tally.placeholders = 1
    const claim = {
      sandboxId,
      kind: rule.kind,
      placeholder,
      ...route.authority,
      user: begun.user,
      database: '',
    }
    const login = await answered(ask('signIn', claim))
    relayed.borrow(login)
    const password = login.password ?? ''
    patterns.add(password)
    const upstream = await connect(route, rule, limits)
    relayed.own(upstream)
    const words = login.username === 'default' ? [password] : [login.username, password]
    await inSeconds(limits.handshakeSeconds, upstream, signIn(upstream, ['AUTH', ...words]))
    const { outward, inward } = conversation(relayed, rule, placeholder)
    if (begun.next === 'ok') client.write(ok)
    else outward.write(begun.next)
    await passThrough({ relayed, upstream, outward, inward })
  }

  /** The two directions know of each other: what is answered here must come in its turn. */
  function conversation(relayed: Relayed, { allow }: Rule, placeholder: string) {
    const { tally } = relayed
    const turns = createTurns()
    const { judge, isOrdered } = createJudge(allow, placeholder)
    const ended = (ruling: Ruling): void => {
      if (!('answer' in ruling)) turns.ask()
      else answerHere(ruling.answer)
    }
    const answerHere = (answer: string): void => {
      if (answer.startsWith('-')) tally.reason ??= answer.slice(1).trim()
      if (turns.waiting() >= mostWaiting || inward.readableLength > mostUnreadBytes)
        throw denied('The client goes on without hearing what it is answered.')
      if (isOrdered()) {
        turns.answer(answer, (bytes) => void inward.push(bytes))
        return
      }
      // Nobody can say any more which answer belongs to what, or what of a transaction would be left.
      relayed.client.write(answer)
      throw denied(answer.slice(1).trim())
    }
    const outward: Transform = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        try {
          filter(chunk)
          done()
        } catch (error) {
          done(error as Error)
        }
      },
    })
    const filter = commandFilter({ judge, ended, send: (bytes) => outward.push(bytes) })
    const inward = answers(relayed, turns)
    return { outward, inward }
  }

  function answers(relayed: Relayed, turns: Turns): Transform {
    const follow = followReplies()
    const masker = maskerFor(relayed, patterns)
    return new Transform({
      transform(chunk: Buffer, _encoding, done) {
        try {
          const { ends, open } = follow(chunk)
          let from = 0
          for (const end of ends) {
            const waiting = turns.heard()
            if (waiting.length === 0) continue
            this.push(masker.push(chunk.subarray(from, end), 0))
            this.push(Buffer.concat(waiting))
            from = end
          }
          done(null, masker.push(chunk.subarray(from), open))
        } catch (error) {
          done(error as Error)
        }
      },
    })
  }

  return (client: Duplex, route: Route, rule: Rule): Promise<void> =>
    serve(needs, {
      client,
      route,
      method: 'REDIS',
      work: (relayed) => converse(relayed, rule),
      say: ({ code, reason }) =>
        `-${code === 'egress.unreachable' ? 'ERR' : 'NOPERM'} Keyward: ${reason}\r\n`,
    })
}

/** Asks for the login; undefined when the client leaves instead. */
async function readLogin(client: Duplex): Promise<Begun | undefined> {
  for (let count = 0; count < patience; count++) {
    const [written = '', ...words] = await readCommand(client)
    const name = written.toUpperCase()
    if (name === 'AUTH' && words.length > 0) return { ...loginOf(words), next: 'ok' }
    const { login, rest } = readHello([name, ...words])
    if (name === 'HELLO' && login.length === 2) return { ...loginOf(login), next: encoded(rest) }
    if (name === 'QUIT') return void client.end(ok)
    client.write(unknownBefore)
  }
  throw denied('The client does not sign in.')
}

const loginOf = (words: readonly string[]): Login =>
  words.length === 1
    ? { user: '', password: words[0] ?? '' }
    : { user: words[0] ?? '', password: words[1] ?? '' }

async function connect(route: Route, { tls }: Rule, limits: Limits): Promise<Duplex> {
  const socket = await dial(route, limits)
  return tls === 'none' ? socket : secure(socket, route, limits)
}

async function signIn(upstream: Duplex, words: readonly string[]): Promise<void> {
  upstream.write(encoded(words))
  let line = ''
  while (!line.endsWith('\n') && line.length < 1000) line += (await take(upstream, 1)).toString('latin1')
  // Its words after the code may be anything, so they are not repeated.
  if (line !== '+OK\r\n')
    throw refused({
      code: 'egress.unreachable',
      reason: `Redis refused the login (${/^-([A-Z]{1,20})\b/.exec(line)?.[1] ?? 'no answer'}).`,
    })
}

/** Rules on commands, and knows whether the answers still come in the order of the questions. */
function createJudge(allow: readonly string[], placeholder: string) {
  let isListening = false
  let inTransaction = false
  const note = (name: string): void => {
    if (/^[PS]?(?:UN)?SUBSCRIBE$/.test(name)) isListening = true
    if (name === 'MULTI') inTransaction = true
    if (name === 'EXEC' || name === 'DISCARD') inTransaction = false
  }
  return {
    isOrdered: (): boolean => !isListening && !inTransaction,
    judge(words: readonly string[]): Ruling {
      const [name = ''] = words
      if (name === 'AUTH') return signInAgain(words, words.slice(1), placeholder)
      const { login } = readHello(name === 'HELLO' ? words : [])
      if (login.length > 0) return signInAgain(words, login, placeholder)
      const refusal = refusalOf(words, allow)
      if (refusal !== undefined) return { answer: refusal }
      note(name)
      return { pass: true }
    },
  }
}

/** Who is signed in already stays it; with another password than the own placeholder it is not tried. */
function signInAgain(words: readonly string[], login: readonly string[], placeholder: string): Ruling {
  if (login.at(-1) !== placeholder)
    return { answer: '-WRONGPASS Keyward: this connection is signed in, and stays with its placeholder\r\n' }
  return words[0] === 'HELLO' ? { instead: readHello(words).rest } : { answer: '+OK\r\n' }
}

type Turns = ReturnType<typeof createTurns>

/** Which answers the server owes, and what is answered here between them. */
function createTurns() {
  /** How many answers of the server come before each of ours. */
  const waiting: { after: number; readonly answer: Buffer }[] = []
  let owed = 0
  return {
    waiting: (): number => waiting.length,
    ask(): void {
      owed++
    },
    answer(text: string, now: (bytes: Buffer) => void): void {
      const before = waiting.reduce((sum, { after }) => sum + after, 0)
      if (owed === 0) now(Buffer.from(text))
      else waiting.push({ after: owed - before, answer: Buffer.from(text) })
    },
    /** One answer of the server has come whole; returns what follows it. */
    heard(): Buffer[] {
      owed = Math.max(0, owed - 1)
      const [first] = waiting
      if (!first) return []
      first.after--
      const due: Buffer[] = []
      while (waiting[0] && waiting[0].after <= 0)
        due.push(...waiting.splice(0, 1).map(({ answer }) => answer))
      return due
    },
  }
}
